//! Random programs on a channel and on a list.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use crate::sync::mpsc::channel_from;
use crate::sync::mpsc::{OwnedPermit, Receiver, SendError, Sender, TryRecvError, TrySendError};
use crate::sync::testing::Bell;

#[derive(Clone, Copy, Debug)]
enum Step {
    TrySend,
    Wait,
    PollWaiter(usize),
    DropWaiter(usize),
    UsePermit(usize),
    DropPermit(usize),
    TryRecv,
    PollRecv,
    RecvMany(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => Just(Step::TrySend),
        30 => Just(Step::Wait),
        30 => any::<usize>().prop_map(Step::PollWaiter),
        15 => any::<usize>().prop_map(Step::DropWaiter),
        20 => any::<usize>().prop_map(Step::UsePermit),
        15 => any::<usize>().prop_map(Step::DropPermit),
        20 => Just(Step::TryRecv),
        20 => Just(Step::PollRecv),
        10 => (1..4_usize).prop_map(Step::RecvMany),
        1 => Just(Step::Close),
    ]
}

type Reserve = Pin<Box<dyn Future<Output = Result<OwnedPermit<u32>, SendError<()>>>>>;

struct Waiter {
    future: Reserve,
    bell: Arc<Bell>,
    /// What the model says.
    granted: Option<bool>,
}

/// The channel, and what it should be.
struct World {
    sender: Sender<u32>,
    receiver: Receiver<u32>,
    receiver_bell: Arc<Bell>,
    capacity: usize,
    queue: VecDeque<u32>,
    permits: Vec<OwnedPermit<u32>>,
    /// In the order of the line.
    waiters: VecDeque<Waiter>,
    closed: bool,
    receiver_waits: bool,
    receiver_wakes: usize,
    next: u32,
}

impl World {
    fn new(capacity: usize, first: u32) -> Self {
        let (sender, receiver) = channel_from(capacity, first);
        Self {
            sender,
            receiver,
            receiver_bell: Bell::new(),
            capacity,
            queue: VecDeque::new(),
            permits: Vec::new(),
            waiters: VecDeque::new(),
            closed: false,
            receiver_waits: false,
            receiver_wakes: 0,
            next: 0,
        }
    }

    fn granted(&self) -> usize {
        self.waiters.iter().filter(|waiter| waiter.granted == Some(true)).count()
    }

    fn free(&self) -> usize {
        self.capacity - self.queue.len() - self.permits.len() - self.granted()
    }

    /// Room has become free: it goes to who waits longest.
    fn hand_out(&mut self) {
        while self.free() > 0 {
            match self.waiters.iter_mut().find(|waiter| waiter.granted.is_none()) {
                Some(waiter) => waiter.granted = Some(true),
                None => break,
            }
        }
    }

    fn is_over(&self) -> bool {
        self.closed && self.queue.is_empty() && self.permits.is_empty() && self.granted() == 0
    }

    fn wake_receiver(&mut self) {
        if self.receiver_waits {
            self.receiver_waits = false;
            self.receiver_wakes += 1;
        }
    }

    fn sent(&mut self, message: u32) {
        if self.queue.is_empty() {
            self.wake_receiver();
        }
        self.queue.push_back(message);
    }

    fn given_back(&mut self) {
        let granted = self.granted();
        self.hand_out();
        if self.closed && self.granted() == granted {
            self.wake_receiver();
        }
    }

