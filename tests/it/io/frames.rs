//! Frames: the same whatever pieces the bytes come in, and whatever futures are dropped.

use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};
use spargio::io::framed::{
    BytesCodec, Decoded, Decoder, Encoder, Endian, FramedRead, FramedWrite, LengthDelimited,
    LengthDelimitedCodec, LengthSize, LinesCodec, MAX_FRAME,
};

use super::torture::{Basin, Dice, Drip, Trickle};
use super::{run, run_for};

/// All frames of the bytes, which come in pieces of these lengths, the last again and again.
fn decode_in_pieces<D: Decoder>(
    mut decoder: D,
    bytes: &[u8],
    pieces: &[usize],
) -> std::io::Result<Vec<D::Frame>> {
    let mut pieces = pieces.iter().copied().chain(std::iter::repeat(1));
    let (mut taken, mut come, mut frames) = (0, 0, Vec::new());
    loop {
        match decoder.decode(&bytes[taken..come])? {
            Decoded::Frame { frame, used } => {
                assert!(used > 0 && taken + used <= come);
                taken += used;
                frames.push(frame);
                continue;
            }
            Decoded::Incomplete { need } => assert!(need > come - taken, "more is needed"),
        }
        if come == bytes.len() {
            break;
        }
        come = (come + pieces.next().unwrap_or(1)).min(bytes.len());
    }
    while let Some((frame, used)) = decoder.decode_end(&bytes[taken..])? {
        taken += used;
        frames.push(frame);
    }
    assert_eq!(taken, bytes.len(), "every byte is a part of a frame");
    Ok(frames)
}

fn codecs() -> impl Strategy<Value = LengthDelimitedCodec> {
    let sizes = prop_oneof![
        Just(LengthSize::U8),
        Just(LengthSize::U16),
        Just(LengthSize::U32),
        Just(LengthSize::U64)
    ];
    let endians = prop_oneof![Just(Endian::Big), Just(Endian::Little)];
    (sizes, endians)
        .prop_map(|(size, endian)| LengthDelimitedCodec::new().length_size(size).endian(endian))
}

proptest! {
    #[test]
    fn frames_behind_their_lengths_come_back_from_any_pieces(
        mut codec in codecs(),
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8),
        pieces in prop::collection::vec(1usize..40, 0..40),
    ) {
        let mut bytes = Vec::new();
        for frame in &frames {
            codec.encode(frame, &mut bytes).unwrap();
        }
        prop_assert_eq!(decode_in_pieces(codec, &bytes, &pieces).unwrap(), frames);
    }

    #[test]
    fn an_end_inside_of_a_frame_is_always_told(
        mut codec in codecs(),
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for frame in &frames {
            codec.encode(frame, &mut bytes).unwrap();
            ends.push(bytes.len());
        }
        let cut = cut.index(bytes.len());
        match decode_in_pieces(codec, &bytes[..cut], &[]) {
            Ok(some) => {
                prop_assert!(ends.contains(&cut));
                prop_assert_eq!(&some[..], &frames[..some.len()]);
            }
            Err(error) => {
                prop_assert!(!ends.contains(&cut));
                prop_assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            }
        }
    }

    #[test]
    fn lines_come_back_from_any_pieces(
        lines in prop::collection::vec("[^\r\n]{0,20}", 0..8),
        carriage in any::<bool>(),
        pieces in prop::collection::vec(1usize..10, 0..40),
    ) {
        let mut bytes = Vec::new();
        for line in &lines {
            LinesCodec::new().encode(line, &mut bytes).unwrap();
            if carriage {
                bytes.pop();
                bytes.extend_from_slice(b"\r\n");
            }
        }
        prop_assert_eq!(decode_in_pieces(LinesCodec::new(), &bytes, &pieces).unwrap(), lines);
    }

    #[test]
    fn bytes_come_back_from_any_pieces(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        pieces in prop::collection::vec(1usize..10, 0..40),
    ) {
        let frames = decode_in_pieces(BytesCodec::new(), &bytes, &pieces).unwrap();
        prop_assert_eq!(frames.concat(), bytes);
    }
}

