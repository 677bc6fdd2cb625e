//! Receives that are put off, because a task of the same shard may send what they wait for.

use std::time::Duration;

use spargio::net::UnixStream;
use spargio::{Runtime, RuntimeHandle};

use super::poll_once;

/// Enough for a shard to believe that second looks never find anything.
const IN_VAIN: u32 = 400;
/// Enough for it to learn otherwise: it tries one receive of 64.
const TO_LEARN: u64 = 4_000;
const TIMES: u64 = 1_000;

/// So many questions and answers between two tasks of this shard.
async fn talk(times: u64) {
    let (near, far) = UnixStream::pair().unwrap();
    let echo = spargio::spawn(async move {
        let mut buf = vec![0; 16];
        for _ in 0..times {
            let (received, same) = far.read(buf).await;
            assert_eq!(received.unwrap(), 16);
            let (sent, same) = far.write_all(same).await;
            sent.unwrap();
            buf = same;
        }
    });
    let mut buf = vec![7; 16];
    for _ in 0..times {
        let (sent, same) = near.write_all(buf).await;
        sent.unwrap();
        let (received, same) = near.read(same).await;
        assert_eq!(received.unwrap(), 16);
        buf = same;
    }
    echo.unwrap().await.unwrap();
}

/// How many entries the ring got for [`TIMES`] questions and answers.
async fn entries(handle: &RuntimeHandle) -> u64 {
    let before = handle.stats_snapshot().total().sqes;
    talk(TIMES).await;
    handle.stats_snapshot().total().sqes - before
}

#[test]
fn a_shard_learns_when_both_ends_are_its_own_though_they_were_not_before() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let handle = runtime.handle();
    let task = handle.clone().spawn_stealable(async move {
        assert!(entries(&handle).await < TIMES / 4);
        for _ in 0..IN_VAIN {
            let (near, _far) = UnixStream::pair().unwrap();
            let mut read = near.read(vec![0; 16]);
            assert!(poll_once(&mut read).await.is_pending());
            // The shard has nothing else to do, so it looks, and arms the receive.
            spargio::sleep(Duration::from_micros(10)).await;
            let (cancelled, _) = read.cancel().await;
            cancelled.unwrap_err();
        }
        talk(TO_LEARN).await;
        let taken = entries(&handle).await;
        assert!(taken < TIMES / 4, "{taken} entries for {TIMES} questions");
    });
    runtime.block_on(task.unwrap()).unwrap();
}
