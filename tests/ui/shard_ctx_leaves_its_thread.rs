//! A shard's context belongs to the thread of its shard.

use spargio::ShardCtx;

fn main() {
    let ctx = ShardCtx::current().unwrap();
    std::thread::spawn(move || ctx.shard_id());
}
