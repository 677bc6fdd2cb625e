//! The end of a connection that sends everything back.

use std::future::Future;
use std::net::SocketAddr;

use super::{LOOPBACK, failed};
use crate::measure::Wrong;
use crate::runtimes::{Listener, Receiver, Runtime, Sender, Stream};

/// Where a task is put.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// Anywhere, or on the thread of this turn where nobody steals.
    Turn(usize),
    /// On this thread, for good.
    Thread(usize),
}

impl Place {
    /// Spawns a task there.
    pub(super) fn spawn<R, F>(self, runtime: &R, future: F) -> R::Join<F::Output>
    where
        R: Runtime,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self {
            Self::Turn(turn) => runtime.spread(turn, future),
            Self::Thread(thread) => runtime.spawn_on(thread, future),
        }
    }
}

/// A task that serves, as a rule one connection, whose requests it sends back.
pub(super) struct Server<R: Runtime, A = SocketAddr> {
    pub(super) addr: A,
    task: R::Join<Result<u64, Wrong>>,
}

impl<R: Runtime> Server<R> {
    /// Starts one that reads up to so many bytes at a time; returns when it listens.
    pub(super) async fn start(runtime: &R, place: Place, buffer: usize) -> Result<Self, Wrong> {
        let binding = runtime.clone();
        let serve = move |tell: R::Sender<SocketAddr>| async move {
            let mut listener = binding.bind(LOOPBACK).await.map_err(failed("bind"))?;
            tell.send(listener.local_addr().map_err(failed("local_addr"))?);
            let stream = listener.accept().await.map_err(failed("accept"))?;
            echo(stream, buffer).await
        };
        Self::start_with(runtime, place, serve).await
    }
}

impl<R: Runtime, A: Send + 'static> Server<R, A> {
    /// Starts one that says through the channel where it listens, and returns how many bytes it
    /// sent back; returns when it listens.
    pub(super) async fn start_with<F>(
        runtime: &R,
        place: Place,
        serve: impl FnOnce(R::Sender<A>) -> F,
    ) -> Result<Self, Wrong>
    where
        F: Future<Output = Result<u64, Wrong>> + Send + 'static,
    {
        let (tell, mut told) = R::channel::<A>(Some(1));
        let task = place.spawn(runtime, serve(tell));
        match told.receive().await {
            Some(addr) => Ok(Self { addr, task }),
            // It has ended, so it says why.
            None => Err(task.await.err().unwrap_or_else(|| Wrong("no server came up".to_owned()))),
        }
    }

    /// Waits until it has ended, which it does when its clients close; how many bytes it sent back.
    pub(super) async fn end(self) -> Result<u64, Wrong> {
        self.task.await
    }
}

/// Sends back what comes until the peer closes; how many bytes.
pub(super) async fn echo<S: Stream>(mut stream: S, buffer: usize) -> Result<u64, Wrong> {
    let mut buf = Vec::with_capacity(buffer);
    let mut echoed = 0;
    loop {
        let (result, received) = stream.read(buf).await;
        match result.map_err(failed("read"))? {
            0 => return Ok(echoed),
            length => echoed += length as u64,
        }
        let (result, sent) = stream.write_all(received).await;
        result.map_err(failed("write_all of the server"))?;
        buf = sent;
    }
}
