//! Workloads over sockets: both ends of each connection are tasks of the runtime under test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::failed::failed;
use super::{Entry, Floor, Spec, Stage, Workload, entry};

mod by_hand;
mod client;
mod echo;
mod pattern;
mod server;
mod stream;

/// Bytes of a large frame.
const FRAME: usize = 4096;
/// Bytes that a server for large frames reads at most at a time.
const READ: usize = 16 * 1024;
/// Large frames that are under way at the same time.
const WINDOW: u64 = 32;

/// Any port of this machine.
const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(super) fn all() -> Vec<Entry> {
    vec![entry::<echo::Apart>(), entry::<echo::OneThread>(), entry::<stream::Throughput>()]
}
