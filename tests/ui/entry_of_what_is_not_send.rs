//! The body of an entry is a task that may be stolen.

use std::rc::Rc;

#[spargio::main]
async fn main() {
    let shared = Rc::new(1);
    std::future::ready(()).await;
    drop(shared);
}
