//! Tasks that belong together: canceled together, and awaited together.
//!
//! A [`TaskGroup`](crate::TaskGroup) has tasks of any output under one
//! [`CancellationToken`](crate::CancellationToken), and each has a handle of its own. A [`JoinSet`]
//! has tasks of one output, which it gives out in the order in which they end. Both cost O(1) for a
//! task, however many others there are.

mod ended;
mod join_set;
mod member;
mod roll;
mod task_group;

pub use join_set::JoinSet;
pub use roll::{TaskGroupEnd, TaskGroupEnds};
pub use task_group::{TaskGroupJoinHandle, TaskGroupOf};
