//! Plain values out of bytes.

use arbitrary::{Arbitrary, Unstructured};

/// A program has at most so many steps, so that each is quick.
const MOST_STEPS: usize = 512;

/// The next value; of what is missing at the end the bits are 0.
pub(super) fn next<'a, T: Arbitrary<'a>>(bytes: &mut Unstructured<'a>) -> T {
    bytes.arbitrary().expect("an integer is made of any bytes, and of none")
}

/// A number below `count`, from one byte.
pub(super) fn below(bytes: &mut Unstructured<'_>, count: u8) -> u8 {
    next::<u8>(bytes) % count
}

/// One of these, by one byte.
pub(super) fn one_of<T: Copy>(bytes: &mut Unstructured<'_>, choices: &[T]) -> T {
    choices[usize::from(next::<u8>(bytes)) % choices.len()]
}

/// A number from 0 to `u64::MAX` that often lies close to a power of two, from two bytes or nine.
pub(super) fn magnitude(bytes: &mut Unstructured<'_>) -> u64 {
    match next::<u8>(bytes) {
        exponent @ 0..64 => (1u64 << exponent).saturating_add_signed(next::<i8>(bytes).into()),
        64..128 => next::<u8>(bytes).into(),
        128..192 => next::<u16>(bytes).into(),
        192..224 => u64::MAX - u64::from(next::<u16>(bytes)),
        224.. => next(bytes),
    }
}

/// Steps up to the end of the bytes.
pub(super) fn steps<'a, S>(
    bytes: &mut Unstructured<'a>,
    mut step: impl FnMut(&mut Unstructured<'a>) -> S,
) -> Vec<S> {
    let mut steps = Vec::new();
    while !bytes.is_empty() && steps.len() < MOST_STEPS {
        steps.push(step(bytes));
    }
    steps
}
