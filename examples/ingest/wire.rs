//! The protocol between client and server, in fixed-size frames of little-endian numbers.
//!
//! A client says [`Hello`] once, then sends requests: a length and so many bytes, which follow one
//! another in the file of the stream. The server answers each with [`Ack`] when the bytes are in
//! the file. A request of length 0 ends the stream: the server flushes the file, and its answer
//! carries the checksum of all it received.

use std::io;

use spargio::net::TcpStream;

/// The largest request.
pub(crate) const MAX_REQUEST: usize = 256 * 1024;

/// What a client begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hello {
    /// The number of the stream; it names the file.
    pub(crate) stream: u64,
}

/// The server's answer to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack {
    /// Bytes of the stream that are in the file.
    pub(crate) written: u64,
    /// The checksum of those bytes.
    pub(crate) checksum: u64,
}

const MAGIC: u64 = u64::from_le_bytes(*b"spargio1");

impl Hello {
    pub(crate) async fn send(self, to: &TcpStream) -> io::Result<()> {
        send(to, &[MAGIC, self.stream]).await
    }

    /// `None` if the client left without a word.
    pub(crate) async fn receive(from: &TcpStream) -> io::Result<Option<Self>> {
        let Some([magic, stream]) = receive(from).await? else { return Ok(None) };
        if magic != MAGIC {
            return Err(invalid(format!("the client's first word is {magic:#x}, not {MAGIC:#x}")));
        }
        Ok(Some(Self { stream }))
    }
}

impl Ack {
    pub(crate) async fn send(self, to: &TcpStream) -> io::Result<()> {
        send(to, &[self.written, self.checksum]).await
    }

    pub(crate) async fn receive(from: &TcpStream) -> io::Result<Self> {
        let [written, checksum] = receive(from).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Self { written, checksum })
    }
}

/// The head of a request: its length. `None` if the client closed the connection instead.
pub(crate) async fn receive_length(from: &TcpStream) -> io::Result<Option<usize>> {
    let Some([length]) = receive(from).await? else { return Ok(None) };
    match usize::try_from(length) {
        Ok(length) if length <= MAX_REQUEST => Ok(Some(length)),
        _ => Err(invalid(format!("a request of {length} bytes, the limit is {MAX_REQUEST}"))),
    }
}

/// The head of a request in front of its bytes.
pub(crate) fn put_length(request: &mut Vec<u8>, length: usize) {
    request.extend_from_slice(&(length as u64).to_le_bytes());
}

async fn send(to: &TcpStream, words: &[u64]) -> io::Result<()> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    to.write_all(bytes).await.0.map(drop)
}

/// So many words, or `None` at the end of the stream before the first byte of them.
async fn receive<const WORDS: usize>(from: &TcpStream) -> io::Result<Option<[u64; WORDS]>> {
    let (result, bytes) = from.read(Vec::with_capacity(WORDS * 8)).await;
    let mut got = bytes;
    match result? {
        0 => return Ok(None),
        read if read < WORDS * 8 => {
            let (result, rest) = from.read_exact(Vec::with_capacity(WORDS * 8 - read)).await;
            result?;
            got.extend_from_slice(&rest);
        }
        _ => {}
    }
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(got.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("a chunk of eight"));
    }
    Ok(Some(words))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
