//! Waiting for messages, on the shard that they are for.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::message::{Event, Kind};
use crate::port::{self, Port};

/// The future of [`ShardCtx::next_event`](crate::ShardCtx::next_event) and
/// [`ShardCtx::next_hot_event`](crate::ShardCtx::next_hot_event).
///
/// Several tasks of a shard may wait: each event goes to one of them, the first come first as a
/// rule.
///
/// # Cancel safety
///
/// Dropping it loses no event: the next to ask gets it. After it was ready it waits for another.
#[must_use = "an event is taken when the future is polled"]
pub struct NextEvent {
    kind: Kind,
    /// That of the waker which was left.
    key: Option<u64>,
    not_send: PhantomData<*const ()>,
}

/// The future of [`ShardCtx::next_hot_count`](crate::ShardCtx::next_hot_count).
///
/// # Cancel safety
///
/// Dropping it takes nothing of the count. After it was ready it waits for more.
#[must_use = "a count is taken when the future is polled"]
pub struct NextHotCount {
    tag: u16,
    key: Option<u64>,
    not_send: PhantomData<*const ()>,
}

impl NextEvent {
    /// On the thread of the shard only.
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, key: None, not_send: PhantomData }
    }

    /// Looks for an event in the lanes, or leaves the waker. Apart from [`poll`](Self::poll), which
    /// is short without it.
    #[inline(never)]
    fn look(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let Self { kind, key, .. } = self;
        on_budget(cx, |port, cx| {
            let desk = port.desk();
            if key.is_none() && desk.expects_message(*kind) {
                port.look_out();
            }
            desk.poll_event(*kind, key, cx.waker(), |waker| port.wake_task(waker))
        })
    }
}

impl NextHotCount {
    /// On the thread of the shard only.
    ///
    /// # Panics
    ///
    /// If the tag is not counted.
    #[track_caller]
    pub(super) fn new(tag: u16) -> Self {
        let is_counted = port::with(|port| port.is_none_or(|port| port.desk().hub().counts(tag)));
        assert!(
            is_counted,
            "tag {tag} is not counted, so its count would be waited for in vain; name it with \
             `coalesced_hot_msg_tag` of the builder"
        );
        Self { tag, key: None, not_send: PhantomData }
    }
}

impl Future for NextEvent {
    type Output = Event;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Event> {
        let this = self.get_mut();
        // Most events lie here when they are asked for, and nobody has waited for them.
        if this.key.is_none()
            && let Some(event) = port::with(|port| port?.next_event(this.kind))
        {
            return Poll::Ready(event);
        }
        this.look(cx)
    }
}

impl Future for NextHotCount {
    type Output = u64;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        let Self { tag, key, .. } = self.get_mut();
        on_budget(cx, |port, cx| port.desk().poll_count(*tag, key, cx.waker()))
    }
}

/// Asks the shard, as one of the ready operations that a poll of a task may have.
fn on_budget<T>(
    cx: &mut Context<'_>,
    ask: impl FnOnce(&dyn Port, &mut Context<'_>) -> Option<T>,
) -> Poll<T> {
    port::with(|port| {
        // Without a shard, at the end of its thread, nothing comes any more.
        let Some(port) = port else { return Poll::Pending };
        if !port.consume_budget() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ask(port, cx).map_or(Poll::Pending, Poll::Ready)
    })
}

impl Drop for NextEvent {
    #[inline]
    fn drop(&mut self) {
        // As a rule it was ready, and no waker lies there.
        if self.key.is_none() {
            return;
        }
        port::with(|port| {
            if let Some(port) = port {
                let wake = |waker| port.wake_task(waker);
                port.desk().forget_event(self.kind, &mut self.key, wake);
            }
        });
    }
}

impl Drop for NextHotCount {
    fn drop(&mut self) {
        if self.key.is_none() {
            return;
        }
        port::with(|port| {
            if let Some(port) = port {
                port.desk().forget_count(self.tag, &mut self.key);
            }
        });
    }
}

impl fmt::Debug for NextEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextEvent").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Debug for NextHotCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextHotCount").field("tag", &self.tag).finish_non_exhaustive()
    }
}
