//! Which runtimes there are, by name.

use super::compio::Compio;
use super::glommio::Glommio;
use super::monoio::Monoio;
use super::per_core::PerCore;
use super::published::Published;
use super::smol::Smol;
use super::spargio::Spargio;
use super::tokio::Tokio;
use super::tokio_local::TokioLocal;
use super::{Runtime, Variant};

/// What a line of the table is to the verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// This project, as users get it.
    Subject,
    /// This project with other parts, or an older one: shown, but neither judged nor compared with.
    Variant,
    /// Who is compared with.
    Peer,
    /// What one can write by hand.
    Floor,
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct RuntimeId {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) variant: Variant,
    /// The package whose version the report prints.
    pub(crate) package: &'static str,
    /// How it is set up, in words.
    pub(crate) setup: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Spargio,
    Tokio,
    TokioLocal,
    Compio,
    Monoio,
    Glommio,
    Smol,
    Published,
    Bare,
}

const fn id(
    name: &'static str,
    role: Role,
    variant: Variant,
    kind: Kind,
    package: &'static str,
    setup: &'static str,
) -> RuntimeId {
    RuntimeId { name, role, variant, package, setup, kind }
}

/// Every line, in the order of the table.
pub(crate) fn all() -> &'static [RuntimeId] {
    const ALL: &[RuntimeId] = &[
        id(
            "spargio",
            Role::Subject,
            Variant::Default,
            Kind::Spargio,
            "spargio",
            "defaults: SINGLE_ISSUER, DEFER_TASKRUN rings of 256, MSG_RING doorbell, Chase-Lev \
             queue, spin of 20 us",
        ),
        id(
            "spargio-pinned",
            Role::Variant,
            Variant::Pinned,
            Kind::Spargio,
            "spargio",
            "as spargio; tasks stay on the shard they are spawned on",
        ),
        id(
            "spargio-mutex",
            Role::Variant,
            Variant::MutexQueue,
            Kind::Spargio,
            "spargio",
            "as spargio, with the queue behind a mutex",
        ),
        id(
            "spargio-eventfd",
            Role::Variant,
            Variant::EventFd,
            Kind::Spargio,
            "spargio",
            "as spargio, with an eventfd as doorbell",
        ),
        id(
            "spargio-0.5.13",
            Role::Variant,
            Variant::Default,
            Kind::Published,
            "spargio-published",
            "io_uring_throughput_mode(None), as in its own benchmarks: COOP_TASKRUN",
        ),
        id(
            "tokio",
            Role::Peer,
            Variant::Default,
            Kind::Tokio,
            "tokio",
            "multi-thread, defaults; epoll; files in the blocking pool",
        ),
        id(
            "tokio-local",
            Role::Peer,
            Variant::Default,
            Kind::TokioLocal,
            "tokio",
            "a current-thread runtime with a LocalSet on each thread",
        ),
        id(
            "compio",
            Role::Peer,
            Variant::Default,
            Kind::Compio,
            "compio",
            "a runtime on each thread, default rings of 1024",
        ),
        id(
            "compio-tuned",
            Role::Peer,
            Variant::TunedRings,
            Kind::Compio,
            "compio",
            "as compio, with SINGLE_ISSUER, DEFER_TASKRUN, TASKRUN_FLAG",
        ),
        id(
            "monoio",
            Role::Peer,
            Variant::Default,
            Kind::Monoio,
            "monoio",
            "a runtime on each thread, io_uring driver, default rings of 1024, feature sync",
        ),
        id(
            "glommio",
            Role::Peer,
            Variant::Default,
            Kind::Glommio,
            "glommio",
            "an executor on each thread, unbound, defaults",
        ),
        id(
            "smol",
            Role::Peer,
            Variant::Default,
            Kind::Smol,
            "smol",
            "one executor run by all threads; epoll; files in the blocking pool",
        ),
        id(
            "bare",
            Role::Floor,
            Variant::Default,
            Kind::Bare,
            "io-uring",
            "by hand, for this workload only: see its description",
        ),
    ];
    ALL
}

/// The line of this name.
pub(crate) fn find(name: &str) -> Option<&'static RuntimeId> {
    all().iter().find(|id| id.name == name)
}

/// What is done with a runtime once its type is known.
pub(crate) trait Visitor {
    type Output;
    fn visit<R: Runtime>(self) -> Self::Output;
    /// The line that is no runtime.
    fn bare(self) -> Self::Output;
}

/// Finds the type behind a line.
pub(crate) fn visit<V: Visitor>(id: &RuntimeId, visitor: V) -> V::Output {
    match id.kind {
        Kind::Spargio => visitor.visit::<Spargio>(),
        Kind::Tokio => visitor.visit::<Tokio>(),
        Kind::TokioLocal => visitor.visit::<PerCore<TokioLocal>>(),
        Kind::Compio => visitor.visit::<PerCore<Compio>>(),
        Kind::Monoio => visitor.visit::<PerCore<Monoio>>(),
        Kind::Glommio => visitor.visit::<PerCore<Glommio>>(),
        Kind::Smol => visitor.visit::<Smol>(),
        Kind::Published => visitor.visit::<Published>(),
        Kind::Bare => visitor.bare(),
    }
}
