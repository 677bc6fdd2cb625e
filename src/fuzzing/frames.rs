//! Frames in any pieces, out of a reader whose futures are dropped, against a look at all bytes at
//! once.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use arbitrary::Unstructured;

use crate::buf::{BufResult, IoBufMut};
use crate::fuzzing::Program;
use crate::fuzzing::source::{below, magnitude, next, one_of, steps};
use crate::io::framed::{
    BytesCodec, Decoder, Encoder, Endian, FramedRead, LengthDelimitedCodec, LengthSize, LinesCodec,
};
use crate::io::{AsyncRead, BufReader};

/// A codec, and what comes to its reader.
#[derive(Debug)]
pub(super) struct Frames {
    codec: Codec,
    /// Of the reader's buffer.
    capacity: u8,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
enum Codec {
    Length { size: LengthSize, endian: Endian, max_frame: usize },
    Lines { max_length: usize },
    Bytes,
}

#[derive(Debug)]
enum Step {
    /// These bytes come at once.
    Come(Vec<u8>),
    /// A frame of so many bytes of this value comes at once, if it may be so long.
    Frame(u8, u8),
    /// Nothing comes, and the future that waits is dropped.
    Wait,
    /// The read is interrupted.
    Interrupt,
}

impl Program for Frames {
    fn read(bytes: &mut Unstructured<'_>) -> Self {
        let codec = match below(bytes, 4) {
            0 => Codec::Bytes,
            1 => Codec::Lines { max_length: usize::from(below(bytes, 40)) },
            _ => Codec::Length {
                size: one_of(
                    bytes,
                    &[LengthSize::U8, LengthSize::U16, LengthSize::U32, LengthSize::U64],
                ),
                endian: one_of(bytes, &[Endian::Big, Endian::Little]),
                max_frame: usize::try_from(magnitude(bytes)).unwrap_or(usize::MAX),
            },
        };
        let capacity = next(bytes);
        let steps = steps(bytes, |bytes| match below(bytes, 8) {
            0..=2 => {
                let count = below(bytes, 12);
                Step::Come((0..count).map(|_| next(bytes)).collect())
            }
            3..=4 => Step::Frame(next(bytes), next(bytes)),
            5 => Step::Come(one_of(bytes, &[&b"\n"[..], b"\r\n", b"line\n", b"\0\0"]).to_vec()),
            6 => Step::Interrupt,
            _ => Step::Wait,
        });
        Self { codec, capacity, steps }
    }

    fn run(self) {
        let Self { codec, capacity, steps } = self;
        let (mut feed, mut all) = (VecDeque::new(), Vec::new());
        for step in steps {
            match step {
                Step::Come(bytes) => feed.push_back(Event::Bytes(bytes)),
                Step::Frame(len, value) => {
                    feed.push_back(Event::Bytes(encoded(codec, &vec![value; len.into()])));
                }
                Step::Wait => feed.push_back(Event::Wait),
                Step::Interrupt => feed.push_back(Event::Interrupt),
            }
            if let Some(Event::Bytes(bytes)) = feed.back() {
                all.extend_from_slice(bytes);
            }
        }
        let reader = BufReader::with_capacity(capacity.into(), Feed(feed));
        match codec {
            Codec::Length { size, endian, max_frame } => {
                let codec = length_codec(size, endian, max_frame);
                assert_eq!(decode(reader, codec), all_lengths(&all, size, endian, max_frame));
            }
            Codec::Lines { max_length } => {
                let codec = LinesCodec::new().max_length(max_length);
                assert_eq!(decode(reader, codec), all_lines(&all, max_length));
            }
            Codec::Bytes => {
                let (pieces, end) = decode(reader, BytesCodec::new());
                assert_eq!((pieces.concat(), end), (all, End::Clean));
            }
        }
    }
}

fn length_codec(size: LengthSize, endian: Endian, max_frame: usize) -> LengthDelimitedCodec {
    LengthDelimitedCodec::new().length_size(size).endian(endian).max_frame(max_frame)
}

/// The frame as bytes, which are compared with the model's; none if it is refused.
fn encoded(codec: Codec, frame: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Codec::Length { size, endian, max_frame } = codec else { return frame.to_vec() };
    let result = length_codec(size, endian, max_frame).encode(frame, &mut bytes);
    if frame.len() as u128 > limit(size, max_frame) {
        assert_eq!(result.map_err(|error| error.kind()), Err(io::ErrorKind::InvalidInput));
        return Vec::new();
    }
    assert!(result.is_ok());
    let mut digits = format!("{:0width$x}", frame.len(), width = 2 * size.bytes())
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).expect("two digits"))
        .collect::<Vec<_>>();
    if endian == Endian::Little {
        digits.reverse();
    }
    assert_eq!(bytes, [&digits, frame].concat());
    bytes
}

