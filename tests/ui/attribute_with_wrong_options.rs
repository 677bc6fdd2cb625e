//! Options that there are not, that come twice or without a value.

#[spargio::main(worker_threads = 4)]
async fn unknown() {}

#[spargio::main(shards = 1, shards = 2)]
async fn twice() {}

#[spargio::main(shards)]
async fn without_value() {}

#[spargio::main(spin = , crate)]
async fn two_mistakes() {}

#[spargio::main(shards = "two")]
async fn of_a_wrong_type() {}

fn main() {}
