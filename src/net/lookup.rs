//! Looking up host names: on a few short-lived threads, never on a shard.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::net::address::ToAddrs;
use crate::net::address::sealed::Wanted;

use resolver::Resolver;

mod resolver;

/// The resolver of the system.
static SYSTEM: Resolver = Resolver::new(|host, port| Ok((host, port).to_socket_addrs()?.collect()));

/// The addresses that something names.
///
/// Addresses are given back as they are; a host name is looked up by the system's resolver
/// (`getaddrinfo(3)`) on a thread of its own, so the shard goes on. At most 8 names of a process
/// are looked up at the same time, and at most 1024 more wait for their turn. Who asks for a name
/// that is being looked up gets the same answer.
///
/// # Errors
///
/// `InvalidInput` for text without host and port, `NotFound` for a list without addresses,
/// `WouldBlock` at the limit of waiting names, else what the resolver answers; the error names the
/// host.
///
/// # Cancel safety
///
/// When the future is dropped its name is not looked up any more, or its answer is dropped.
///
/// # Examples
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let mut addrs = spargio::net::lookup_host("localhost:80").await?;
/// assert!(addrs.any(|addr| addr.ip().is_loopback()));
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn lookup_host(host: impl ToAddrs) -> io::Result<impl Iterator<Item = SocketAddr>> {
    Ok(addresses(host.wanted()).await?.into_iter())
}

/// The addresses that are wanted; at least one.
pub(super) async fn addresses(wanted: io::Result<Wanted>) -> io::Result<Vec<SocketAddr>> {
    let (addrs, host) = match wanted? {
        Wanted::Known(addrs) => (addrs, None),
        Wanted::Host(host, port) => (SYSTEM.look_up(&host, port)?.await?, Some(host)),
    };
    if addrs.is_empty() {
        let what = host.map_or("the list of addresses is empty".to_owned(), |host| {
            format!("host {host:?} has no address")
        });
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    Ok(addrs)
}

#[cfg(test)]
mod tests;
