//! One step at a time: what becomes of a call, and that it is counted once.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::{BoundaryError, BoundaryStats, channel, stats_snapshot};

const LONG: Duration = Duration::from_secs(3_600);

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn poll<F: Future + ?Sized>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))))
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn stats(calls: u64, ends: [u64; 5]) -> BoundaryStats {
    let [answered, overloaded, timed_out, canceled, closed] = ends;
    BoundaryStats { calls, answered, overloaded, timed_out, canceled, closed }
}

#[test]
fn a_request_is_answered() {
    let (client, server) = channel(4);
    let ticket = client.try_call(6).unwrap();
    assert_eq!((client.queued(), server.queued(), server.capacity()), (1, 1, 4));
    let mut request = block_on(server.recv()).unwrap();
    assert_eq!((*request.request(), request.deadline()), (6, None));
    *request.request_mut() += 1;
    assert!(!request.is_canceled());
    let (number, reply) = request.into_parts();
    reply.respond(number * 6).unwrap();
    assert_eq!(client.stats().in_flight(), 1);
    assert_eq!(block_on(ticket), Ok(42));
    assert_eq!(server.stats(), stats(1, [1, 0, 0, 0, 0]));
}

#[test]
fn a_full_queue_hands_the_request_back_and_counts_once() {
    let (client, server) = channel::<_, ()>(0);
    assert_eq!(client.capacity(), 1, "0 is 1");
    let ticket = client.try_call("first").unwrap();
    let error = client.try_call("second").unwrap_err();
    assert_eq!((error.kind(), *error.request()), (BoundaryError::Overloaded, "second"));
    assert_eq!(error.into_parts(), (BoundaryError::Overloaded, "second"));
    assert_eq!(client.stats(), stats(2, [0, 1, 0, 0, 0]));
    // One that waits for room is not overloaded, however long it waits.
    let bell = Arc::<Bell>::default();
    let mut waits = Box::pin(client.call("third"));
    assert!(bell.poll(waits.as_mut()).is_pending());
    assert!(bell.poll(waits.as_mut()).is_pending());
    assert!(client.try_call("fourth").is_err());
    assert_eq!(client.stats(), stats(4, [0, 2, 0, 0, 0]));
    drop(waits);
    assert_eq!(client.stats(), stats(4, [0, 2, 0, 1, 0]));
    drop((ticket, server));
}

#[test]
fn callers_that_wait_get_room_in_their_order_and_pass_it_on() {
    let (client, server) = channel::<_, u8>(1);
    let _first = client.try_call(0).unwrap();
    let bells: Vec<_> = (0..3).map(|_| Arc::<Bell>::default()).collect();
    let mut calls: Vec<_> = (1..4).map(|number| Box::pin(client.call(number))).collect();
    for (bell, call) in bells.iter().zip(&mut calls) {
        assert!(bell.poll(call.as_mut()).is_pending());
    }
    let rung = || bells.iter().map(|bell| bell.rung()).collect::<Vec<_>>();
    drop(block_on(server.recv()));
    assert_eq!(rung(), [1, 0, 0]);
    assert_eq!(client.try_call(9).unwrap_err().kind(), BoundaryError::Overloaded);
    drop(calls.remove(0));
    assert_eq!(rung(), [1, 1, 0]);
    let Poll::Ready(Ok(ticket)) = bells[1].poll(calls[0].as_mut()) else { panic!("has room") };
    // A ticket that is dropped makes room.
    drop(ticket);
    assert_eq!(rung(), [1, 1, 1]);
    let Poll::Ready(Ok(_ticket)) = bells[2].poll(calls[1].as_mut()) else { panic!("has room") };
    assert_eq!(*block_on(server.recv()).unwrap().request(), 3);
}

#[test]
fn a_deadline_bounds_the_wait_for_room() {
    let (client, _server) = channel::<_, u8>(1);
    let _first = client.try_call(1).unwrap();
    let start = Instant::now();
    let wait = Duration::from_millis(5);
    let error = block_on(client.call_with_timeout(2, wait)).unwrap_err();
    assert!(start.elapsed() >= wait);
    assert_eq!(error.into_parts(), (BoundaryError::Timeout, 2));
    assert_eq!(client.stats(), stats(2, [0, 0, 1, 0, 0]));
}

