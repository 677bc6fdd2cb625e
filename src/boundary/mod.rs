//! Bounded requests and replies between a runtime of this crate and any other executor.
//!
//! A [`channel`] has two sides. A [`BoundaryClient`] sends a request and gets a [`BoundaryTicket`],
//! a future of the reply. A [`BoundaryServer`] receives requests, each as a [`BoundaryRequest`]
//! that carries the way back. Either side may live on a shard, in a task of another runtime, or on
//! a plain thread with a `block_on` of its own: both wake each other with wakers, and neither
//! polls.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! let runtime = spargio::Runtime::builder().shards(1).build()?;
//! let (client, server) = spargio::boundary::channel::<u64, u64>(64);
//! runtime.handle().spawn_stealable(async move {
//!     while let Ok(request) = server.recv().await {
//!         let double = request.request() * 2;
//!         // An error: the client does not want it any more.
//!         let _ = request.respond(double);
//!     }
//! })?;
//!
//! // The other half of the program is on tokio.
//! let tokio = tokio::runtime::Builder::new_current_thread().build()?;
//! let reply = tokio.block_on(async {
//!     let ticket = client.call_with_timeout(21, Duration::from_secs(5)).await?;
//!     Ok::<_, Box<dyn std::error::Error>>(ticket.await?)
//! })?;
//! assert_eq!(reply, 42);
//! # Ok(())
//! # }
//! ```
//!
//! # What becomes of a call
//!
//! Every call ends in exactly one of these, and the [statistics](BoundaryStats) count it once:
//!
//! | It is | when |
//! |---|---|
//! | answered | the handler responded before the deadline, to a ticket that was there |
//! | overloaded | there was no room in the queue, and the call was one that does not wait |
//! | timed out | its deadline passed before it had room, in the queue, or at the handler |
//! | cancelled | its future or ticket was dropped, or the handler dropped it without a reply |
//! | closed | the other side was gone |
//!
//! A call that is refused gives the request back ([`CallError`]), and a reply that is refused gives
//! the reply back ([`RespondError`]).
//!
//! # Deadlines
//!
//! A deadline travels with the request. It bounds the wait for room in the queue; a request whose
//! deadline passes in the queue is never handed to a handler; the handler sees it
//! ([`BoundaryRequest::deadline`]) and cannot respond after it; and the ticket is ready with
//! [`BoundaryError::Timeout`] when it passes, whatever the handler does.
//!
//! # Cancellation
//!
//! Dropping a ticket takes the request out of the queue if it is still there, which makes room at
//! once, and else tells the handler ([`BoundaryRequest::canceled`]). A handler that panics or is
//! aborted drops its request, and the ticket is ready with [`BoundaryError::Canceled`].

use crate::primitive::Arc;

mod channel;
mod client;
mod error;
mod request;
mod server;
mod stats;
mod ticket;

#[cfg(test)]
mod tests;

pub use client::BoundaryClient;
pub use error::{BoundaryError, CallError, RespondError};
pub use request::{BoundaryReply, BoundaryRequest};
pub use server::BoundaryServer;
pub use stats::{BoundaryStats, stats_snapshot};
pub use ticket::BoundaryTicket;

use channel::Channel;

/// Makes a channel whose queue holds `capacity` requests, or 1 if that is 0.
///
/// The capacity bounds the requests that no handler has received yet; how many are with handlers is
/// for the servers to bound. Memory is taken as the queue grows, and for each request that is under
/// way.
pub fn channel<Q, R>(capacity: usize) -> (BoundaryClient<Q, R>, BoundaryServer<Q, R>) {
    let channel = Arc::new(Channel::new(capacity.max(1)));
    (BoundaryClient::new(Arc::clone(&channel)), BoundaryServer::new(channel))
}