#[test]
fn frames_are_read_once_and_in_order_when_the_futures_were_dropped() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let mut codec = LengthDelimitedCodec::new();
        let (mut frames, mut bytes) = (Vec::new(), Vec::new());
        for _ in 0..10 {
            let len = dice.below(40);
            frames.push(dice.bytes(len));
            codec.encode(frames.last().unwrap(), &mut bytes).unwrap();
        }
        let at = dice.below(bytes.len());
        let mut reader = FramedRead::new(Trickle::new(&bytes, seed).failing_at(at), codec);
        let (mut got, mut errors) = (Vec::new(), 0);
        loop {
            match run_for(1 + dice.below(5), reader.next()) {
                Some(Ok(Some(frame))) => got.push(frame),
                Some(Ok(None)) => break,
                Some(Err(_)) => errors += 1,
                None => {}
            }
        }
        assert_eq!((got, errors), (frames, 1), "seed {seed}");
    }
}

#[test]
fn a_stream_of_frames_goes_on_when_it_is_polled_and_left_and_ends_with_an_error() {
    let mut codec = LengthDelimitedCodec::new();
    for seed in 0..100 {
        let mut bytes = Vec::new();
        for len in 0..10 {
            codec.encode(vec![len; usize::from(len)], &mut bytes).unwrap();
        }
        if seed % 2 == 1 {
            bytes.pop();
        }
        let mut frames = FramedRead::new(Trickle::new(&bytes, seed), codec).into_stream();
        let (mut got, mut errors) = (Vec::new(), Vec::new());
        loop {
            let mut cx = Context::from_waker(Waker::noop());
            match Pin::new(&mut frames).poll_next(&mut cx) {
                Poll::Ready(Some(Ok(frame))) => got.push(frame),
                Poll::Ready(Some(Err(error))) => errors.push(error.kind()),
                Poll::Ready(None) => break,
                Poll::Pending => {}
            }
        }
        let whole = 10 - seed as u8 % 2;
        assert_eq!(got, (0..whole).map(|len| vec![len; usize::from(len)]).collect::<Vec<_>>());
        let expected = if whole == 10 { vec![] } else { vec![ErrorKind::UnexpectedEof] };
        assert_eq!(errors, expected);
    }
}

#[test]
fn frames_are_written_once_and_in_order_when_the_futures_were_dropped() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let mut codec = LengthDelimitedCodec::new();
        let (mut expected, basin) = (Vec::new(), Basin::default());
        let inner = Drip::new(&basin, seed).failing_at(dice.below(300));
        let mut writer = FramedWrite::new(inner, codec);
        for _ in 0..20 {
            let len = dice.below(40);
            let frame = dice.bytes(len);
            codec.encode(&frame, &mut expected).unwrap();
            // Polled once it is taken, whether it fails, is dropped, or ends.
            if dice.one_in(3) {
                run_for(1 + dice.below(9), writer.feed(frame));
            } else {
                run_for(1 + dice.below(9), writer.send(frame));
            }
            assert!(expected.starts_with(&basin.bytes()), "seed {seed}");
        }
        while run(writer.flush()).is_err() {}
        assert_eq!(basin.bytes(), expected, "seed {seed}");
    }
}

