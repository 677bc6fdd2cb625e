//! A descriptor that an operation borrows might be closed while the kernel uses it.

use spargio::native::UringNativeAny;

fn reads(native: &UringNativeAny, file: &std::fs::File) {
    drop(native.read_at(file, 0, 16));
}

fn main() {}