    fn name(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::TrySend => self.try_send(),
            Step::Wait => {
                let future = Box::pin(self.sender.clone().reserve_owned());
                self.waiters.push_back(Waiter { future, bell: Bell::new(), granted: None });
                // Not in line before it is polled.
                let last = self.waiters.len() - 1;
                let ready = self.free() > 0
                    && self.waiters.iter().take(last).all(|waiter| waiter.granted.is_some());
                if self.closed {
                    self.waiters[last].granted = Some(false);
                } else if ready {
                    self.waiters[last].granted = Some(true);
                }
                self.poll_waiter(last);
            }
            Step::PollWaiter(pick) if !self.waiters.is_empty() => {
                self.poll_waiter(pick % self.waiters.len());
            }
            Step::DropWaiter(pick) if !self.waiters.is_empty() => {
                let waiter = self.waiters.remove(pick % self.waiters.len()).unwrap();
                let granted = waiter.granted;
                drop(waiter);
                if granted == Some(true) {
                    self.given_back();
                }
            }
            Step::UsePermit(pick) if !self.permits.is_empty() => {
                let permit = self.permits.swap_remove(pick % self.permits.len());
                let message = self.name();
                drop(permit.send(message));
                self.sent(message);
            }
            Step::DropPermit(pick) if !self.permits.is_empty() => {
                drop(self.permits.swap_remove(pick % self.permits.len()));
                self.given_back();
            }
            Step::PollWaiter(_)
            | Step::DropWaiter(_)
            | Step::UsePermit(_)
            | Step::DropPermit(_) => {}
            Step::TryRecv => {
                let expected = match self.queue.pop_front() {
                    Some(message) => Ok(message),
                    None if self.is_over() => Err(TryRecvError::Closed),
                    None => Err(TryRecvError::Empty),
                };
                assert_eq!(self.receiver.try_recv(), expected);
                self.hand_out();
            }
            Step::PollRecv => {
                let expected = match self.queue.pop_front() {
                    Some(message) => Poll::Ready(Some(message)),
                    None if self.is_over() => Poll::Ready(None),
                    None => Poll::Pending,
                };
                self.receiver_waits |= expected == Poll::Pending;
                let waker = self.receiver_bell.waker();
                let polled = self.receiver.poll_recv(&mut Context::from_waker(&waker));
                assert_eq!(polled, expected);
                self.hand_out();
            }
            Step::RecvMany(limit) if !self.queue.is_empty() => {
                let mut taken = Vec::new();
                let waker = self.receiver_bell.waker();
                let mut cx = Context::from_waker(&waker);
                let count = self.receiver.poll_recv_many(&mut cx, &mut taken, limit);
                let expected = limit.min(self.queue.len());
                assert_eq!(count, Poll::Ready(expected));
                assert_eq!(taken, self.queue.drain(..expected).collect::<Vec<_>>());
                self.hand_out();
            }
            Step::RecvMany(_) => {}
            Step::Close => {
                self.receiver.close();
                self.closed = true;
                for waiter in &mut self.waiters {
                    waiter.granted.get_or_insert(false);
                }
            }
        }
    }

    fn try_send(&mut self) {
        let message = self.name();
        let expected = if self.closed {
            Err(TrySendError::Closed { message })
        } else if self.free() == 0 {
            Err(TrySendError::Full { message, capacity: self.capacity })
        } else {
            Ok(())
        };
        assert_eq!(self.sender.try_send(message), expected);
        if expected.is_ok() {
            self.sent(message);
        }
    }

    fn poll_waiter(&mut self, index: usize) {
        let waiter = &mut self.waiters[index];
        let polled = waiter.bell.poll(waiter.future.as_mut());
        match (polled, waiter.granted) {
            (Poll::Pending, None) => return,
            (Poll::Ready(Ok(permit)), Some(true)) => self.permits.push(permit),
            (Poll::Ready(Err(SendError(()))), Some(false)) => {}
            (polled, granted) => panic!("{granted:?} and {polled:?}"),
        }
        drop(self.waiters.remove(index));
    }

    fn check(&self) {
        assert_eq!(self.receiver_bell.rung(), self.receiver_wakes, "wakes of the receiver");
        for waiter in &self.waiters {
            assert_eq!(waiter.bell.rung(), usize::from(waiter.granted.is_some()));
        }
        assert_eq!(self.sender.capacity(), self.free());
    }
}

proptest! {
    #[test]
    fn the_channel_does_as_the_list(
        capacity in 1..6_usize,
        first in prop_oneof![Just(0), Just(u32::MAX), Just(u32::MAX - 9)],
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        // Positions are counted around.
        let mut world = World::new(capacity, first);
        for step in steps {
            world.step(step);
            world.check();
        }
    }
}