#[test]
fn a_deadline_travels_and_bounds_the_ticket() {
    let (client, server) = channel::<_, u8>(1);
    let deadline = Instant::now() + Duration::from_millis(20);
    let ticket = block_on(client.call_with_deadline(1, deadline)).unwrap();
    assert_eq!(ticket.deadline(), Some(deadline));
    let mut request = block_on(server.recv()).unwrap();
    assert_eq!(request.deadline(), Some(deadline));
    assert_eq!(block_on(ticket), Err(BoundaryError::Timeout));
    assert!(Instant::now() >= deadline);
    block_on(request.canceled());
    let error = request.respond(7).unwrap_err();
    assert_eq!((error.kind(), error.into_reply()), (BoundaryError::Timeout, 7));
    assert_eq!(client.stats(), stats(1, [0, 0, 1, 0, 0]));
}

#[test]
fn an_expired_request_is_not_handed_out_and_its_client_is_told() {
    let (client, server) = channel::<_, u8>(4);
    let late = client.try_call_with_timeout(1, Duration::ZERO).unwrap();
    let good = client.try_call(2).unwrap();
    assert_eq!(*server.try_recv().unwrap().unwrap().request(), 2);
    assert!(server.try_recv().unwrap().is_none());
    assert_eq!(block_on(late), Err(BoundaryError::Timeout));
    assert_eq!(block_on(good), Err(BoundaryError::Canceled));
    assert_eq!(client.stats(), stats(2, [0, 0, 1, 1, 0]));
    // Those that were tried in vain are passed over by all forms.
    let late = client.try_call_with_timeout(3, Duration::ZERO).unwrap();
    let result = block_on(server.recv_timeout(Duration::from_millis(1))).map(drop);
    assert_eq!(result, Err(BoundaryError::Timeout));
    drop(late);
    let mut batch = Vec::new();
    let late = client.try_call_with_timeout(4, Duration::ZERO).unwrap();
    let _good = client.try_call_with_timeout(5, LONG).unwrap();
    assert_eq!(block_on(server.recv_batch(&mut batch, 9)), Ok(1));
    assert_eq!(*batch[0].request(), 5);
    drop(late);
}

#[test]
fn the_handler_cannot_respond_after_the_deadline_and_the_ticket_learns_it() {
    let (client, server) = channel::<_, u8>(1);
    let ticket = client.try_call_with_timeout(1, Duration::from_millis(5)).unwrap();
    let request = server.try_recv().unwrap().unwrap();
    while !request.is_canceled() {
        thread::yield_now();
    }
    assert_eq!(request.respond(7).unwrap_err().kind(), BoundaryError::Timeout);
    assert_eq!(block_on(ticket), Err(BoundaryError::Timeout));
    assert_eq!(client.stats(), stats(1, [0, 0, 1, 0, 0]));
}

#[test]
fn a_request_that_is_dropped_at_its_deadline_is_late_and_not_cancelled() {
    let (client, server) = channel::<_, u8>(1);
    let mut ticket = client.try_call_with_timeout(1, Duration::from_millis(5)).unwrap();
    let mut request = server.try_recv().unwrap().unwrap();
    block_on(request.canceled());
    drop(request);
    // The handler learns of the deadline before the ticket does.
    assert_eq!(
        Arc::<Bell>::default().poll(Pin::new(&mut ticket)),
        Poll::Ready(Err(BoundaryError::Timeout))
    );
    assert_eq!(client.stats(), stats(1, [0, 0, 1, 0, 0]));
}

#[test]
fn a_reply_that_was_in_time_is_taken_after_the_deadline() {
    let (client, server) = channel::<_, u8>(1);
    let ticket = client.try_call_with_timeout(1, Duration::from_millis(50)).unwrap();
    let request = server.try_recv().unwrap().unwrap();
    // A machine that stood still for so long has nothing to show.
    if request.respond(7).is_ok() {
        thread::sleep(Duration::from_millis(50));
        assert_eq!(block_on(ticket), Ok(7));
    }
}

