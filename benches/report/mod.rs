//! Measuring contenders by turns, and what is printed of it.

pub(crate) mod machine;
pub(crate) mod measure;
pub(crate) mod table;
