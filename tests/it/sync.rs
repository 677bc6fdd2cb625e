//! Waiting for each other: across shards, with other executors, and with the crates of others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use spargio::sync::{Notify, mpsc, oneshot};
use spargio::{Native, Runtime, RuntimeOf, timeout};

use crate::support::{Watch, elsewhere, watched, yield_now};

mod others;

fn two_shards(watch: &Watch) -> RuntimeOf<Native> {
    watch.build(Runtime::builder().shards(2))
}

#[test]
fn messages_of_many_shards_arrive_in_the_order_of_each() {
    const EACH: usize = 5_000;
    watched(|watch| {
        let runtime = two_shards(watch);
        for capacity in [1, 16, 1_024] {
            let (sender, mut receiver) = mpsc::channel(capacity);
            let senders: Vec<_> = (0..4)
                .map(|name| {
                    let sender = sender.clone();
                    let sending = async move {
                        for number in 0..EACH {
                            sender.send((name, number)).await.unwrap();
                        }
                    };
                    runtime.spawn_on(u16::try_from(name % 2).unwrap(), sending).unwrap()
                })
                .collect();
            drop(sender);
            let receiving = runtime.handle().spawn_stealable(async move {
                let mut next = [0; 4];
                let mut batch = Vec::new();
                while receiver.recv_many(&mut batch, 64).await > 0 {
                    for (name, number) in batch.drain(..) {
                        assert_eq!(number, next[name]);
                        next[name] += 1;
                    }
                }
                next
            });
            assert_eq!(runtime.block_on(receiving.unwrap()).unwrap(), [EACH; 4]);
            for sender in senders {
                runtime.block_on(sender).unwrap();
            }
        }
    });
}

#[test]
fn a_receive_or_a_send_that_is_given_up_loses_no_message() {
    const MESSAGES: usize = 3_000;
    watched(|watch| {
        let runtime = two_shards(watch);
        let (sender, mut receiver) = mpsc::channel(2);
        let sending = runtime.spawn_on(0, async move {
            let mut given_up = 0;
            let mut wait = 0;
            for number in 0..MESSAGES {
                loop {
                    wait = (wait + 3) % 60;
                    match timeout(Duration::from_micros(wait), sender.reserve()).await {
                        Ok(permit) => break permit.unwrap().send(number),
                        Err(_) => given_up += 1,
                    }
                }
            }
            given_up
        });
        let receiving = runtime.spawn_on(1, async move {
            let mut numbers = Vec::new();
            let mut wait = 0;
            loop {
                wait = (wait + 7) % 80;
                match timeout(Duration::from_micros(wait), receiver.recv()).await {
                    Ok(Some(number)) => numbers.push(number),
                    Ok(None) => return numbers,
                    Err(_) => {}
                }
            }
        });
        let numbers = runtime.block_on(receiving.unwrap()).unwrap();
        assert!(numbers.into_iter().eq(0..MESSAGES));
        println!("given up: {}", runtime.block_on(sending.unwrap()).unwrap());
    });
}

#[test]
fn a_loop_over_a_channel_that_is_never_empty_gives_way() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let busy = runtime.spawn_on(0, async move {
            let (sender, mut receiver) = mpsc::channel(4);
            let notify = Notify::new();
            while !stopped.load(Ordering::Relaxed) {
                sender.send(1).await.unwrap();
                assert_eq!(receiver.recv().await, Some(1));
                notify.notify_one();
                notify.notified().await;
                let (once, reply) = oneshot::channel();
                once.send(2).unwrap();
                assert_eq!(reply.await, Ok(2));
            }
        });
        let other = runtime.spawn_on(0, async move { stop.store(true, Ordering::Relaxed) });
        runtime.block_on(other.unwrap()).unwrap();
        runtime.block_on(busy.unwrap()).unwrap();
    });
}

#[test]
fn a_value_goes_to_another_shard_a_thread_and_back() {
    watched(|watch| {
        let runtime = two_shards(watch);
        for number in 0..500 {
            let (there, here) = oneshot::channel();
            let (back, answer) = oneshot::channel();
            let echo = runtime.spawn_on(1, async move { back.send(here.await.unwrap() + 1) });
            if number % 2 == 0 {
                there.send(number).unwrap();
                assert_eq!(elsewhere(answer), Ok(number + 1));
            } else {
                let asking = runtime.spawn_on(0, async move {
                    there.send(number).unwrap();
                    answer.await
                });
                assert_eq!(runtime.block_on(asking.unwrap()).unwrap(), Ok(number + 1));
            }
            runtime.block_on(echo.unwrap()).unwrap().unwrap();
        }
    });
}

#[test]
fn a_shutdown_drops_what_waits_and_its_peers_learn_it() {
    watched(|watch| {
        let runtime = two_shards(watch);
        let (sender, mut receiver) = mpsc::channel::<u8>(1);
        let (mut once, reply) = oneshot::channel::<u8>();
        let notify = Arc::new(Notify::new());
        let waits = Arc::clone(&notify);
        let waiting = async move {
            let message = receiver.recv().await;
            waits.notified().await;
            (message, reply.await)
        };
        drop(runtime.spawn_on(1, waiting).unwrap());
        let sending = std::thread::spawn(move || {
            elsewhere(sender.closed());
            sender.try_send(1).unwrap_err().is_closed()
        });
        drop(runtime);
        assert!(sending.join().unwrap());
        elsewhere(once.closed());
        assert_eq!(once.send(7), Err(7));
        assert_eq!(Arc::strong_count(&notify), 1);
    });
}

#[test]
fn every_notification_wakes_one_task_wherever_it_is() {
    const PERMITS: usize = 2_000;
    watched(|watch| {
        let runtime = two_shards(watch);
        let (work, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let taken = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..8_u16)
            .map(|name| {
                let (work, done, taken) =
                    (Arc::clone(&work), Arc::clone(&done), Arc::clone(&taken));
                let working = async move {
                    loop {
                        work.notified().await;
                        if taken.fetch_add(1, Ordering::Relaxed) >= PERMITS {
                            return;
                        }
                        done.notify_one();
                    }
                };
                runtime.spawn_on(name % 2, working).unwrap()
            })
            .collect();
        for _ in 0..PERMITS {
            work.notify_one();
            elsewhere(done.notified());
        }
        assert_eq!(taken.load(Ordering::Relaxed), PERMITS);
        runtime.block_on(async {
            for worker in workers {
                while !worker.is_finished() {
                    work.notify_waiters();
                    yield_now().await;
                }
                worker.await.unwrap();
            }
        });
    });
}
