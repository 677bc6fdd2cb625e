//! `#[spargio::main]` and `#[spargio::test]`: an async function becomes one that starts a runtime.
//!
//! The crate is reached through `spargio`, which re-exports both attributes. They turn
//!
//! ```
//! # use spargio::RuntimeHandle;
//! # use std::io;
//! # async fn serve(handle: RuntimeHandle) -> io::Result<()> {
//! #     assert_eq!(handle.shard_count(), 4);
//! #     Ok(())
//! # }
//! #[spargio::main(shards = 4)]
//! async fn main(handle: RuntimeHandle) -> io::Result<()> {
//!     serve(handle).await
//! }
//! ```
//!
//! into a plain `fn main() -> io::Result<()>` that keeps the function as an inner item and hands it
//! to the runtime, together with the builder that the options describe.

mod expand;
mod options;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Starts a runtime, runs the function on it and returns what the function returns.
///
/// The function is `async`, has no generics and takes nothing or the `RuntimeHandle`. Its return
/// type is kept, so `async fn main() -> Result<(), E>` works as `fn main() -> Result<(), E>` does.
///
/// ```
/// #[spargio::main(shards = 2, thread_prefix = "ingest")]
/// async fn main() -> std::io::Result<()> {
///     let file = spargio::fs::File::open("/proc/version").await?;
///     file.close().await
/// }
/// ```
///
/// # Options
///
/// Each is an expression that goes to the method of the same name of the runtime's builder, in the
/// order written. The builder's page says what a value means and where its limits are.
///
/// | Option | Value |
/// |---|---|
/// | `shards` | how many shards: threads with a ring each |
/// | `thread_prefix` | what the names of the shard threads begin with |
/// | `thread_affinity` | the CPUs of the shards, for example `[0, 2]` |
/// | `ring_entries` | entries of each submission queue |
/// | `cq_entries` | entries of each completion queue |
/// | `stealable_queue_capacity` | how many stealable tasks a shard queues |
/// | `sqpoll` | milliseconds until the kernel's polling thread sleeps |
/// | `spin` | the longest a shard spins before it parks, a `Duration` |
/// | `crate` | where `spargio` is found, for crates that re-export it; a path or a string |
///
/// # Errors
///
/// A function of the wrong shape, an unknown option and one given twice are compile errors at the
/// place that is wrong.
///
/// # Panics
///
/// The function that comes out panics with the text of the `BuildError` if the runtime cannot
/// start, and passes on a panic of the body.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(expand::Entry::Main, options.into(), item.into()).into()
}

/// Makes a test of an async function: it runs on a runtime of its own, of two shards.
///
/// Shape and options of the function are those of [`macro@main`]; `shards = ..` replaces the two.
/// `#[should_panic]`, `#[ignore]` and other attributes keep their meaning. The `#[test]` attribute
/// is added and must not be written as well.
///
/// ```
/// #[spargio::test]
/// async fn a_spawned_task_returns_its_value() {
///     assert_eq!(spargio::spawn(async { 7 }).await.unwrap(), 7);
/// }
/// ```
///
/// # Errors
///
/// As for [`macro@main`].
///
/// # Panics
///
/// As for [`macro@main`]: a runtime that cannot start fails the test.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(expand::Entry::Test, options.into(), item.into()).into()
}
