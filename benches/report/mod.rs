//! What the tables have in common: the machine, and how numbers are summed up and printed.

pub(crate) mod machine;
pub(crate) mod spread;
pub(crate) mod units;
