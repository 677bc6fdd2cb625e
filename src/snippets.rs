//! The snippets of the README and of the book, for the compiler: nobody else sees this.

#[doc = include_str!("../README.md")]
mod readme {}
#[doc = include_str!("../book/src/boundary.md")]
mod boundary {}
#[doc = include_str!("../book/src/cancellation.md")]
mod cancellation {}
#[doc = include_str!("../book/src/choosing-parts.md")]
mod choosing_parts {}
#[cfg(feature = "testing")]
#[doc = include_str!("../book/src/custom-parts.md")]
mod custom_parts {}
#[doc = include_str!("../book/src/files.md")]
mod files {}
#[doc = include_str!("../book/src/io.md")]
mod io {}
#[doc = include_str!("../book/src/messages.md")]
mod messages {}
#[doc = include_str!("../book/src/placement.md")]
mod placement {}
#[doc = include_str!("../book/src/sockets.md")]
mod sockets {}
#[doc = include_str!("../book/src/time-and-groups.md")]
mod time_and_groups {}