#[test]
fn waiting_with_a_timeout_ends_by_the_earlier_of_both() {
    let (client, server) = channel::<u8, u8>(4);
    let start = Instant::now();
    let short = Duration::from_millis(5);
    let ticket = client.try_call(1).unwrap();
    assert_eq!(block_on(ticket.wait_timeout(short)), Err(BoundaryError::Timeout));
    let ticket = client.try_call_with_timeout(2, short).unwrap();
    assert_eq!(block_on(ticket.wait_timeout(LONG)), Err(BoundaryError::Timeout));
    assert!(start.elapsed() >= 2 * short);
    assert_eq!(client.stats(), stats(2, [0, 0, 2, 0, 0]));
    assert_eq!(server.queued(), 0, "what timed out leaves the queue");
}

#[test]
fn a_dropped_ticket_takes_its_request_out_of_the_queue() {
    let value = Arc::new(());
    let (client, server) = channel::<_, u8>(1);
    drop(client.try_call(Arc::clone(&value)).unwrap());
    assert_eq!((Arc::strong_count(&value), server.queued()), (1, 0));
    let _ticket = client.try_call(Arc::clone(&value)).unwrap();
    assert_eq!(client.stats(), stats(2, [0, 0, 0, 1, 0]));
}

#[test]
fn the_handler_is_told_of_a_dropped_ticket() {
    let (client, server) = channel::<_, u8>(1);
    let ticket = client.try_call(1).unwrap();
    let mut request = server.try_recv().unwrap().unwrap();
    let bell = Arc::<Bell>::default();
    assert!(bell.poll(pin!(request.canceled())).is_pending());
    drop(ticket);
    assert_eq!(bell.rung(), 1);
    assert!(bell.poll(pin!(request.canceled())).is_ready());
    assert!(request.is_canceled());
    let error = request.respond(7).unwrap_err();
    assert_eq!((error.kind(), error.into_reply()), (BoundaryError::Canceled, 7));
    assert_eq!(client.stats(), stats(1, [0, 0, 0, 1, 0]));
}

#[test]
fn a_request_that_is_dropped_or_panicked_with_cancels_the_call() {
    let (client, server) = channel::<_, u8>(4);
    let tickets: Vec<_> = (0..3).map(|number| client.try_call(number).unwrap()).collect();
    drop(server.try_recv());
    assert_eq!(server.try_recv().unwrap().unwrap().into_request(), 1);
    let handler = thread::spawn(move || {
        let _request = server.try_recv().unwrap().unwrap();
        panic!("a handler of the test panics on purpose");
    });
    handler.join().unwrap_err();
    for ticket in tickets {
        assert_eq!(block_on(ticket), Err(BoundaryError::Canceled));
    }
    assert_eq!(client.stats(), stats(3, [0, 0, 0, 3, 0]));
}

#[test]
fn the_last_server_closes_what_is_queued_and_what_waits() {
    let (client, server) = channel::<_, u8>(1);
    let again = server.clone();
    let queued = client.try_call(1).unwrap();
    let bell = Arc::<Bell>::default();
    let mut waits = Box::pin(client.call(2));
    assert!(bell.poll(waits.as_mut()).is_pending());
    drop(server);
    assert!(!client.is_closed());
    drop(again);
    assert!(client.is_closed());
    assert_eq!(block_on(queued), Err(BoundaryError::Closed));
    let Poll::Ready(Err(error)) = bell.poll(waits.as_mut()) else { panic!("it is told") };
    assert_eq!(error.into_parts(), (BoundaryError::Closed, 2));
    assert_eq!(client.try_call(3).unwrap_err().kind(), BoundaryError::Closed);
    assert_eq!(block_on(client.call(4)).unwrap_err().kind(), BoundaryError::Closed);
    assert_eq!(client.stats(), stats(4, [0, 0, 0, 0, 4]));
}

#[test]
fn a_request_at_its_handler_outlives_the_server() {
    let (client, server) = channel::<_, u8>(1);
    let ticket = client.try_call(1).unwrap();
    let request = server.try_recv().unwrap().unwrap();
    drop(server);
    drop(client);
    request.respond(7).unwrap();
    assert_eq!(block_on(ticket), Ok(7));
}