#[test]
fn a_frame_may_be_as_long_as_the_limit_and_no_longer() {
    let mut codec = LengthDelimitedCodec::new().max_frame(10);
    let mut bytes = Vec::new();
    codec.encode([7; 10], &mut bytes).unwrap();
    let error = codec.encode([7; 11], &mut bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "a frame of 11 bytes, where 10 is the limit");
    assert_eq!(run(FramedRead::new(&bytes[..], codec).next()).unwrap().unwrap(), [7; 10]);

    let mut reader = FramedRead::new(&b"\0\0\0\x0Bwhatever it is"[..], codec);
    for _ in 0..2 {
        let error = run(reader.next()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert_eq!(error.to_string(), "a frame of 11 bytes, where 10 is the limit");
    }
}

#[test]
fn a_length_that_fits_no_prefix_is_refused_and_not_cut() {
    for (size, largest) in [(LengthSize::U8, 255usize), (LengthSize::U16, 65_535)] {
        let mut codec = LengthDelimitedCodec::new().length_size(size);
        codec.encode(vec![1; largest], &mut Vec::new()).unwrap();
        let error = codec.encode(vec![1; largest + 1], &mut Vec::new()).unwrap_err();
        let text = format!("a frame of {} bytes, where {largest} is the limit", largest + 1);
        assert_eq!(error.to_string(), text);
    }
    let mut codec = LengthDelimitedCodec::new().length_size(LengthSize::U64);
    let error = codec.decode(&[0xFF; 8]).unwrap_err();
    let text = format!("a frame of {} bytes, where {MAX_FRAME} is the limit", u64::MAX);
    assert_eq!(error.to_string(), text);
    let mut codec = codec.max_frame(usize::MAX);
    let decoded = codec.decode(&[0xFF; 8]).unwrap();
    assert_eq!(decoded, Decoded::Incomplete { need: usize::MAX }, "nothing overflows");
}

#[test]
fn the_announcement_of_a_frame_is_no_order_for_memory() {
    let codec = LengthDelimitedCodec::new().max_frame(usize::MAX / 2).length_size(LengthSize::U64);
    // An exabyte is announced, and three bytes come.
    let bytes = [&(1u64 << 60).to_be_bytes()[..], b"abc"].concat();
    let error = run(FramedRead::new(&bytes[..], codec).next()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(error.to_string(), "the end came 11 bytes into a frame");
}

#[test]
fn a_decoder_that_never_has_enough_is_stopped_at_its_limit() {
    #[derive(Debug)]
    struct Never;
    impl Decoder for Never {
        type Frame = ();
        fn decode(&mut self, _: &[u8]) -> std::io::Result<Decoded<()>> {
            Ok(Decoded::Incomplete { need: 1 })
        }
        fn max_encoded(&self) -> usize {
            100
        }
    }
    let bytes = vec![0; 1000];
    let mut reader = FramedRead::new(Trickle::new(&bytes, 1), Never);
    let error = run(reader.next()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let text = error.to_string();
    assert!(text.ends_with("bytes are no whole frame yet, where 100 is the limit"), "{text}");
    assert!(reader.buffer().len() < 110);
}

#[test]
fn a_frame_that_cannot_be_encoded_leaves_no_part_of_it() {
    let mut writer = FramedWrite::new(Vec::new(), LinesCodec::new());
    run(writer.feed("good")).unwrap();
    run(writer.send("bad\nline")).unwrap_err();
    run(writer.send("good")).unwrap();
    assert_eq!(run(writer.into_inner()).unwrap(), b"good\ngood\n");
}

#[test]
fn a_decoder_is_changed_between_two_frames_without_losing_a_byte() {
    let reader = FramedRead::new(&b"7\n\0\0\0\x04body"[..], LinesCodec::new());
    let mut lines = reader;
    assert_eq!(run(lines.next()).unwrap().unwrap(), "7");
    let mut frames = lines.with_decoder(LengthDelimitedCodec::new());
    assert_eq!(run(frames.next()).unwrap().unwrap(), b"body");
    assert_eq!(run(frames.next()).unwrap(), None);
}

#[test]
fn two_segments_make_one_frame() {
    let mut frames = LengthDelimited::new(Trickle::new(b"\0\0\0\x0AhelloWORLD", 9), Vec::new());
    assert_eq!(run(frames.read_frame()).unwrap(), b"helloWORLD");
    assert_eq!(run(frames.read_frame()).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(run(frames.next_frame()).unwrap(), None);
    run(frames.write_frame(b"abc".to_vec())).unwrap();
    let (_, writer) = frames.into_split();
    assert_eq!(run(writer.into_inner()).unwrap(), b"\0\0\0\x03abc");
}
