//! At every limit the caller is told, and gets back what it gave.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spargio::net::TcpStream;
use spargio::{IoBuf as _, Runtime, RuntimeError};

use super::canary::Graveyard;
use super::{connections, poll_once};
use crate::support::{Event, elsewhere, wait_until, watched};

#[test]
pub(crate) fn an_operation_beyond_the_limit_is_refused_with_its_buffer() {
    watched(|watch| {
        const LIMIT: usize = 4;
        let runtime = watch.build(Runtime::builder().shards(1).max_operations(LIMIT));
        let handle = runtime.handle();
        let yard = Graveyard::default();
        let (own, _peers): (Vec<_>, Vec<_>) = connections(LIMIT + 1).into_iter().unzip();
        let streams: Vec<_> =
            own.into_iter().map(|own| TcpStream::from_std_on(&handle, own).unwrap()).collect();
        let streams = Arc::new(streams);
        let (bufs, inside) = (yard.clone(), Arc::clone(&streams));
        let task = handle.spawn_pinned(0, async move {
            let mut reads: Vec<_> = inside.iter().map(|own| own.read(bufs.buffer(64))).collect();
            let mut last = reads.pop().unwrap();
            for read in &mut reads {
                assert!(poll_once(read).await.is_pending());
            }
            assert!(poll_once(&mut last).await.is_ready());
            let buf = bufs.buffer(64);
            let place = buf.stable_ptr().addr();
            let (result, buf) = inside[LIMIT].read(buf).await;
            assert_eq!(buf.stable_ptr().addr(), place);
            let error = result.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            assert!(error.to_string().contains("limit of 4 operations"), "{error}");
        });
        elsewhere(task.unwrap()).unwrap();
        // The reads were dropped and stay with their streams, so the limit is still reached.
        let buf = yard.buffer(64);
        let place = buf.stable_ptr().addr();
        let (result, buf) = elsewhere(streams[LIMIT].read(buf));
        assert_eq!(buf.stable_ptr().addr(), place);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(error.to_string().contains("limit of 4 operations"), "{error}");
        drop(buf);
        drop(streams);
        wait_until("the slots are free", || runtime.stats_snapshot().total().in_flight == 0);
        wait_until("the buffers are let go", || yard.alive() == 0);
        let (own, peer) = connections(1).remove(0);
        drop(peer);
        let stream = TcpStream::from_std_on(&handle, own).unwrap();
        assert_eq!(elsewhere(stream.read(yard.buffer(64))).0.unwrap(), 0);
    });
}

#[test]
fn a_task_beyond_the_limit_is_refused() {
    watched(|watch| {
        const LIMIT: usize = 4;
        let runtime = watch.build(Runtime::builder().shards(1).max_tasks(LIMIT));
        let handle = runtime.handle();
        let event = Event::default();
        let wait = || {
            let event = event.clone();
            async move { event.wait().await }
        };
        let tasks: Vec<_> = (0..LIMIT).map(|_| handle.spawn_stealable(wait()).unwrap()).collect();
        for _ in 0..3 {
            let error = handle.spawn_pinned(0, wait()).unwrap_err();
            assert!(matches!(error, RuntimeError::Overloaded { limit: LIMIT, .. }), "{error:?}");
            assert!(error.to_string().contains('4'), "{error}");
        }
        event.set();
        tasks.into_iter().for_each(|task| elsewhere(task).unwrap());
        wait_until("the tasks are gone", || handle.stats_snapshot().total().live_tasks == 0);
        elsewhere(handle.spawn_pinned(0, wait()).unwrap()).unwrap();
    });
}

#[test]
fn timers_beyond_the_limit_fire_all_the_same() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1).max_timers(2));
        let handle = runtime.handle();
        let begin = Instant::now();
        let sleep = |number: u64| async move {
            let duration = Duration::from_millis(20 + number);
            spargio::sleep(duration).await;
            assert!(begin.elapsed() >= duration);
        };
        let tasks: Vec<_> =
            (0..50).map(|number| handle.spawn_pinned(0, sleep(number)).unwrap()).collect();
        tasks.into_iter().for_each(|task| elsewhere(task).unwrap());
        assert!(runtime.stats_snapshot().total().timers_fired >= 2);
    });
}
