//! Writers and what they are made into.

use std::io::{Cursor, ErrorKind};

use spargio::io::{AsyncWrite, AsyncWriteExt, BufWriter, DynWrite};
use spargio::{BufResult, IoBuf};

use super::torture::{Basin, Dice, Drip};
use super::{run, run_for};

const SEEDS: u64 = 200;

#[test]
fn write_all_puts_every_byte_in_its_place() {
    for seed in 0..SEEDS {
        let bytes = Dice::new(seed).bytes(100);
        let basin = Basin::default();
        let mut writer = Drip::new(&basin, seed);
        run(writer.write_all(bytes[..60].to_vec())).0.unwrap();
        assert_eq!(
            run(writer.write_all_owned(bytes.clone().slice(60..))).unwrap()[..],
            bytes[60..]
        );
        assert_eq!(basin.bytes(), bytes);
    }
}

#[test]
fn a_writer_that_takes_no_more_is_an_error_that_says_how_far_it_came() {
    struct Full(usize);
    impl AsyncWrite for Full {
        async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
            let count = self.0.min(buf.bytes_init());
            self.0 -= count;
            (Ok(count), buf)
        }
        async fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
        async fn shutdown(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (written, buf) = run(Full(3).write_all("bytes"));
    let error = written.unwrap_err();
    assert_eq!((error.kind(), buf), (ErrorKind::WriteZero, "bytes"));
    assert_eq!(error.to_string(), "no more is taken after 3 of 5 bytes");

    let mut buffered = BufWriter::new(Full(3));
    run(buffered.write_all("bytes")).0.unwrap();
    assert_eq!(run(buffered.flush()).unwrap_err().kind(), ErrorKind::WriteZero);
    assert_eq!(buffered.buffer(), b"es");
}

/// Writes in pieces, dropping futures and meeting errors; what was taken is what comes out.
#[test]
fn a_buffered_writer_writes_what_it_took_once_and_in_order_whatever_is_dropped() {
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let bytes = dice.bytes(400);
        let basin = Basin::default();
        let mut writer = Drip::new(&basin, seed);
        if dice.one_in(2) {
            writer = writer.failing_at(dice.below(400));
        }
        let mut writer = BufWriter::with_capacity(1 + dice.below(20), writer);
        let mut taken = 0;
        while taken < bytes.len() {
            let polls = 1 + dice.below(5);
            if dice.one_in(4) {
                match run_for(polls, writer.flush()) {
                    Some(Ok(())) => {
                        assert_eq!(writer.unwritten(), 0);
                        assert_eq!(basin.flushed(), taken);
                    }
                    Some(Err(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
                    None => {}
                }
            } else {
                let most = (taken + 1 + dice.below(30)).min(bytes.len());
                let piece = bytes[taken..most].to_vec();
                match run_for(polls, writer.write(piece)) {
                    Some((Ok(count), _)) => taken += count,
                    Some((Err(error), _)) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
                    // Nothing of it was taken.
                    None => {}
                }
            }
            assert!(bytes[..taken].starts_with(&basin.bytes()), "seed {seed}");
        }
        while run(writer.shutdown()).is_err() {}
        assert_eq!(basin.bytes(), bytes, "seed {seed}");
        assert_eq!(basin.shutdowns(), 1);
        run(writer.into_inner()).unwrap();
    }
}

#[test]
fn a_buffered_writer_that_is_taken_apart_accounts_for_every_byte() {
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let bytes = dice.bytes(100);
        let basin = Basin::default();
        let at = dice.below(120);
        let inner = Drip::new(&basin, seed).failing_at(at);
        let mut writer = BufWriter::with_capacity(200, inner);
        run(writer.write_all(bytes.clone())).0.unwrap();
        let flushed = run_for(dice.below(40), writer.flush());
        if flushed.is_none() && basin.bytes().len() < 100 && !basin.bytes().is_empty() {
            assert!(writer.get_ref().is_none(), "a write is in flight");
            assert_eq!(writer.unwritten(), 100);
        }
        let (_, unwritten, error) = run(writer.into_parts());
        assert_eq!([basin.bytes(), unwritten].concat(), bytes, "seed {seed}");
        let failed = error.or(flushed.and_then(Result::err));
        assert_eq!(failed.is_some(), at < 100 && basin.bytes().len() == at, "seed {seed}");
    }
}

#[test]
fn into_inner_gives_the_writer_back_that_could_not_write() {
    let basin = Basin::default();
    let mut writer = BufWriter::new(Drip::new(&basin, 1).failing_at(3));
    run(writer.write_all("bytes")).0.unwrap();
    let error = run(writer.into_inner()).unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::ConnectionReset);
    let (writer, _) = error.into_parts();
    assert_eq!(writer.buffer(), b"es");
    run(writer.into_inner()).unwrap();
    assert_eq!(basin.bytes(), b"bytes");
}

#[test]
fn a_write_in_flight_is_owned_by_the_writer_and_not_by_the_flush() {
    for polls in 1..30 {
        let basin = Basin::default();
        let mut writer = BufWriter::new(Drip::new(&basin, 7));
        run(writer.write_all("0123456789")).0.unwrap();
        if run_for(polls, writer.flush()).is_some() {
            continue;
        }
        run(writer.write_all("abc")).0.unwrap();
        run(writer.flush()).unwrap();
        assert_eq!(basin.bytes(), b"0123456789abc", "{polls} polls");
    }
}

#[test]
fn a_writer_whose_type_is_left_open_gives_back_the_buffer_it_was_given() {
    for seed in 0..SEEDS {
        let basin = Basin::default();
        let mut writer: Box<dyn DynWrite> = Box::new(Drip::new(&basin, seed));
        let (written, buf) = run(writer.write_all("some bytes".slice(5..)));
        written.unwrap();
        assert_eq!(buf.into_inner(), "some bytes");
        while let (Err(_), _) = run(writer.write("!")) {}
        run(writer.flush()).unwrap();
        run(writer.shutdown()).unwrap();
        assert_eq!((&basin.bytes()[..], basin.shutdowns()), (&b"bytes!"[..], 1));
    }
}

#[test]
fn memory_is_written_to_where_it_is() {
    let mut cursor = Cursor::new(b"some bytes".to_vec());
    cursor.set_position(5);
    assert_eq!(run(cursor.write_owned("texts")).unwrap(), (5, "texts"));
    run(cursor.write_all(" and more")).0.unwrap();
    assert_eq!(cursor.into_inner(), b"some texts and more");
}
