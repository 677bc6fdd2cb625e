//! What a runtime is made of and runs on, for people who read a report of a fault.

use std::fmt;
use std::fs;

use crate::assembly::Assembly;
use crate::cpu;
use crate::driver::Caps;
use crate::options::Options;
use crate::runtime::RuntimeOf;
use crate::runtime::handle::RuntimeHandleOf;

/// What a runtime is made of and runs on: put its text (`Display`) into a report of a fault.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Description {
    /// The version of this crate.
    pub version: &'static str,
    /// The parts, by the names of their types.
    pub assembly: &'static str,
    /// The release of the kernel, if it can be read.
    pub kernel: Option<String>,
    /// The CPUs that this process may use, if the system says so.
    pub cpus: Option<Vec<usize>>,
    /// How much memory the process may lock, as `/proc/self/limits` has it: bytes or `unlimited`.
    /// Kernels before 5.12 take the memory of rings from this.
    pub memlock: Option<String>,
    /// What the driver of each shard can do, with the flags that its ring was made with.
    pub caps: Vec<Caps>,
    knobs: Options,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = "not known";
        writeln!(f, "spargio {}", self.version)?;
        writeln!(f, "assembly: {}", self.assembly)?;
        writeln!(f, "kernel: {}", self.kernel.as_deref().unwrap_or(unknown))?;
        match &self.cpus {
            Some(cpus) => writeln!(f, "CPUs: {} of {cpus:?}", cpus.len())?,
            None => writeln!(f, "CPUs: {unknown}")?,
        }
        writeln!(f, "memory to lock: {}", self.memlock.as_deref().unwrap_or(unknown))?;
        // As a rule the shards are alike.
        for (shard, caps) in self.caps.iter().enumerate() {
            let first = self.caps.iter().position(|other| other == caps);
            match first {
                Some(first) if first < shard => writeln!(f, "shard {shard}: as shard {first}")?,
                _ => {
                    let flags: Vec<_> = caps.setup_flag_names().collect();
                    writeln!(f, "shard {shard}: {}; {caps:?}", flags.join(" "))?;
                }
            }
        }
        writeln!(f, "knobs: {:#?}", self.knobs)
    }
}

impl<A: Assembly> RuntimeHandleOf<A> {
    /// What the runtime is made of and runs on. Reads three files of `/proc` and the affinity of
    /// this thread.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = spargio::Runtime::builder().shards(1).build()?;
    /// println!("{}", runtime.describe());
    /// # Ok(())
    /// # }
    /// ```
    pub fn describe(&self) -> Description {
        let core = self.core();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Description {
            version: env!("CARGO_PKG_VERSION"),
            assembly: std::any::type_name::<A>(),
            kernel: release.map(|release| release.trim().to_owned()),
            cpus: cpu::allowed().ok().map(|allowed| allowed.iter().collect()),
            memlock: locked_memory(&limits).map(str::to_owned),
            caps: core.shards.iter().filter_map(|shard| shard.caps.get().copied()).collect(),
            knobs: core.options.clone(),
        }
    }
}

impl<A: Assembly> RuntimeOf<A> {
    /// As [`RuntimeHandleOf::describe`].
    pub fn describe(&self) -> Description {
        self.handle().describe()
    }
}

/// The soft limit of the line about locked memory.
fn locked_memory(limits: &str) -> Option<&str> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    line.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::locked_memory;

    #[test]
    fn the_soft_limit_of_locked_memory_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 4096                 files\n\
                      Max locked memory         8388608              unlimited            bytes\n";
        assert_eq!(locked_memory(limits), Some("8388608"));
        assert_eq!(locked_memory(""), None);
    }
}
