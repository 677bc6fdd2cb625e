//! The queue between clients and servers, and who waits at either end of it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::boundary::BoundaryError;
use crate::boundary::stats::Ledger;
use crate::contain;
use crate::port::{self, Port};
use crate::primitive::{AtomicUsize, Mutex, MutexGuard, Ordering, lock};
use crate::sync::{Fifo, Granted, Key, Look, Place, WaitList, oneshot, poll_place};

/// What both sides share. One short lock: whoever takes it moves a request or a waker and goes.
pub(super) struct Channel<Q, R> {
    state: Mutex<State<Q, R>>,
    capacity: usize,
    clients: AtomicUsize,
    servers: AtomicUsize,
    pub(super) ledger: Ledger,
}

pub(super) struct State<Q, R> {
    queue: Fifo<Envelope<Q, R>>,
    /// Room that was granted and is not used yet.
    promised: usize,
    for_room: WaitList<Room>,
    for_requests: WaitList<Arrival>,
    clients_gone: bool,
    servers_gone: bool,
}

impl<Q, R> AsMut<WaitList<Room>> for State<Q, R> {
    fn as_mut(&mut self) -> &mut WaitList<Room> {
        &mut self.for_room
    }
}

impl<Q, R> AsMut<WaitList<Arrival>> for State<Q, R> {
    fn as_mut(&mut self) -> &mut WaitList<Arrival> {
        &mut self.for_requests
    }
}

/// How the wait for room ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Room {
    Granted,
    /// The servers are gone.
    Closed,
}

/// A server is to look at the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Arrival;

/// The way back of a request: a reply, or why there is none.
pub(super) type ReplySender<R> = oneshot::Sender<Result<R, BoundaryError>>;
pub(super) type ReplyReceiver<R> = oneshot::Receiver<Result<R, BoundaryError>>;

/// A request in the queue.
pub(super) struct Envelope<Q, R> {
    pub(super) request: Q,
    pub(super) deadline: Option<Instant>,
    pub(super) reply: ReplySender<R>,
}

/// What a ticket needs of the channel, whatever the requests are.
pub(super) trait Withdraw: Send + Sync {
    /// Takes a request out of the queue, if it is there.
    fn withdraw(&self, key: Key);

    fn ledger(&self) -> &Ledger;
}

