//! Slices against ranges: a slice of a slice is the slice of the composed range.

use proptest::collection;
use proptest::prelude::{Strategy, any};
use proptest::prop_assert_eq;
use proptest::test_runner::{Config, TestRunner};

use crate::buf::tests::read_into;
use crate::buf::{IoBuf, IoBufMut, Slice};

/// A vector with spare room, and a range within a range of it, in numbers that always fit.
#[derive(Clone, Debug)]
struct Case {
    content: Vec<u8>,
    spare: usize,
    outer: (usize, usize),
    inner: (usize, usize),
    data: Vec<u8>,
}

impl Case {
    fn buffer(&self) -> Vec<u8> {
        let mut buf = Vec::with_capacity(self.content.len() + self.spare);
        buf.extend_from_slice(&self.content);
        buf
    }

    fn nested(&self) -> Slice<Slice<Vec<u8>>> {
        self.buffer().slice(self.outer.0..self.outer.1).slice(self.inner.0..self.inner.1)
    }

    fn composed(&self) -> Slice<Vec<u8>> {
        let base = self.outer.0;
        self.buffer().slice(base + self.inner.0..base + self.inner.1)
    }

    /// The vector after a read into the slice: the head stays, the data follows, and what was
    /// behind the end of the slice stays if there was any.
    fn expected(&self) -> Vec<u8> {
        let (begin, end) = (self.outer.0 + self.inner.0, self.outer.0 + self.inner.1);
        let read = &self.data[..self.data.len().min(end - begin)];
        let mut expected = self.content[..begin].to_vec();
        expected.extend_from_slice(read);
        if self.content.len() > end {
            expected.extend_from_slice(&self.content[begin + read.len()..]);
        }
        expected
    }
}

fn case() -> impl Strategy<Value = Case> {
    let bytes = || collection::vec(any::<u8>(), 0..24);
    (bytes(), 0usize..24, any::<[usize; 4]>(), bytes()).prop_map(|(content, spare, picks, data)| {
        let (init, total) = (content.len(), content.len() + spare);
        let outer = range(picks[0], picks[1], init, total);
        let (init, total) = (init.min(outer.1) - outer.0, outer.1 - outer.0);
        let inner = range(picks[2], picks[3], init, total);
        Case { content, spare, outer, inner, data }
    })
}

/// A range that begins at `init` at the latest and ends at `total` at the latest.
fn range(begin: usize, end: usize, init: usize, total: usize) -> (usize, usize) {
    let begin = begin % (init + 1);
    (begin, begin + end % (total - begin + 1))
}

#[test]
fn slices_of_slices_are_slices_of_the_composed_range() {
    let cases = if cfg!(miri) { 16 } else { 1_000 };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&case(), |case| {
        let (mut nested, mut composed) = (case.nested(), case.composed());
        prop_assert_eq!(nested.as_init(), composed.as_init());
        prop_assert_eq!(nested.bytes_total(), composed.bytes_total());
        prop_assert_eq!(nested.get_ref().begin() + nested.begin(), composed.begin());
        prop_assert_eq!(nested.get_ref().begin() + nested.end(), composed.end());
        let offset = nested.stable_ptr().addr() - nested.get_ref().get_ref().stable_ptr().addr();
        prop_assert_eq!(offset, composed.begin());
        prop_assert_eq!(nested.stable_mut_ptr().cast_const(), nested.stable_ptr());

        prop_assert_eq!(read_into(&mut nested, &case.data), read_into(&mut composed, &case.data));
        prop_assert_eq!(nested.as_init(), composed.as_init());
        prop_assert_eq!(nested.into_inner().into_inner(), case.expected());
        prop_assert_eq!(composed.into_inner(), case.expected());
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
