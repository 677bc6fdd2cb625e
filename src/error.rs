//! What can go wrong when a runtime is built or given a task: each error names the value and the
//! limit.

use std::any::Any;
use std::fmt;
use std::io;

use crate::id::ShardId;

/// Why a runtime could not be built.
///
/// ```
/// let error = spargio::Runtime::builder().shards(0).build().unwrap_err();
/// assert_eq!(error.to_string(), "shards is 0, it must be from 1 to 65535");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A knob has a value that it cannot have.
    InvalidConfig {
        /// The method of the builder.
        knob: &'static str,
        /// What it was given.
        value: String,
        /// What it takes.
        limit: String,
    },
    /// A thread could not be started.
    ThreadSpawn {
        /// For which shard.
        shard: ShardId,
        /// What the system answered.
        source: io::Error,
    },
    /// A shard could not open its driver or doorbell. For a refused io_uring the source is a
    /// [`UringRefused`](crate::driver::UringRefused) that says what refused it and what to do.
    Open {
        /// Which shard.
        shard: ShardId,
        /// What the system answered.
        source: io::Error,
    },
}

impl BuildError {
    pub(crate) fn invalid(
        knob: &'static str,
        value: impl fmt::Display,
        limit: impl fmt::Display,
    ) -> Self {
        Self::InvalidConfig { knob, value: value.to_string(), limit: limit.to_string() }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidConfig { knob, value, limit } => {
                write!(f, "{knob} is {value}, it must be {limit}")
            }
            Self::ThreadSpawn { shard, source } => {
                write!(f, "the thread of shard {shard} could not be started: {source}")
            }
            Self::Open { shard, source } => {
                write!(f, "shard {shard} could not be opened: {source}")
            }
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::InvalidConfig { .. } => None,
            Self::ThreadSpawn { source, .. } | Self::Open { source, .. } => Some(source),
        }
    }
}

/// Why a runtime did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum RuntimeError {
    /// It could not be built.
    Build(BuildError),
    /// There is no such shard.
    InvalidShard {
        /// The one asked for.
        shard: ShardId,
        /// How many there are; they count from 0.
        shards: usize,
    },
    /// It has been shut down, or is shutting down.
    Closed,
    /// A limit is reached; try again when tasks have finished.
    Overloaded {
        /// What there is too much of.
        what: &'static str,
        /// The most there may be.
        limit: usize,
    },
    /// A thread that is needed could not be started.
    ThreadSpawn(io::Error),
    /// This thread belongs to no runtime.
    NoRuntime,
    /// The task that was to give the result has none.
    Join(JoinError),
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => error.fmt(f),
            Self::InvalidShard { shard, shards } => {
                write!(f, "there is no shard {shard}: the runtime has {shards}, counted from 0")
            }
            Self::Closed => f.write_str("the runtime is shut down"),
            Self::Overloaded { what, limit } => {
                write!(f, "the limit of {limit} {what} is reached")
            }
            Self::ThreadSpawn(error) => write!(f, "a thread could not be started: {error}"),
            Self::NoRuntime => f.write_str(
                "this thread belongs to no spargio runtime; use the method of a RuntimeHandle",
            ),
            Self::Join(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RuntimeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Build(error) => Some(error),
            Self::Join(error) => Some(error),
            Self::ThreadSpawn(error) => Some(error),
            _ => None,
        }
    }
}

impl From<BuildError> for RuntimeError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<JoinError> for RuntimeError {
    fn from(error: JoinError) -> Self {
        Self::Join(error)
    }
}

impl From<RuntimeError> for io::Error {
    /// `InvalidConfig` is [`InvalidInput`](io::ErrorKind::InvalidInput), an unknown shard
    /// [`NotFound`](io::ErrorKind::NotFound), a closed runtime
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe), a limit
    /// [`WouldBlock`](io::ErrorKind::WouldBlock); an error of the system keeps its kind.
    fn from(error: RuntimeError) -> Self {
        let kind = match &error {
            RuntimeError::Build(BuildError::InvalidConfig { .. }) => io::ErrorKind::InvalidInput,
            RuntimeError::Build(
                BuildError::ThreadSpawn { source, .. } | BuildError::Open { source, .. },
            ) => source.kind(),
            RuntimeError::InvalidShard { .. } => io::ErrorKind::NotFound,
            RuntimeError::Closed => io::ErrorKind::BrokenPipe,
            RuntimeError::Overloaded { .. } => io::ErrorKind::WouldBlock,
            RuntimeError::ThreadSpawn(source) => source.kind(),
            RuntimeError::NoRuntime => io::ErrorKind::Other,
            RuntimeError::Join(_) => io::ErrorKind::BrokenPipe,
        };
        Self::new(kind, error.to_string())
    }
}

/// A refused task: the reason, and the future back.
pub struct TrySpawnError<F> {
    /// Why the runtime did not take it.
    pub error: RuntimeError,
    /// The future, never polled.
    pub future: F,
}

impl<F> fmt::Display for TrySpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<F> fmt::Debug for TrySpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrySpawnError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<F> std::error::Error for TrySpawnError<F> {}

impl<F> From<TrySpawnError<F>> for RuntimeError {
    fn from(refused: TrySpawnError<F>) -> Self {
        refused.error
    }
}

/// Why a task has no output.
#[non_exhaustive]
pub enum JoinError {
    /// It was aborted, or the runtime shut down.
    Canceled,
    /// It panicked; this is what it panicked with.
    Panicked(Box<dyn Any + Send + 'static>),
}

impl JoinError {
    /// Whether the task was aborted or shut down.
    pub fn is_canceled(&self) -> bool {
        matches!(self, Self::Canceled)
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// What the task panicked with, to be resumed or inspected.
    ///
    /// # Errors
    ///
    /// The error itself, if the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        match self {
            Self::Panicked(payload) => Ok(payload),
            other => Err(other),
        }
    }

    /// The text that the task panicked with, if it was a text.
    pub fn panic_message(&self) -> Option<&str> {
        let Self::Panicked(payload) = self else { return None };
        let text = payload.downcast_ref::<&'static str>().copied();
        text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.panic_message()) {
            (Self::Canceled, _) => f.write_str("the task was canceled"),
            (Self::Panicked(_), Some(message)) => write!(f, "the task panicked: {message}"),
            (Self::Panicked(_), None) => f.write_str("the task panicked"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Canceled => f.write_str("Canceled"),
            Self::Panicked(_) => write!(f, "Panicked({:?})", self.panic_message()),
        }
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for io::Error {
    /// A canceled task is [`io::ErrorKind::BrokenPipe`], a panic [`io::ErrorKind::Other`].
    fn from(error: JoinError) -> Self {
        let kind = match error {
            JoinError::Canceled => io::ErrorKind::BrokenPipe,
            JoinError::Panicked(_) => io::ErrorKind::Other,
        };
        // The payload is not `Sync`, so the text goes in its place.
        Self::new(kind, error.to_string())
    }
}