impl<Q, R> Channel<Q, R> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State {
            queue: Fifo::new(),
            promised: 0,
            for_room: WaitList::new(),
            for_requests: WaitList::new(),
            clients_gone: false,
            servers_gone: false,
        };
        Self {
            state: Mutex::new(state),
            capacity,
            clients: AtomicUsize::new(1),
            servers: AtomicUsize::new(1),
            ledger: Ledger::new(),
        }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many requests wait.
    pub(super) fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    /// Whether no request will come any more.
    pub(super) fn is_over(&self) -> bool {
        let state = self.lock();
        state.clients_gone && state.queue.is_empty()
    }

    pub(super) fn servers_gone(&self) -> bool {
        self.lock().servers_gone
    }

    fn lock(&self) -> MutexGuard<'_, State<Q, R>> {
        lock(&self.state)
    }

    fn has_room(&self, state: &State<Q, R>) -> bool {
        state.queue.len() + state.promised < self.capacity
    }

    /// Puts a request into the queue if there is room and nobody waits for it.
    pub(super) fn try_enter(
        &self,
        request: Q,
        deadline: Option<Instant>,
    ) -> Result<(Key, ReplyReceiver<R>), (BoundaryError, Q)> {
        let state = self.lock();
        if state.servers_gone {
            return Err((BoundaryError::Closed, request));
        }
        if !state.for_room.is_empty() || !self.has_room(&state) {
            return Err((BoundaryError::Overloaded, request));
        }
        Ok(Self::enter(state, request, deadline))
    }

    /// Puts a request into room that was granted.
    pub(super) fn enter_granted(
        &self,
        request: Q,
        deadline: Option<Instant>,
    ) -> Result<(Key, ReplyReceiver<R>), (BoundaryError, Q)> {
        let mut state = self.lock();
        state.promised -= 1;
        if state.servers_gone {
            return Err((BoundaryError::Closed, request));
        }
        Ok(Self::enter(state, request, deadline))
    }

    fn enter(
        mut state: MutexGuard<'_, State<Q, R>>,
        request: Q,
        deadline: Option<Instant>,
    ) -> (Key, ReplyReceiver<R>) {
        let (reply, receiver) = oneshot::channel();
        let key = state.queue.push(Envelope { request, deadline, reply });
        let granted = state.for_requests.grant_first(Arrival);
        drop(state);
        if let Ok(granted) = granted {
            granted.wake();
        }
        (key, receiver)
    }

    /// Grants room to whoever waits longest, if there is some. Under the lock.
    fn grant_room(&self, state: &mut State<Q, R>) -> Option<Granted> {
        if !self.has_room(state) {
            return None;
        }
        let granted = state.for_room.grant_first(Room::Granted).ok()?;
        state.promised += 1;
        Some(granted)
    }

    /// Grants all room that there is.
    fn hand_out(&self) {
        loop {
            let mut state = self.lock();
            let granted = self.grant_room(&mut state);
            drop(state);
            match granted {
                Some(granted) => granted.wake(),
                None => return,
            }
        }
    }

    /// Takes a request out of the queue.
    pub(super) fn take(&self) -> Option<Envelope<Q, R>> {
        let mut taken = None;
        self.take_from(self.lock(), 1, |envelope| taken = Some(envelope));
        taken
    }

    /// Takes requests out of the queue, at most `limit`.
    fn take_from(
        &self,
        mut state: MutexGuard<'_, State<Q, R>>,
        limit: usize,
        mut keep: impl FnMut(Envelope<Q, R>),
    ) {
        let waited_for = !state.for_room.is_empty();
        let mut taken = 0;
        while taken < limit
            && let Some(envelope) = state.queue.pop()
        {
            keep(envelope);
            taken += 1;
        }
        drop(state);
        if waited_for {
            self.hand_out();
        }
    }

    /// Tells the client of a request that will not be handled, and drops the request.
    pub(super) fn reject(envelope: Envelope<Q, R>, why: BoundaryError) {
        // An error: the ticket is gone, and knows.
        let _ = envelope.reply.send(Err(why)); // See above.
        contain::guard(|| drop(envelope.request));
    }

    pub(super) fn add_client(&self) {
        // Relaxed: whoever adds one has one.
        self.clients.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_client(&self) {
        // Relaxed: what the last one says is said under the lock.
        if self.clients.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        self.lock().clients_gone = true;
        loop {
            let granted = self.lock().for_requests.grant_first(Arrival);
            match granted {
                Ok(granted) => granted.wake(),
                Err(Arrival) => return,
            }
        }
    }

    pub(super) fn add_server(&self) {
        // Relaxed: whoever adds one has one.
        self.servers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_server(&self) {
        // Relaxed: what the last one says is said under the lock.
        if self.servers.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        self.lock().servers_gone = true;
        loop {
            let left = self.lock().queue.pop();
            match left {
                Some(envelope) => Self::reject(envelope, BoundaryError::Closed),
                None => break,
            }
        }
        loop {
            let granted = self.lock().for_room.grant_first(Room::Closed);
            match granted {
                Ok(granted) => granted.wake(),
                Err(_) => return,
            }
        }
    }
}

impl<Q: Send, R: Send> Withdraw for Channel<Q, R> {
    fn withdraw(&self, key: Key) {
        let mut state = self.lock();
        let Some(envelope) = state.queue.remove(key) else { return };
        let granted = self.grant_room(&mut state);
        drop(state);
        if let Some(granted) = granted {
            granted.wake();
        }
        drop(envelope);
    }

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

/// Waits for room, first come first served. Room that it was granted and that nobody used is passed
/// on when it is dropped.
pub(super) struct ForRoom<'a, Q, R> {
    channel: &'a Channel<Q, R>,
    place: Option<Place>,
}

impl<'a, Q, R> ForRoom<'a, Q, R> {
    pub(super) const fn new(channel: &'a Channel<Q, R>) -> Self {
        Self { channel, place: None }
    }

    fn begin(&mut self, waker: &Waker) -> Poll<Room> {
        let waker = waker.clone();
        let mut state = self.channel.lock();
        let now = if state.servers_gone {
            Room::Closed
        } else if state.for_room.is_empty() && self.channel.has_room(&state) {
            state.promised += 1;
            Room::Granted
        } else {
            self.place = Some(state.for_room.join(Some(waker)));
            return Poll::Pending;
        };
        drop(state);
        drop(waker);
        Poll::Ready(now)
    }
}

impl<Q, R> Future for ForRoom<'_, Q, R> {
    type Output = Room;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Room> {
        let Some(place) = &self.place else { return self.begin(cx.waker()) };
        match poll_place::<Room, _>(|| self.channel.lock(), place, cx.waker()) {
            Some(room) => {
                self.place = None;
                Poll::Ready(room)
            }
            None => Poll::Pending,
        }
    }
}

