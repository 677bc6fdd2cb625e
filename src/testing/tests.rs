//! The driver's suite on our own, and every suite on parts that are broken on purpose.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::driver::{Uring, UringSetup};
use crate::testing::Site;

mod broken_doorbell;
mod broken_driver;
mod broken_placement;
mod broken_queue;

macro_rules! driver_suite {
    ($module:ident $setup:expr; $($check:ident)*) => {
        mod $module {
            $(#[test]
            fn $check() {
                crate::testing::driver::$check::<super::Uring>(&super::Site::new($setup));
            })*
        }
    };
}

crate::testing::driver::checks!(driver_suite uring super::small(););
crate::testing::driver::checks!(driver_suite uring_of_the_default_recipe super::UringSetup::default(););
crate::testing::driver::checks!(driver_suite uring_with_cooperative_work super::cooperative(););
crate::testing::driver::checks!(driver_suite uring_with_a_kernel_thread super::kernel_thread(););

fn small() -> UringSetup {
    UringSetup::default().with_entries(8).with_cq_entries(16)
}

fn cooperative() -> UringSetup {
    small().with_coop_taskrun(true)
}

fn kernel_thread() -> UringSetup {
    small().with_sqpoll(Duration::from_millis(1))
}

/// What a check says that finds something.
fn caught(check: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(check)).expect_err("the fault was not found");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(_) => panic!("the check said nothing"),
    }
}
