//! What tasks of two shards wait for each other with: the same job with each kind of channel,
//! always between the same two shards.

use spargio::sync::{mpsc, oneshot};
use tokio::sync::{mpsc as tokio_mpsc, oneshot as tokio_oneshot};

use crate::workloads::runtimes::on_both;
use crate::workloads::{Contender, Session, Workload, runtimes};

/// Values that are under way at most.
const WINDOW: usize = 256;

pub(super) fn workloads() -> Vec<Workload> {
    vec![
        Workload::new(
            "sync",
            "a request, answered by oneshot",
            vec![Contender::spargio(own_oneshot), Contender::tokio(oneshot_of_tokio)],
        ),
        Workload::new(
            "sync",
            "a value through a bounded channel",
            vec![
                Contender::spargio(own_channel),
                Contender::tokio(channel_of_tokio),
                Contender::other("async-channel", async_channel),
            ],
        ),
    ]
}

/// The requests go through the same channel for both, so what differs is the answer.
fn own_oneshot() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        let (ask, mut asked) = mpsc::channel::<oneshot::Sender<u64>>(WINDOW);
        on_both(
            &runtime,
            move |_| async move {
                for number in 0..times {
                    let (answer, answered) = oneshot::channel();
                    ask.send(answer).await.expect("the other end is open");
                    assert_eq!(answered.await, Ok(number));
                }
            },
            move |_| async move {
                for number in 0..times {
                    let answer = asked.recv().await.expect("the other end is open");
                    answer.send(number).expect("the other end waits");
                }
            },
        );
    })
}

fn oneshot_of_tokio() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        let (ask, mut asked) = mpsc::channel::<tokio_oneshot::Sender<u64>>(WINDOW);
        on_both(
            &runtime,
            move |_| async move {
                for number in 0..times {
                    let (answer, answered) = tokio_oneshot::channel();
                    ask.send(answer).await.expect("the other end is open");
                    assert_eq!(answered.await, Ok(number));
                }
            },
            move |_| async move {
                for number in 0..times {
                    let answer = asked.recv().await.expect("the other end is open");
                    answer.send(number).expect("the other end waits");
                }
            },
        );
    })
}

fn own_channel() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        let (sender, mut receiver) = mpsc::channel::<u64>(WINDOW);
        on_both(
            &runtime,
            move |_| async move {
                for number in 0..times {
                    sender.send(number).await.expect("the other end is open");
                }
            },
            move |_| async move {
                for number in 0..times {
                    assert_eq!(receiver.recv().await, Some(number));
                }
            },
        );
    })
}

fn channel_of_tokio() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        let (sender, mut receiver) = tokio_mpsc::channel::<u64>(WINDOW);
        on_both(
            &runtime,
            move |_| async move {
                for number in 0..times {
                    sender.send(number).await.expect("the other end is open");
                }
            },
            move |_| async move {
                for number in 0..times {
                    assert_eq!(receiver.recv().await, Some(number));
                }
            },
        );
    })
}

fn async_channel() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        let (sender, receiver) = async_channel::bounded::<u64>(WINDOW);
        on_both(
            &runtime,
            move |_| async move {
                for number in 0..times {
                    sender.send(number).await.expect("the other end is open");
                }
            },
            move |_| async move {
                for number in 0..times {
                    assert_eq!(receiver.recv().await, Ok(number));
                }
            },
        );
    })
}
