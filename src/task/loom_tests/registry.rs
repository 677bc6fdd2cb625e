//! Every interleaving of spawns and ends on several threads with the end of the registry.

use std::sync::Arc as StdArc;

use loom::thread;

use super::{Toy, bounded, is_canceled, join};
use crate::task::registry::{Refusal, Registry};
use crate::task::{LocalScheduler, Runnable, RuntimeId, with_local_scheduler};

/// The toy as the shard of a thread: it owns the registry.
pub(super) struct Shard(pub(super) StdArc<Toy>);

impl LocalScheduler for Shard {
    fn runtime(&self) -> RuntimeId {
        RuntimeId(1)
    }

    fn registry(&self) -> Option<&Registry> {
        Some(&self.0.registry)
    }

    fn schedule(&self, runnable: Runnable) {
        self.0.push(runnable);
    }
}

#[test]
fn loom_task_a_foreign_spawn_against_close_and_abort_all_is_refused_or_ended() {
    bounded(3, || {
        let toy = Toy::new();
        let spawner = thread::spawn({
            let toy = StdArc::clone(&toy);
            move || toy.spawn(std::future::pending::<()>())
        });
        let shard = Shard(StdArc::clone(&toy));
        with_local_scheduler(&shard, || {
            toy.registry.close();
            assert!(toy.spawn(std::future::ready(())).is_err(), "it is closed");
            toy.registry.abort_all();
            let spawned = spawner.join().unwrap();
            toy.run();
            match spawned {
                Ok(handle) => assert!(is_canceled(join(handle))),
                Err(refusal) => assert_eq!(refusal, Refusal::Closed),
            }
        });
        drop(shard);
        toy.assert_empty();
    });
}

#[test]
fn loom_task_an_own_spawn_against_a_foreign_close_is_reached_by_abort_all() {
    bounded(3, || {
        let toy = Toy::new();
        let closer = thread::spawn({
            let toy = StdArc::clone(&toy);
            move || toy.registry.close()
        });
        let shard = Shard(StdArc::clone(&toy));
        with_local_scheduler(&shard, || {
            let spawned = toy.spawn(std::future::pending::<()>());
            closer.join().unwrap();
            assert!(toy.spawn(std::future::ready(())).is_err(), "it is closed");
            toy.registry.abort_all();
            toy.run();
            if let Ok(handle) = spawned {
                assert!(is_canceled(join(handle)));
            }
        });
        drop(shard);
        toy.assert_empty();
    });
}

#[test]
fn loom_task_a_task_ended_elsewhere_is_handed_over_whether_or_not_its_owner_stays() {
    bounded(3, || {
        let toy = Toy::new();
        let shard = Shard(StdArc::clone(&toy));
        let thief = with_local_scheduler(&shard, || {
            let first = toy.spawn(std::future::ready(1)).expect("there is room");
            drop(first);
            let stolen = toy.pop().expect("it was queued");
            let thief = thread::spawn(move || stolen.run());
            let second = toy.spawn(std::future::ready(2)).expect("there is room");
            toy.run();
            assert_eq!(join(second).expect("it has ended").expect("it is ready"), 2);
            toy.registry.settle();
            thief
        });
        thief.join().unwrap();
        drop(shard);
        toy.assert_empty();
    });
}

#[test]
fn loom_task_two_ended_elsewhere_are_both_freed() {
    bounded(2, || {
        let toy = Toy::new();
        let shard = Shard(StdArc::clone(&toy));
        let thieves = with_local_scheduler(&shard, || {
            let handles =
                [1, 2].map(|it| toy.spawn(std::future::ready(it)).expect("there is room"));
            let thieves = handles.map(|handle| {
                let stolen = toy.pop().expect("it was queued");
                thread::spawn(move || {
                    stolen.run();
                    join(handle)
                })
            });
            toy.registry.settle();
            thieves
        });
        for thief in thieves {
            assert!(matches!(thief.join().unwrap(), Some(Ok(_))));
        }
        drop(shard);
        toy.run();
        toy.assert_empty();
    });
}

#[test]
fn loom_task_the_end_elsewhere_against_abort_all_frees_the_task_once() {
    bounded(3, || {
        let toy = Toy::new();
        let shard = Shard(StdArc::clone(&toy));
        let thief = with_local_scheduler(&shard, || {
            let handle = toy.spawn(std::future::ready(1)).expect("there is room");
            let stolen = toy.pop().expect("it was queued");
            let thief = thread::spawn(move || {
                stolen.run();
                join(handle)
            });
            toy.registry.abort_all();
            thief
        });
        // It was aborted before or while it ran, or after it.
        match thief.join().unwrap() {
            None => toy.run(),
            Some(output) => assert!(output.is_ok() || is_canceled(Some(output))),
        }
        drop(shard);
        toy.assert_empty();
    });
}
