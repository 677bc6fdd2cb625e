//! Which tags are hot, and which of those are counted instead of kept.

/// What becomes of a message with a tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// It is an event.
    Plain,
    /// It is a hot event.
    Hot,
    /// Its value is added to the counter with this index.
    Counted(usize),
}

/// The tags that are not plain.
#[derive(Debug)]
pub(crate) struct Tags {
    /// Sorted.
    hot: Box<[u16]>,
    /// Sorted; the place of a tag is that of its counter.
    counted: Box<[u16]>,
}

impl Tags {
    /// A tag may be named more than once; one that is counted is not a hot event.
    pub(crate) fn new(hot: &[u16], counted: &[u16]) -> Self {
        Self { hot: sorted(hot), counted: sorted(counted) }
    }

    /// What becomes of messages with this tag.
    #[inline]
    pub(crate) fn class(&self, tag: u16) -> Class {
        if let Some(index) = self.counter(tag) {
            Class::Counted(index)
        } else if self.hot.binary_search(&tag).is_ok() {
            Class::Hot
        } else {
            Class::Plain
        }
    }

    /// The counter of a tag, if it is counted.
    #[inline]
    pub(crate) fn counter(&self, tag: u16) -> Option<usize> {
        self.counted.binary_search(&tag).ok()
    }

    /// How many counters there are.
    pub(crate) fn counters(&self) -> usize {
        self.counted.len()
    }
}

fn sorted(tags: &[u16]) -> Box<[u16]> {
    let mut tags = tags.to_vec();
    tags.sort_unstable();
    tags.dedup();
    tags.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::{Class, Tags};

    #[test]
    fn a_tag_that_nobody_named_is_plain() {
        let tags = Tags::new(&[], &[]);
        for tag in [0, 1, u16::MAX] {
            assert_eq!(tags.class(tag), Class::Plain);
        }
    }

    #[test]
    fn a_tag_that_is_counted_is_no_event_also_if_it_was_named_hot() {
        let tags = Tags::new(&[9, 3, 9, u16::MAX], &[7, 3, 3]);
        assert_eq!(tags.class(9), Class::Hot);
        assert_eq!(tags.class(u16::MAX), Class::Hot);
        assert_eq!(tags.class(3), Class::Counted(0));
        assert_eq!(tags.class(7), Class::Counted(1));
        assert_eq!(tags.class(8), Class::Plain);
        assert_eq!(tags.counters(), 2);
    }
}
