//! Readers and what they are made into.

use std::io::{Cursor, ErrorKind};

use spargio::IoBuf;
use spargio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader, DynRead, copy_to_vec, empty,
};

use super::torture::{Dice, Trickle};
use super::{run, run_for};

const SEEDS: u64 = 200;

/// Lines of all lengths, with both ends and characters of several bytes.
fn text(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..12 {
        for _ in 0..dice.below(20) {
            text.push(['a', 'b', ' ', 'ä', '€', '😀', '\r'][dice.below(7)]);
        }
        text.push('\n');
    }
    if dice.one_in(2) {
        text.push_str("no end");
    }
    text
}

#[test]
fn read_exact_and_read_to_end_put_every_byte_in_its_place() {
    for seed in 0..SEEDS {
        let bytes = Dice::new(seed).bytes(100);
        let mut reader = Trickle::new(&bytes, seed);
        let (read, head) = run(reader.read_exact(Box::new([0; 37])));
        read.unwrap();
        assert_eq!(head[..], bytes[..37]);
        let part = vec![9; 10];
        let (read, part) = run(reader.read_exact(part.slice(2..5)));
        read.unwrap();
        let part = part.into_inner();
        assert_eq!((&part[2..5], &part[5..]), (&bytes[37..40], &[9; 5][..]));
        let (read, rest) = run(reader.read_to_end(b"before".to_vec()));
        assert_eq!(read.unwrap(), 60);
        assert_eq!(rest, [b"before", &bytes[40..]].concat());
    }
}

#[test]
fn an_end_before_the_buffer_is_full_is_an_error_that_says_how_far_it_came() {
    let mut reader = Trickle::new(b"four", 1);
    let (read, buf) = run(reader.read_exact(vec![0; 6].slice(..6)));
    let error = read.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(error.to_string(), "the end came after 4 of 6 bytes");
    assert_eq!(&buf.into_inner()[..4], b"four");
}

#[test]
fn text_that_is_none_is_an_error_that_says_where() {
    let error = run((&b"te\xFFt"[..]).read_to_string()).unwrap_err();
    assert_eq!(error.to_string(), "the bytes from 2 on are no UTF-8");
}

#[test]
fn an_error_in_the_middle_loses_no_byte() {
    for seed in 0..SEEDS {
        let bytes = Dice::new(seed).bytes(64);
        let at = Dice::new(seed).below(64);
        let mut reader = Trickle::new(&bytes, seed).failing_at(at);
        let (read, first) = run(reader.read_to_end(Vec::new()));
        assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(first, bytes[..at]);
        let (read, all) = run(reader.read_to_end(first));
        assert_eq!(read.unwrap(), 64 - at);
        assert_eq!(all, bytes);
    }
}

#[test]
fn a_buffered_reader_gives_the_bytes_in_order_however_it_is_read_and_dropped() {
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let bytes = dice.bytes(300);
        let capacity = 1 + dice.below(16);
        let mut reader = BufReader::with_capacity(capacity, Trickle::new(&bytes, seed));
        let mut got = Vec::new();
        while got.len() < bytes.len() {
            let polls = 1 + dice.below(4);
            let room = 1 + dice.below(24);
            if dice.one_in(3) {
                if let Some(Ok(some)) = run_for(polls, reader.fill_buf()) {
                    let count = some.len().min(room);
                    got.extend_from_slice(&some[..count]);
                    reader.consume(count);
                }
            } else if dice.one_in(3) {
                // Whatever it brings is looked at by others.
                run_for(polls, reader.fill_more());
            } else if let Some((read, buf)) =
                run_for(polls, reader.read(vec![0; room].slice(..room)))
                && let Ok(count) = read
            {
                got.extend_from_slice(&buf[..count]);
            }
        }
        assert_eq!(got, bytes, "seed {seed}");
        assert_eq!(run(reader.read_to_string()).unwrap(), "");
    }
}

