//! The choices under comparison, and the sessions that they make.

use std::time::Duration;

use spargio::doorbell::EventFd;
use spargio::driver::{Driver, Uring, UringSetup};
use spargio::queue::MutexQueue;
use spargio::{Assembly, Runtime, RuntimeOf, ShardId};

use crate::workloads::{Session, echo, fan_out, file_read, ping_pong, runtimes};

/// After so many milliseconds without submissions the kernel's thread sleeps.
const POLLER_IDLE_MS: u32 = 10;

/// Where runnable tasks wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Queue {
    ChaseLev,
    Mutex,
}

/// How shards wake each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bell {
    MsgRing,
    EventFd,
}

/// When the kernel does the completion work of a ring, and who submits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ring {
    /// When the shard asks for it (`DEFER_TASKRUN`).
    Deferred,
    /// At any system call of the shard (`COOP_TASKRUN`).
    Cooperative,
    /// In a kernel thread that also submits (`SQPOLL`).
    Polled,
}

impl Ring {
    pub(crate) const ALL: [Self; 3] = [Self::Deferred, Self::Cooperative, Self::Polled];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Deferred => "DEFER_TASKRUN",
            Self::Cooperative => "COOP_TASKRUN",
            Self::Polled => "SQPOLL",
        }
    }

    fn setup(self) -> UringSetup {
        let setup = UringSetup::default();
        match self {
            Self::Deferred => setup,
            Self::Cooperative => setup.with_coop_taskrun(true),
            Self::Polled => setup.with_sqpoll(Duration::from_millis(POLLER_IDLE_MS.into())),
        }
    }

    /// Whether a ring that is asked for like this is like this: a kernel that does not know a flag
    /// gets a setup without it.
    pub(crate) fn is_what_the_kernel_gives(self) -> bool {
        let flag = match self {
            Self::Deferred => 1 << 13,
            Self::Cooperative => 1 << 8,
            Self::Polled => 1 << 1,
        };
        Uring::open(&self.setup(), ShardId::new(0))
            .is_ok_and(|driver| driver.caps().setup_flags & flag != 0)
    }
}

/// One combination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Choices {
    pub(crate) queue: Queue,
    pub(crate) bell: Bell,
    pub(crate) ring: Ring,
    pub(crate) spins: bool,
}

impl Choices {
    pub(crate) const DEFAULT: Self =
        Self { queue: Queue::ChaseLev, bell: Bell::MsgRing, ring: Ring::Deferred, spins: true };

    /// All combinations with these rings; the default is the first.
    pub(crate) fn all(rings: &[Ring]) -> Vec<Self> {
        let mut all = Vec::new();
        for &ring in rings {
            for spins in [true, false] {
                for bell in [Bell::MsgRing, Bell::EventFd] {
                    for queue in [Queue::ChaseLev, Queue::Mutex] {
                        all.push(Self { queue, bell, ring, spins });
                    }
                }
            }
        }
        all
    }

    pub(crate) const fn names(self) -> [&'static str; 4] {
        let queue = match self.queue {
            Queue::ChaseLev => "ChaseLev",
            Queue::Mutex => "MutexQueue",
        };
        let bell = match self.bell {
            Bell::MsgRing => "MsgRing",
            Bell::EventFd => "EventFd",
        };
        [queue, bell, self.ring.name(), if self.spins { "on" } else { "off" }]
    }

    /// Opens a runtime of these choices for the job.
    pub(crate) fn open(self, job: Job) -> Session {
        let mut builder =
            Runtime::builder().shards(runtimes::WORKERS).uring(|setup| *setup = self.ring.setup());
        if !self.spins {
            builder = builder.spin(Duration::ZERO);
        }
        const OPENS: &str = "io_uring is available";
        match (self.queue, self.bell) {
            (Queue::ChaseLev, Bell::MsgRing) => job.on(builder.build().expect(OPENS)),
            (Queue::Mutex, Bell::MsgRing) => {
                job.on(builder.steal_queue::<MutexQueue>().build().expect(OPENS))
            }
            (Queue::ChaseLev, Bell::EventFd) => {
                job.on(builder.doorbell::<EventFd>().build().expect(OPENS))
            }
            (Queue::Mutex, Bell::EventFd) => {
                let builder = builder.doorbell::<EventFd>().steal_queue::<MutexQueue>();
                job.on(builder.build().expect(OPENS))
            }
        }
    }
}

/// What is done on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Job {
    PingPong,
    FanOut,
    Echo,
    Reads,
}

impl Job {
    pub(crate) const ALL: [Self; 4] = [Self::PingPong, Self::FanOut, Self::Echo, Self::Reads];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::PingPong => "ping-pong, 2 shards",
            Self::FanOut => "fan-out 16 x 2 us",
            Self::Echo => "echo 256 B",
            Self::Reads => "cached reads, depth 32",
        }
    }

    fn on<A: Assembly>(self, runtime: RuntimeOf<A>) -> Session {
        match self {
            Self::PingPong => ping_pong::pinned(runtime),
            Self::FanOut => fan_out::fan_out(runtime),
            Self::Echo => echo::echo(runtime),
            Self::Reads => file_read::read(runtime, file_read::DEPTH),
        }
    }
}
