//! The rings themselves: operations on descriptors of any origin, and entries of your own.
//!
//! [`net`](crate::net) and [`fs`](crate::fs) have what most programs need. This module is for the
//! rest: descriptors that other crates made, a shard of your choice, opcodes that spargio has no
//! method for. [`UringNativeAny`] is the way to all rings of a runtime.
//!
//! | Layer | What | Unsafe |
//! |---|---|---|
//! | [`net`](crate::net), [`fs`](crate::fs) | files and sockets | no |
//! | methods of [`UringNativeAny`] | any descriptor, any shard | no |
//! | [`submit_unsafe`] and kin | any entry ([`Sqe`](crate::driver::Sqe)) | yes |
//!
//! # Custody
//!
//! An operation owns what its entry names. When its future is dropped, or the runtime ends, all of
//! it stays where it is until the kernel has let go: the promise of the rest of the crate, kept by
//! the same code. Who writes an entry vouches that what it names is in what the operation owns.
//!
//! # Which operations are active
//!
//! Each has a [name](NativeOpId) from the start. [`active_native_ops`] lists those that are active,
//! also those whose futures are gone and that the kernel has not let go of;
//! [`active_native_op_shard`] says where one of them is.
//!
//! [`submit_unsafe`]: UringNativeAny::submit_unsafe
//! [`active_native_ops`]: UringNativeAny::active_native_ops
//! [`active_native_op_shard`]: UringNativeAny::active_native_op_shard
//!
//! # Safe wrappers
//!
//! [`extension::fs`](crate::extension::fs) shows how an opcode gets a safe function.

mod batch;
mod bound;
mod cqe;
pub mod ext;
mod files;
mod gather;
mod lease;
mod mail;
mod multi;
mod names;
mod raw;
mod select;
mod sockets;
mod submit;
mod uring_any;

pub use crate::id::NativeOpId;
pub use batch::NativeBatch;
pub use bound::NativeExt;
pub use cqe::UringCqe;
pub use gather::{UringRecvMultishotSegments, UringRecvSegment};
pub use lease::{AffinityLease, UnownedFd};
pub use multi::NativeOps;
pub use select::NativeLaneSelector;
pub use submit::NativeOp;
pub use uring_any::{ActiveNativeOp, UringNativeAny};