fn limit(size: LengthSize, max_frame: usize) -> u128 {
    let largest = 256u128.pow(u32::try_from(size.bytes()).expect("8 at most")) - 1;
    largest.min(max_frame as u128)
}

/// How a stream of frames ends.
#[derive(PartialEq, Eq, Debug)]
enum End {
    Clean,
    /// So many bytes into a frame.
    Within(usize),
    Refused(String),
}

/// All frames that the reader brings, whose futures are dropped when they have to wait.
fn decode<D: Decoder>(reader: BufReader<Feed>, decoder: D) -> (Vec<D::Frame>, End) {
    let mut framed = FramedRead::from_reader(reader, decoder);
    let mut frames = Vec::new();
    let mut poll = |frames: &mut Vec<D::Frame>| loop {
        let polled = pin!(framed.next()).poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Pending => {}
            Poll::Ready(Ok(Some(frame))) => frames.push(frame),
            Poll::Ready(Ok(None)) => return End::Clean,
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return End::Within(framed.buffer().len());
            }
            Poll::Ready(Err(error)) => return End::Refused(error.to_string()),
        }
    };
    let end = poll(&mut frames);
    let count = frames.len();
    assert_eq!(poll(&mut frames), end, "an end stays");
    assert_eq!(frames.len(), count);
    (frames, end)
}

fn all_lengths(
    mut bytes: &[u8],
    size: LengthSize,
    endian: Endian,
    max_frame: usize,
) -> (Vec<Vec<u8>>, End) {
    let mut frames = Vec::new();
    loop {
        if bytes.is_empty() {
            return (frames, End::Clean);
        }
        if bytes.len() < size.bytes() {
            return (frames, End::Within(bytes.len()));
        }
        let (prefix, rest) = bytes.split_at(size.bytes());
        let mut digits = prefix.to_vec();
        if endian == Endian::Little {
            digits.reverse();
        }
        let length = digits.iter().fold(0, |number, &digit| number * 256 + u128::from(digit));
        let limit = limit(size, max_frame);
        if length > limit {
            let text = format!("a frame of {length} bytes, where {limit} is the limit");
            return (frames, End::Refused(text));
        }
        if length > rest.len() as u128 {
            return (frames, End::Within(bytes.len()));
        }
        let (frame, rest) = rest.split_at(usize::try_from(length).expect("it was there"));
        frames.push(frame.to_vec());
        bytes = rest;
    }
}

fn all_lines(bytes: &[u8], max_length: usize) -> (Vec<String>, End) {
    let mut lines = Vec::new();
    for whole in bytes.split_inclusive(|&byte| byte == b'\n') {
        let line = match whole.strip_suffix(b"\n") {
            Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
            None => whole,
        };
        if line.len() > max_length {
            let text = format!("a line has more than {max_length} bytes, the limit");
            return (lines, End::Refused(text));
        }
        match std::str::from_utf8(line) {
            Ok(line) => lines.push(line.to_owned()),
            Err(error) => {
                let place = error.valid_up_to();
                let text = format!("the bytes from {place} on are no UTF-8");
                return (lines, End::Refused(text));
            }
        }
    }
    (lines, End::Clean)
}

#[derive(Debug)]
enum Event {
    Bytes(Vec<u8>),
    Wait,
    Interrupt,
}

/// A reader to which this happens.
#[derive(Debug)]
struct Feed(VecDeque<Event>);

impl AsyncRead for Feed {
    async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
        loop {
            match self.0.pop_front() {
                Some(Event::Wait) => {
                    let mut waited = false;
                    poll_fn(|_| match std::mem::replace(&mut waited, true) {
                        false => Poll::Pending,
                        true => Poll::Ready(()),
                    })
                    .await;
                }
                Some(Event::Interrupt) => {
                    return (Err(io::ErrorKind::Interrupted.into()), buf);
                }
                Some(Event::Bytes(bytes)) if bytes.is_empty() => {}
                Some(Event::Bytes(bytes)) => {
                    let mut rest = &bytes[..];
                    let done = rest.read(buf).await;
                    if !rest.is_empty() {
                        self.0.push_front(Event::Bytes(rest.to_vec()));
                    }
                    return done;
                }
                None => return (&b""[..]).read(buf).await,
            }
        }
    }
}
