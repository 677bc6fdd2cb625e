//! What cannot be an entry, each mistake at its place.

#[spargio::main]
fn not_async() {}

#[spargio::main]
async fn generic<T>() {}

#[spargio::main]
async fn too_many(handle: spargio::RuntimeHandle, more: u8) {}

#[spargio::main]
async unsafe fn unsafe_entry() {}

#[spargio::main]
async extern "C" fn foreign_entry() {}

#[spargio::main]
struct NotAFunction;

#[spargio::test]
#[test]
async fn tested_twice() {}

struct Server;

impl Server {
    #[spargio::main]
    async fn serve(&self) {}
}

fn main() {}
