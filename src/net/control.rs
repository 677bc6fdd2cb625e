//! Control data: the messages beside the bytes of a message, as the kernel lays them out.

/// What a control message begins with: its length with this head, its level, its type.
const HEAD: usize = size_of::<usize>() + 8;
/// Control messages begin at multiples of this.
const ALIGN: usize = size_of::<usize>();

/// Room for control data, aligned for the kernel.
#[derive(Debug, Default)]
pub(super) struct Control {
    words: Vec<u64>,
    /// How many bytes are control data: what was put, or what came.
    len: usize,
}

/// One control message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ControlMessage<'c> {
    pub(super) level: i32,
    pub(super) kind: i32,
    pub(super) data: &'c [u8],
}

impl Control {
    /// Room to receive so many bytes, which is rounded up.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self { words: vec![0; bytes.div_ceil(8)], len: 0 }
    }

    /// Control data that came, copied.
    pub(super) fn copied(bytes: &[u8]) -> Self {
        Self { words: words(bytes), len: bytes.len() }
    }

    /// Puts a message behind the others.
    pub(super) fn put(&mut self, level: i32, kind: i32, data: &[u8]) {
        let mut bytes = self.bytes().to_vec();
        bytes.extend((HEAD + data.len()).to_ne_bytes());
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        self.len = bytes.len();
        self.words = words(&bytes);
    }

    /// Where the kernel reads what was put, or writes what comes: as long as nothing is put, up to
    /// [`room`](Self::room) bytes.
    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.words.as_mut_ptr().cast()
    }

    /// How many bytes there is room for.
    pub(super) fn room(&self) -> usize {
        self.words.len() * 8
    }

    /// How many bytes are control data.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Notes how many bytes the kernel has written.
    pub(super) fn set_len(&mut self, len: usize) {
        self.len = len.min(self.room());
    }

    fn bytes(&self) -> &[u8] {
        let (bytes, room) = (self.words.as_ptr().cast::<u8>(), self.len);
        debug_assert!(room <= self.words.len() * 8, "{room} bytes of {}", self.words.len() * 8);
        // SAFETY:
        // - `len` is at most the room, all of which is initialised and lives as long as `self` is
        //   borrowed. Bytes have no alignment.
        unsafe { std::slice::from_raw_parts(bytes, room) }
    }

    /// The messages. What is not a whole message ends them.
    pub(super) fn messages(&self) -> Messages<'_> {
        Messages { rest: self.bytes() }
    }
}

/// The bytes in memory that is aligned, with zeros up to its end.
fn words(bytes: &[u8]) -> Vec<u64> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    };
    bytes.chunks(8).map(word).collect()
}

/// The messages of [`Control::messages`].
#[derive(Debug)]
pub(super) struct Messages<'c> {
    rest: &'c [u8],
}

impl<'c> Iterator for Messages<'c> {
    type Item = ControlMessage<'c>;

    fn next(&mut self) -> Option<ControlMessage<'c>> {
        let (len, rest) = self.rest.split_first_chunk()?;
        let (level, rest) = rest.split_first_chunk()?;
        let (kind, _) = rest.split_first_chunk()?;
        let len = usize::from_ne_bytes(*len);
        // One that was cut says how long it was, and has what fits.
        let data = self.rest.get(HEAD..len.min(self.rest.len()))?;
        let next = len.checked_next_multiple_of(ALIGN).unwrap_or(usize::MAX);
        self.rest = self.rest.get(next..).unwrap_or_default();
        let (level, kind) = (i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind));
        Some(ControlMessage { level, kind, data })
    }
}

#[cfg(test)]
mod tests;
