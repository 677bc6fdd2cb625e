//! The answers of an operation between its shard and its reader.

use std::collections::VecDeque;
use std::io;
use std::mem::take;
use std::task::{Poll, Waker};

use crate::native::cqe::UringCqe;
use crate::primitive::{Mutex, lock};

/// Where the shard leaves answers for the reader.
///
/// No lock is held while a waker is woken, cloned or dropped, nor while the user's code runs.
pub(super) struct Mail<T> {
    state: Mutex<State>,
    each: Box<dyn Fn(UringCqe) -> io::Result<T> + Send + Sync>,
}

struct State {
    unread: VecDeque<io::Result<UringCqe>>,
    limit: usize,
    reader: Option<Waker>,
    /// Woken, it gives the operation up.
    curb: Option<Waker>,
    is_full: bool,
    is_over: bool,
    /// Nobody takes anything any more.
    is_abandoned: bool,
}

impl<T> Mail<T> {
    /// Without any answers; at `limit` of them `curb` is to be woken.
    pub(super) fn new(
        limit: usize,
        each: impl Fn(UringCqe) -> io::Result<T> + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            unread: VecDeque::new(),
            limit,
            reader: None,
            curb: None,
            is_full: false,
            is_over: false,
            is_abandoned: false,
        };
        Self { state: Mutex::new(state), each: Box::new(each) }
    }

    /// Another limit, at least 1.
    pub(super) fn set_limit(&self, limit: usize) {
        lock(&self.state).limit = limit.max(1);
    }

    /// Whom to wake at the limit, besides the reader.
    pub(super) fn set_curb(&self, curb: Waker) {
        let before = lock(&self.state).curb.replace(curb);
        drop(before);
    }

    /// The reader, who is to be woken.
    pub(super) fn take_reader(&self) -> Option<Waker> {
        lock(&self.state).reader.take()
    }

    /// The next answer, `None` after the last one; while there is none the waker stays.
    pub(super) fn look(&self, waker: &Waker) -> Poll<Option<io::Result<T>>> {
        let waker = waker.clone();
        let mut state = lock(&self.state);
        let answer = state.unread.pop_front();
        if answer.is_none() && !state.is_over {
            let before = state.reader.replace(waker);
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        drop(state);
        Poll::Ready(answer.map(|answer| (self.each)(answer?)))
    }

    /// An answer that is not the last. Whom to wake.
    pub(super) fn push(&self, answer: UringCqe) -> Option<Waker> {
        let mut state = lock(&self.state);
        state.unread.push_back(Ok(answer));
        if !state.is_full && state.unread.len() >= state.limit {
            state.is_full = true;
            // It wakes the reader as well.
            return state.curb.take();
        }
        state.reader.take()
    }

    /// The last answer, or why there is none. Whom to wake.
    pub(super) fn end(&self, answer: io::Result<UringCqe>) -> Option<Waker> {
        let mut state = lock(&self.state);
        if state.is_over {
            return None;
        }
        state.is_over = true;
        let cancelled = answer.as_ref().map_or_else(is_cancelled, |it| it.result == CANCELLED);
        let answer = if state.is_full && cancelled {
            let text = format!("{} answers were not taken, which is the limit", state.limit);
            Err(io::Error::new(io::ErrorKind::WouldBlock, text))
        } else {
            answer
        };
        state.unread.push_back(answer);
        state.reader.take()
    }

    /// The reader is gone: from here on answers are made into outputs and dropped.
    pub(super) fn abandon(&self) {
        let reader = {
            let mut state = lock(&self.state);
            state.is_abandoned = true;
            state.reader.take()
        };
        drop(reader);
        self.discard();
    }

    /// Makes outputs of what nobody takes, and drops them.
    pub(super) fn discard(&self) {
        loop {
            let unread = {
                let mut state = lock(&self.state);
                if state.is_abandoned { take(&mut state.unread) } else { VecDeque::new() }
            };
            if unread.is_empty() {
                return;
            }
            for answer in unread.into_iter().flatten() {
                drop((self.each)(answer));
            }
        }
    }
}

const CANCELLED: i32 = -libc::ECANCELED;

fn is_cancelled(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECANCELED)
}
