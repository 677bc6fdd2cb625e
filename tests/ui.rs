//! Misuse that does not compile, and what the compiler says of it.
//!
//! The texts are those of the stable compiler that the toolchain file names; after a change of the
//! compiler or of a message: `TRYBUILD=overwrite cargo test --test ui`, then read the difference.

#[test]
fn misuse_does_not_compile_and_says_why() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
