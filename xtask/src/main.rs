//! Checks and chores of the spargio repository.

fn main() {}
