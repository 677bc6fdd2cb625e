//! Waits for descriptors of others: what is given up lets go of the file, also when the runtime
//! goes first.

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use spargio::Runtime;
use spargio::net::{AsyncFd, Interest};

use super::{alone, open_fds, poll_unheard};
use crate::support::{elsewhere, watched};

#[test]
fn waits_given_up_and_waits_that_outlive_their_runtime_leave_nothing_open() {
    const NAME: &str =
        "polls::waits_given_up_and_waits_that_outlive_their_runtime_leave_nothing_open";
    alone(NAME, || {
        watched(|watch| {
            let before = open_fds();
            for round in 0..20 {
                let runtime = watch.build(Runtime::builder().shards(2));
                let handle = runtime.handle();
                let (readers, writers): (Vec<_>, Vec<_>) =
                    (0..8).map(|_| io::pipe().unwrap()).unzip();
                let fds: Vec<_> = readers
                    .into_iter()
                    .map(|reader| AsyncFd::new_on(&handle, OwnedFd::from(reader)).unwrap())
                    .collect();
                // In flight until after the runtime.
                let mut waits: Vec<_> = fds.iter().map(|fd| Box::pin(fd.readable())).collect();
                let mut watches: Vec<_> =
                    fds.iter().map(|fd| fd.watch(Interest::READABLE)).collect();
                for (wait, watch) in waits.iter_mut().zip(&mut watches) {
                    assert!(poll_unheard(wait).is_pending());
                    assert!(poll_unheard(&mut Box::pin(watch.ready())).is_pending());
                    // Given up at once.
                }
                for fd in &fds {
                    assert!(poll_unheard(&mut Box::pin(fd.readable())).is_pending());
                }
                if round % 2 == 0 {
                    drop(runtime);
                    for wait in waits {
                        elsewhere(wait).unwrap_err();
                    }
                    drop(watches);
                } else {
                    drop((waits, watches));
                    drop(runtime);
                }
                drop((fds, writers));
                assert_eq!(open_fds(), before, "round {round}");
            }
        });
    });
}

#[test]
fn a_file_whose_wait_was_given_up_is_closed_while_the_runtime_goes_on() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        for _ in 0..50 {
            let (mut reader, writer) = io::pipe().unwrap();
            let fd = AsyncFd::new_on(&runtime.handle(), writer).unwrap();
            let mut watched = fd.watch(Interest::ERROR);
            assert!(poll_unheard(&mut Box::pin(watched.ready())).is_pending());
            assert!(poll_unheard(&mut Box::pin(fd.ready(Interest::ERROR))).is_pending());
            drop(watched);
            // The kernel lets go of it when it has cancelled both.
            drop(fd.into_inner());
            assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
        }
    });
}
