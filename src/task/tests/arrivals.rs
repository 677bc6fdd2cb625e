//! Tasks that are sent to a shard arrive whole, in order, and come back when it is gone.

use std::future::ready;
use std::sync::Arc;
use std::thread;

use super::{Toy, is_canceled, join};
use crate::id::TaskId;
use crate::task::{Arrivals, Chain, JoinHandle, Runnable};

fn task(toy: &Arc<Toy>) -> (Runnable, JoinHandle<()>) {
    let handle = toy.spawn(ready(()));
    (toy.pop().expect("the task is queued"), handle)
}

fn ids(chain: Chain) -> Vec<TaskId> {
    let mut ids = Vec::new();
    for runnable in chain {
        ids.push(runnable.metadata().id());
        runnable.run();
    }
    ids
}

#[test]
fn arrivals_are_taken_in_the_order_they_came() {
    let toy = Toy::new();
    let arrivals = Arrivals::new();
    assert!(arrivals.is_empty());
    let mut sent = Vec::new();
    for _ in 0..5 {
        let (runnable, _handle) = task(&toy);
        sent.push(runnable.metadata().id());
        arrivals.push(runnable).unwrap();
    }
    assert_eq!(arrivals.len(), 5);
    assert_eq!(ids(arrivals.take()), sent);
    assert!(arrivals.is_empty());
    assert_eq!(arrivals.len(), 0);
    assert!(arrivals.take().is_empty());
}

#[test]
fn closed_arrivals_hand_back_what_was_left_and_what_comes() {
    let toy = Toy::new();
    let arrivals = Arrivals::new();
    let (left, _handle) = task(&toy);
    let id = left.metadata().id();
    arrivals.push(left).unwrap();
    assert_eq!(ids(arrivals.close()), [id]);
    let (late, mut handle) = task(&toy);
    let late = arrivals.push(late).expect_err("the shard is gone");
    late.run();
    assert!(join(&mut handle).unwrap().is_ok());
    assert!(arrivals.is_empty());
    assert_eq!(arrivals.len(), 0);
    assert!(arrivals.take().is_empty());
    assert!(arrivals.close().is_empty(), "they close once");
}

#[test]
fn what_is_dropped_unread_ends() {
    let toy = Toy::new();
    let arrivals = Arrivals::new();
    let (first, mut of_first) = task(&toy);
    let (second, mut of_second) = task(&toy);
    let (third, mut of_third) = task(&toy);
    arrivals.push(first).unwrap();
    arrivals.push(second).unwrap();
    let mut chain = arrivals.take();
    chain.next().unwrap().run();
    assert!(join(&mut of_first).unwrap().is_ok());
    drop(chain);
    assert!(is_canceled(&mut of_second));
    arrivals.push(third).unwrap();
    drop(arrivals);
    assert!(is_canceled(&mut of_third));
    assert_eq!(toy.registry.len(), 0);
}

#[test]
fn each_sender_keeps_its_order_among_others() {
    const SENDERS: usize = 3;
    const EACH: usize = 200;
    let toy = Toy::with_limit(SENDERS * EACH);
    let arrivals = Arrivals::new();
    let of_each: Vec<Vec<Runnable>> =
        (0..SENDERS).map(|_| (0..EACH).map(|_| task(&toy).0).collect()).collect();
    let sent: Vec<Vec<TaskId>> = of_each
        .iter()
        .map(|tasks| tasks.iter().map(|runnable| runnable.metadata().id()).collect())
        .collect();
    let mut got = Vec::new();
    thread::scope(|scope| {
        for tasks in of_each {
            let arrivals = &arrivals;
            scope.spawn(move || {
                tasks.into_iter().for_each(|runnable| arrivals.push(runnable).unwrap());
            });
        }
        while got.len() < SENDERS * EACH {
            got.extend(ids(arrivals.take()));
        }
    });
    for sent in sent {
        let of_sender: Vec<_> = got.iter().copied().filter(|id| sent.contains(id)).collect();
        assert_eq!(of_sender, sent);
    }
}
