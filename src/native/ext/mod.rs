//! Safe functions over entries of one's own, as examples that are of use: each is written with
//! nothing but [`submit_unsafe`](crate::native::UringNativeAny::submit_unsafe), as a crate of yours
//! could.

pub mod fs;
