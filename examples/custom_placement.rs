//! A placement of one's own, proved by the suites and run by a real runtime: every tenant of a
//! service is kept to a few shards.
//!
//! A key names a tenant and one of its sessions. A session keeps its shard, the sessions of a
//! tenant spread over as many shards as the cap allows, and a tenant that is busy leaves the other
//! shards alone.
//!
//! ```text
//! cargo run --example custom_placement --features testing
//! ```

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};

use spargio::placement::{Loads, Placement, Wish};
use spargio::{Runtime, ShardCtx, ShardId, TaskPlacement, testing};

/// Keeps each tenant to a few neighbouring shards.
#[derive(Debug)]
struct ByTenant {
    /// The most shards that one tenant uses; at least 1.
    cap: usize,
    turn: AtomicUsize,
}

/// The key of a tenant's session.
fn key(tenant: u32, session: u32) -> u64 {
    u64::from(tenant) << 32 | u64::from(session)
}

impl ByTenant {
    fn new(cap: usize) -> Self {
        Self { cap: cap.max(1), turn: AtomicUsize::new(0) }
    }

    fn of_key(&self, key: u64, shards: usize) -> usize {
        let (tenant, session) = ((key >> 32) as usize, key as u32 as usize);
        // An odd constant (2^64 over the golden ratio) spreads tenants that are numbered in order.
        let first = tenant.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        (first % shards + session % self.cap.min(shards)) % shards
    }
}

impl Placement for ByTenant {
    fn place(&self, wish: Wish, loads: &Loads<'_>) -> ShardId {
        let shards = loads.shards();
        let index = match wish {
            Wish::Key(key) => self.of_key(key, shards),
            Wish::Near(shard) if shard.index() < shards => shard.index(),
            Wish::Spread => self.turn.fetch_add(1, Ordering::Relaxed) % shards,
            // Work of no tenant goes where the least waits. Were it to take turns too, it would
            // need a turn of its own: a spread has to be even between other wishes.
            _ => loads.iter().min_by_key(|(_, load)| load.queued).map_or(0, |(at, _)| at.index()),
        };
        ShardId::from_index(index)
    }
}

/// The shards on which so many sessions of a tenant run.
async fn shards_of(runtime: &spargio::RuntimeHandleOf<Tenants>, tenant: u32) -> BTreeSet<ShardId> {
    let spawn = |session| {
        let placement = TaskPlacement::Sticky(key(tenant, session));
        runtime.spawn_with_placement(placement, async { ShardCtx::current().map(|c| c.shard_id()) })
    };
    let mut shards = BTreeSet::new();
    for task in (0..100).map(spawn) {
        let shard = task.expect("the runtime is open").await.expect("the task does not panic");
        shards.extend(shard);
    }
    shards
}

type Tenants = spargio::Assembled<
    spargio::driver::Uring,
    spargio::doorbell::MsgRing,
    spargio::queue::ChaseLev,
    ByTenant,
>;

fn main() -> Result<(), Box<dyn Error>> {
    for cap in [1, 2, 5, 100] {
        testing::placement(|| ByTenant::new(cap));
    }
    let runtime = Runtime::builder().placement(ByTenant::new(2)).shards(4).build()?;
    let handle = runtime.handle();
    for tenant in 0..6 {
        let shards = runtime.block_on(shards_of(&handle, tenant));
        assert_eq!(shards.len(), 2, "tenant {tenant} is on {shards:?}");
        println!("100 sessions of tenant {tenant} ran on {shards:?}");
    }
    Ok(())
}
