//! A type that is no doorbell, no queue, no placement.

use spargio::Runtime;

struct Gong;

fn main() {
    drop(Runtime::builder().doorbell::<Gong>());
    drop(Runtime::builder().steal_queue::<Gong>());
    drop(Runtime::builder().placement(Gong));
}
