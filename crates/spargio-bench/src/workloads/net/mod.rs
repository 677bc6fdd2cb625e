//! Workloads over sockets: both ends of each connection are tasks of the runtime under test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::failed::failed;
use super::{Entry, Floor, Headline, Spec, Stage, Workload, entry};

mod beside_compute;
mod by_hand;
mod churn;
mod client;
mod crew;
mod deadline;
mod echo;
mod first_k;
mod hotspot;
mod ingress;
mod keyed;
mod many;
mod microservice;
mod mixed_planes;
mod pattern;
mod server;
mod service;
mod sparse;
mod steps;
mod stream;
mod udp;
mod udp_by_hand;
mod unix;

/// Bytes of a large frame.
const FRAME: usize = 4096;
/// Bytes that a server for large frames reads at most at a time.
const READ: usize = 16 * 1024;
/// Large frames that are under way at the same time.
const WINDOW: u64 = 32;

/// Any port of this machine.
const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(super) fn all() -> Vec<Entry> {
    vec![
        entry::<echo::Apart>(),
        entry::<echo::OneThread>(),
        entry::<unix::Echo>(),
        entry::<udp::RoundTrips>(),
        entry::<udp::Windows>(),
        entry::<stream::Throughput>(),
        entry::<hotspot::Imbalanced>(),
        entry::<hotspot::ImbalancedPaired>(),
        entry::<hotspot::Rotation>(),
        entry::<hotspot::BurstFlip>(),
        entry::<hotspot::Pipeline>(),
        entry::<keyed::Keyed>(),
        entry::<keyed::Computing>(),
        entry::<hotspot::Barrier>(),
        entry::<ingress::Ingress>(),
        entry::<deadline::Routing>(),
        entry::<first_k::FirstK>(),
        entry::<mixed_planes::Mixed>(),
        entry::<many::ThousandConnections>(),
        entry::<churn::Churn>(),
        entry::<sparse::Sparse>(),
        entry::<beside_compute::BesideCompute>(),
        entry::<microservice::Microservice>(),
        entry::<microservice::MetadataThenReply>(),
    ]
}