#[test]
fn lines_are_whole_when_the_futures_that_waited_for_them_were_dropped() {
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let text = text(&mut dice);
        let mut reader =
            BufReader::with_capacity(1 + dice.below(9), Trickle::new(text.as_bytes(), seed));
        let (mut all, mut count) = (String::new(), None);
        while count != Some(0) {
            let before = all.len();
            count = run_for(1 + dice.below(6), reader.read_line(&mut all)).map(Result::unwrap);
            assert_eq!(all.len() - before, count.unwrap_or(0), "a line comes as a whole");
        }
        assert_eq!(all, text, "seed {seed}");

        let mut lines = BufReader::new(Trickle::new(text.as_bytes(), !seed)).lines();
        let mut got = Vec::new();
        loop {
            match run_for(1 + dice.below(6), lines.next_line()) {
                Some(Ok(Some(line))) => got.push(line),
                Some(Ok(None)) => break,
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
        let expected: Vec<_> =
            text.split_inclusive('\n').map(|line| line.trim_end_matches('\n')).collect();
        let expected: Vec<_> =
            expected.iter().map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
        // Without its end a last line may keep a carriage return; here it has none.
        assert_eq!(got, expected, "seed {seed}");
    }
}

#[test]
fn an_error_in_a_line_is_told_once_and_the_line_goes_on() {
    for at in 0..8 {
        let mut lines =
            BufReader::new(Trickle::new(b"one\nline", at as u64).failing_at(at)).lines();
        let (mut got, mut errors) = (Vec::new(), 0);
        loop {
            match run(lines.next_line()) {
                Ok(Some(line)) => got.push(line),
                Ok(None) => break,
                Err(_) => errors += 1,
            }
        }
        assert_eq!((got, errors), (vec!["one".to_owned(), "line".to_owned()], 1));
    }
}

#[test]
fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
    for end in ["\n", "\r\n"] {
        let text = format!("12345{end}12345");
        let mut lines = BufReader::new(Trickle::new(text.as_bytes(), 3)).lines().max_length(5);
        assert_eq!(run(lines.next_line()).unwrap().unwrap(), "12345");
        assert_eq!(run(lines.next_line()).unwrap().unwrap(), "12345");
        assert_eq!(run(lines.next_line()).unwrap(), None);

        let text = format!("123456{end}");
        let mut lines = BufReader::new(Trickle::new(text.as_bytes(), 3)).lines().max_length(5);
        for _ in 0..2 {
            let error = run(lines.next_line()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert_eq!(error.to_string(), "a line has more than 5 bytes, the limit");
        }
    }
}

#[test]
fn a_line_without_an_end_is_given_up_at_the_limit() {
    let endless = vec![b'x'; 100_000];
    let mut lines = BufReader::with_capacity(16, Trickle::new(&endless, 5)).lines().max_length(100);
    run(lines.next_line()).unwrap_err();
    assert!(lines.get_ref().buffer().len() < 200, "{:?}", lines.get_ref());
}

#[test]
fn take_ends_where_it_should_and_leaves_the_rest() {
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let bytes = dice.bytes(60);
        let limit = dice.below(80);
        let mut take = BufReader::with_capacity(7, Trickle::new(&bytes, seed)).take(limit as u64);
        let expected = limit.min(60);
        let mut first = Vec::new();
        run(take.read_until(bytes[30], &mut first)).unwrap();
        let (read, all) = run(take.read_to_end(first));
        read.unwrap();
        assert_eq!(all, bytes[..expected]);
        assert_eq!(take.limit(), (limit - expected) as u64);
        let (read, rest) = run(take.into_inner().read_to_end(Vec::new()));
        read.unwrap();
        assert_eq!(rest, bytes[expected..]);
    }
}

#[test]
fn what_is_looked_for_is_found_across_the_seam_of_a_chain() {
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let text = text(&mut dice);
        let (first, second) = text.as_bytes().split_at(dice.below(text.len()));
        let first = BufReader::with_capacity(5, Trickle::new(first, seed));
        let second = BufReader::with_capacity(5, Trickle::new(second, !seed));
        let mut chain = first.chain(second);
        let mut all = Vec::new();
        loop {
            if dice.one_in(4) {
                let (read, some) = run(chain.read(vec![0; 3].slice(..3)));
                match read {
                    Ok(0) => break,
                    Ok(count) => all.extend_from_slice(&some[..count]),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted),
                }
            } else if let Some(read) = run_for(1 + dice.below(8), chain.read_until(b'\n', &mut all))
                && read.unwrap() == 0
            {
                break;
            }
        }
        assert_eq!(all, text.as_bytes(), "seed {seed}");
    }
}

#[test]
fn a_dropped_copy_to_memory_goes_on_where_it_was() {
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let bytes = dice.bytes(200);
        let mut reader = Trickle::new(&bytes, seed);
        let mut all = Vec::new();
        let chunk = dice.below(9);
        while !reader.is_at_end() {
            run_for(1 + dice.below(5), copy_to_vec(&mut reader, &mut all, chunk));
        }
        assert_eq!(all, bytes, "seed {seed}");
    }
}

#[test]
fn a_reader_whose_type_is_left_open_reads_to_the_buffer_it_was_given() {
    for seed in 0..SEEDS {
        let bytes = Dice::new(seed).bytes(50);
        let mut reader: Box<dyn DynRead> = Box::new(BufReader::new(Trickle::new(&bytes, seed)));
        let (read, head) = run(reader.read_exact(vec![7; 30].slice(10..30)));
        read.unwrap();
        let head = head.into_inner();
        assert_eq!(head, [&[7; 10][..], &bytes[..20]].concat());
        let array = run(reader.read_exact_owned(Box::new([0; 30]))).unwrap();
        assert_eq!(array[..], bytes[20..]);
        let end = loop {
            match run(reader.read_owned(vec![0; 8])) {
                Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted),
                Ok((count, _)) => break count,
            }
        };
        assert_eq!(end, 0);
    }
}

#[test]
fn memory_is_read_from_where_it_is() {
    let mut cursor = Cursor::new("some bytes");
    cursor.set_position(5);
    assert_eq!(run(cursor.fill_buf()).unwrap(), b"bytes");
    assert_eq!(run(cursor.read_to_string()).unwrap(), "bytes");
    assert_eq!(cursor.position(), 10);
    cursor.set_position(100);
    assert_eq!(run(cursor.read_to_string()).unwrap(), "");
    assert_eq!(run(empty().chain(&b"x"[..]).read_to_string()).unwrap(), "x");
}