impl<Q, R> Drop for ForRoom<'_, Q, R> {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let mut state = self.channel.lock();
        let (room, waker) = state.for_room.leave(place);
        let granted = if room == Some(Room::Granted) {
            state.promised -= 1;
            self.channel.grant_room(&mut state)
        } else {
            None
        };
        drop(state);
        contain::guard(|| drop(waker));
        if let Some(granted) = granted {
            granted.wake();
        }
    }
}

/// Waits for requests.
pub(super) struct ForRequests<'a, Q, R> {
    channel: &'a Channel<Q, R>,
    place: Option<Place>,
    /// It was woken for a request, and has taken none: the wake is to be passed on.
    owes: bool,
}

impl<'a, Q, R> ForRequests<'a, Q, R> {
    pub(super) const fn new(channel: &'a Channel<Q, R>) -> Self {
        Self { channel, place: None, owes: false }
    }

    /// Takes up to `limit` requests, at least one, or says that none will come.
    pub(super) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
        keep: impl FnMut(Envelope<Q, R>),
    ) -> Poll<Result<(), BoundaryError>> {
        // Cloned while nothing is locked: it may be anybody's code.
        let mut spare = None;
        loop {
            let mut state = self.channel.lock();
            if let Some(place) = &self.place {
                match state.for_requests.look(place, cx.waker()) {
                    Look::Granted(Arrival) => {
                        self.place = None;
                        self.owes = true;
                    }
                    Look::Waits => return Poll::Pending,
                    Look::Changed => {
                        let Some(waker) = spare.take() else {
                            drop(state);
                            spare = Some(cx.waker().clone());
                            continue;
                        };
                        let before = state.for_requests.change(place, waker);
                        drop(state);
                        drop(before);
                        return Poll::Pending;
                    }
                }
            }
            if !state.queue.is_empty() {
                if !port::with(|port| port.is_none_or(Port::consume_budget)) {
                    drop(state);
                    cx.waker().wake_by_ref();
                    // If it is dropped before that, somebody else is to look.
                    self.owes = true;
                    return Poll::Pending;
                }
                self.channel.take_from(state, limit, keep);
                self.owes = false;
                return Poll::Ready(Ok(()));
            }
            if state.clients_gone {
                return Poll::Ready(Err(BoundaryError::Closed));
            }
            if let Some(waker) = spare.take() {
                self.owes = false;
                self.place = Some(state.for_requests.join(Some(waker)));
                return Poll::Pending;
            }
            drop(state);
            spare = Some(cx.waker().clone());
        }
    }
}

impl<Q, R> Drop for ForRequests<'_, Q, R> {
    fn drop(&mut self) {
        let mut waker = None;
        if let Some(place) = self.place.take() {
            let (arrival, left) = self.channel.lock().for_requests.leave(place);
            self.owes |= arrival.is_some();
            waker = left;
        }
        contain::guard(|| drop(waker));
        if !self.owes {
            return;
        }
        let mut state = self.channel.lock();
        if state.queue.is_empty() {
            return;
        }
        let granted = state.for_requests.grant_first(Arrival);
        drop(state);
        if let Ok(granted) = granted {
            granted.wake();
        }
    }
}
