//! Misuse that does not compile, and what the compiler says of it.
//!
//! The texts are those of Rust 1.95, so this is no part of the ordinary run:
//! `cargo test --test ui -- --ignored`. After a change of the compiler or of a message run it with
//! `TRYBUILD=overwrite` in the environment, and read the difference.

#[test]
#[ignore = "pins the words of one compiler"]
fn misuse_does_not_compile_and_says_why() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
