//! `#[spargio::main]` and `#[spargio::test]`.
