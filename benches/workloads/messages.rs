//! Messages between shards: a round trip, and batches one way.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_utils::CachePadded;
use tokio::sync::mpsc;

use spargio::{Event, Runtime, SendError, ShardCtx};

use crate::workloads::runtimes::on_both;
use crate::workloads::{Contender, Session, Workload, by_hand, runtimes};

/// Messages sent at a time.
const BATCH: u64 = 64;
/// Messages that are under way at most.
const WINDOW: usize = 4096;

pub(super) fn workloads() -> Vec<Workload> {
    vec![
        Workload::new(
            "messages",
            "message, there and back",
            vec![
                Contender::spargio(spargio_round_trip),
                Contender::tokio(tokio_round_trip),
                Contender::other("2 spinning threads", bare_round_trip),
            ],
        ),
        Workload::new(
            "messages",
            "messages one way, by 64",
            vec![
                Contender::spargio(spargio_one_way),
                Contender::other("one at a time", spargio_one_at_a_time),
                Contender::other("counted", spargio_counted),
                Contender::tokio(tokio_one_way),
                Contender::other("ring of words", bare_one_way),
            ],
        ),
    ]
}

fn spargio_round_trip() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        on_both(
            &runtime,
            move |ctx| async move {
                for _ in 0..times {
                    ctx.send_raw_nowait(1, 1, 0).expect("there is room");
                    ctx.next_event().await;
                }
            },
            move |ctx| async move {
                for _ in 0..times {
                    let Event::RingMsg { from, tag, val } = ctx.next_event().await;
                    ctx.send_raw_nowait(from, tag, val).expect("there is room");
                }
            },
        );
    })
}

fn tokio_round_trip() -> Session {
    let (here, there) = (runtimes::tokio_of_one_thread(), runtimes::tokio_of_one_thread());
    Box::new(move |times| {
        let (to_far, mut far) = mpsc::channel::<u64>(WINDOW);
        let (to_near, mut near) = mpsc::channel::<u64>(WINDOW);
        thread::scope(|scope| {
            scope.spawn(|| {
                there.block_on(async {
                    while let Some(message) = far.recv().await {
                        to_near.try_send(message).expect("there is room");
                    }
                });
            });
            here.block_on(async move {
                for _ in 0..times {
                    to_far.try_send(0).expect("there is room");
                    near.recv().await.expect("the other end is open");
                }
            });
        });
    })
}

fn bare_round_trip() -> Session {
    Box::new(|times| {
        let there = CachePadded::new(AtomicU64::new(0));
        let back = CachePadded::new(AtomicU64::new(0));
        // Acquire and Release pair with each other: each number carries what was done before it.
        let wait = |word: &AtomicU64, number| {
            while word.load(Ordering::Acquire) != number {
                spin_loop();
            }
        };
        let near = || {
            for number in 1..=times {
                there.store(number, Ordering::Release);
                wait(&back, number);
            }
        };
        let far = || {
            for number in 1..=times {
                wait(&there, number);
                back.store(number, Ordering::Release);
            }
        };
        by_hand::on_two_cpus(near, far);
    })
}

fn spargio_one_way() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        on_both(
            &runtime,
            move |ctx| async move {
                let mut sent = 0;
                while sent < times {
                    let batch = (sent..times.min(sent + BATCH)).map(|number| (1, number as u32));
                    match ctx.send_many_raw_nowait(1, batch.clone()) {
                        Ok(()) => sent += batch.count() as u64,
                        Err(SendError::Backpressure { taken, .. }) => {
                            sent += taken as u64;
                            spargio::yield_now().await;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            },
            move |ctx| receive(ctx, times),
        );
    })
}

fn spargio_one_at_a_time() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        on_both(
            &runtime,
            move |ctx| async move {
                for number in 0..times {
                    while ctx.send_raw_nowait(1, 1, number as u32).is_err() {
                        spargio::yield_now().await;
                    }
                }
            },
            move |ctx| receive(ctx, times),
        );
    })
}

fn spargio_counted() -> Session {
    let builder = Runtime::builder().shards(runtimes::WORKERS).coalesced_hot_msg_tag(1);
    let runtime = builder.build().expect("io_uring is available");
    Box::new(move |times| {
        on_both(
            &runtime,
            move |ctx| async move {
                let mut sent = 0;
                while sent < times {
                    let batch = times.min(sent + BATCH) - sent;
                    let messages = (0..batch).map(|_| (1, 1));
                    ctx.send_many_raw_nowait(1, messages).expect("a counter has room");
                    sent += batch;
                }
            },
            move |ctx| async move {
                let mut sum = 0;
                while sum < times {
                    sum += ctx.next_hot_count(1).await;
                }
            },
        );
    })
}

fn tokio_one_way() -> Session {
    let (here, there) = (runtimes::tokio_of_one_thread(), runtimes::tokio_of_one_thread());
    Box::new(move |times| {
        let (sender, mut receiver) = mpsc::channel::<u64>(WINDOW);
        thread::scope(|scope| {
            scope.spawn(|| {
                there.block_on(async { while receiver.recv().await.is_some() {} });
            });
            here.block_on(async move {
                for number in 0..times {
                    sender.send(number).await.expect("the other end is open");
                }
            });
        });
    })
}

/// A ring of words in which 0 is empty, and nothing else.
fn bare_one_way() -> Session {
    Box::new(|times| {
        let ring: Vec<AtomicU64> = (0..WINDOW).map(|_| AtomicU64::new(0)).collect();
        let slot = |number: u64| &ring[number as usize % WINDOW];
        // Acquire and Release pair with each other.
        let write = || {
            for number in 0..times {
                while slot(number).load(Ordering::Acquire) != 0 {
                    spin_loop();
                }
                slot(number).store(number + 1, Ordering::Release);
            }
        };
        let read = || {
            for number in 0..times {
                while slot(number).load(Ordering::Acquire) == 0 {
                    spin_loop();
                }
                slot(number).store(0, Ordering::Release);
            }
        };
        by_hand::on_two_cpus(write, read);
    })
}

async fn receive(ctx: ShardCtx, times: u64) {
    for _ in 0..times {
        ctx.next_event().await;
    }
}
