//! Whether the values of a builder make a runtime.

use crate::cpu;
use crate::error::BuildError;
use crate::id::ShardId;
use crate::options::{
    BufferOptions, MAX_BACKOFF, MAX_LANE, MAX_RECV_BUFFER_SIZE, MAX_RECV_BUFFERS, MAX_SPIN,
    Options, StealOptions,
};

/// # Errors
///
/// The first knob that has a value it cannot have.
pub(super) fn options(options: &Options) -> Result<(), BuildError> {
    let most = ShardId::MAX_SHARDS;
    if let Some(shards) = options.shards
        && (shards == 0 || shards > most)
    {
        return Err(BuildError::invalid("shards", shards, format!("from 1 to {most}")));
    }
    if let Some(at) = options.thread_prefix.bytes().position(|byte| byte == 0) {
        let value = format!("{:?}", options.thread_prefix);
        let limit = format!("without NUL bytes, and has one at {at}");
        return Err(BuildError::invalid("thread_prefix", value, limit));
    }
    if options.spin.limit > MAX_SPIN {
        let value = format!("{:?}", options.spin.limit);
        return Err(BuildError::invalid("spin", value, format!("at most {MAX_SPIN:?}")));
    }
    steal(&options.steal)?;
    let capacity = options.messages.capacity;
    if capacity > MAX_LANE {
        let limit = format!("at most {MAX_LANE}");
        return Err(BuildError::invalid("msg_ring_queue_capacity", capacity, limit));
    }
    buffers(&options.buffers)?;
    affinity(&options.thread_affinity)
}

fn buffers(options: &BufferOptions) -> Result<(), BuildError> {
    let BufferOptions { size, first, most } = *options;
    if size > MAX_RECV_BUFFER_SIZE {
        let limit = format!("at most {MAX_RECV_BUFFER_SIZE}");
        return Err(BuildError::invalid("recv_buffer_size", size, limit));
    }
    let value = || format!("{first}, {most}");
    if most > MAX_RECV_BUFFERS {
        let limit = format!("at most {MAX_RECV_BUFFERS} of them");
        return Err(BuildError::invalid("recv_buffers", value(), limit));
    }
    if first > most {
        let limit = "no more at first than at most".to_owned();
        return Err(BuildError::invalid("recv_buffers", value(), limit));
    }
    Ok(())
}

fn steal(options: &StealOptions) -> Result<(), BuildError> {
    let (min, max) = (options.backoff_min, options.backoff_max);
    if max > MAX_BACKOFF {
        let limit = format!("at most {MAX_BACKOFF:?}");
        return Err(BuildError::invalid("steal_backoff_max", format!("{max:?}"), limit));
    }
    if min > max {
        let limit = format!("at most steal_backoff_max, which is {max:?}");
        return Err(BuildError::invalid("steal_backoff_min", format!("{min:?}"), limit));
    }
    Ok(())
}

fn affinity(cpus: &[usize]) -> Result<(), BuildError> {
    if cpus.is_empty() {
        return Ok(());
    }
    let limit = cpu::LIMIT;
    if let Some(cpu) = cpus.iter().find(|&&cpu| cpu >= limit) {
        let value = format!("a list with CPU {cpu}");
        return Err(BuildError::invalid("thread_affinity", value, format!("below {limit}")));
    }
    // A machine whose mask cannot be read will say so when the threads are bound.
    let Ok(allowed) = cpu::allowed() else { return Ok(()) };
    if let Some(cpu) = cpus.iter().find(|&&cpu| !allowed.contains(cpu)) {
        let value = format!("a list with CPU {cpu}");
        let allowed: Vec<usize> = allowed.iter().collect();
        let limit = format!("among the CPUs that this process may use: {allowed:?}");
        return Err(BuildError::invalid("thread_affinity", value, limit));
    }
    Ok(())
}
