//! The handle of a local task belongs to the thread of its shard.

fn main() {
    let task = spargio::spawn_local(async { 1 }).unwrap();
    std::thread::spawn(move || task.abort());
}