#[test]
fn servers_get_what_is_left_and_then_the_end() {
    let (client, server) = channel::<_, u8>(4);
    let again = client.clone();
    let ticket = again.try_call(1).unwrap();
    drop((client, again));
    assert_eq!(*block_on(server.recv()).unwrap().request(), 1);
    assert_eq!(block_on(server.recv()).unwrap_err(), BoundaryError::Closed);
    assert_eq!(server.try_recv().unwrap_err(), BoundaryError::Closed);
    assert_eq!(block_on(server.recv_batch(&mut Vec::new(), 1)), Err(BoundaryError::Closed));
    drop(ticket);
}

#[test]
fn each_request_wakes_one_server_and_a_wake_is_passed_on() {
    let (client, server) = channel::<_, u8>(4);
    let bells: Vec<_> = (0..3).map(|_| Arc::<Bell>::default()).collect();
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(server.recv())).collect();
    for (bell, recv) in bells.iter().zip(&mut waiting) {
        assert!(bell.poll(recv.as_mut()).is_pending());
    }
    let rung = || bells.iter().map(|bell| bell.rung()).collect::<Vec<_>>();
    let _ticket = client.try_call(1).unwrap();
    assert_eq!(rung(), [1, 0, 0]);
    drop(waiting.remove(0));
    assert_eq!(rung(), [1, 1, 0]);
    assert!(bells[1].poll(waiting[0].as_mut()).is_ready());
    assert!(bells[2].poll(waiting[1].as_mut()).is_pending());
    drop(client);
    assert_eq!(rung(), [1, 1, 1]);
    assert!(bells[2].poll(waiting[1].as_mut()).is_ready());
}

#[test]
fn a_batch_takes_what_is_there_and_makes_room_for_as_many() {
    let (client, server) = channel::<_, u8>(3);
    let _tickets: Vec<_> = (0..3).map(|number| client.try_call(number).unwrap()).collect();
    let bells: Vec<_> = (0..3).map(|_| Arc::<Bell>::default()).collect();
    let mut waiting: Vec<_> = (3..6).map(|number| Box::pin(client.call(number))).collect();
    for (bell, call) in bells.iter().zip(&mut waiting) {
        assert!(bell.poll(call.as_mut()).is_pending());
    }
    let mut batch = Vec::new();
    assert_eq!(block_on(server.recv_batch(&mut batch, 0)), Ok(0));
    assert_eq!(block_on(server.recv_batch(&mut batch, 2)), Ok(2));
    assert_eq!(bells.iter().map(|bell| bell.rung()).collect::<Vec<_>>(), [1, 1, 0]);
    assert_eq!(block_on(server.recv_batch(&mut batch, 2)), Ok(1));
    assert_eq!(bells[2].rung(), 1);
    let numbers: Vec<_> = batch.iter().map(|request| *request.request()).collect();
    assert_eq!(numbers, [0, 1, 2]);
}

#[test]
fn the_numbers_of_a_channel_that_is_gone_are_kept_in_the_sum() {
    let before = stats_snapshot();
    let (client, server) = channel::<_, u8>(1);
    for number in 0..1_000 {
        drop(client.try_call(number));
    }
    drop((client, server));
    let after = stats_snapshot();
    assert!(after.calls >= before.calls + 1_000 && after.canceled >= before.canceled + 1_000);
}

#[test]
fn errors_say_what_happened() {
    let (client, server) = channel::<_, u8>(1);
    let ticket = client.try_call(1).unwrap();
    let full = client.try_call(2).unwrap_err();
    assert!(full.to_string().contains("1 request waits"), "{full}");
    assert_eq!(std::io::Error::from(full).kind(), std::io::ErrorKind::WouldBlock);
    drop(server);
    let closed = std::io::Error::from(block_on(ticket).unwrap_err());
    assert_eq!(closed.kind(), std::io::ErrorKind::BrokenPipe);
    assert_eq!(closed.to_string(), "the other side of the boundary is gone");
}
