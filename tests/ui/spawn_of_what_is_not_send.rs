//! A task that may be stolen is `Send`.

use std::rc::Rc;

async fn keeps_an_rc() {
    let shared = Rc::new(1);
    std::future::ready(()).await;
    drop(shared);
}

fn main() {
    drop(spargio::spawn(keeps_an_rc()));
}
