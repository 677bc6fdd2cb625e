//! Writes to a reader that is slow, and transfers of nothing.

use std::io::{Read as _, Write as _};
use std::thread;

use spargio::IoBuf;

use super::{blocking, on_shard, pair, pattern, read_total};

#[test]
fn sixteen_mebibytes_arrive_at_a_slow_reader() {
    const LEN: usize = 16 << 20;
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let reader = thread::spawn(move || {
            let (mut all, mut piece) = (Vec::<u8>::new(), [0; 10_000]);
            loop {
                match peer.read(&mut piece).unwrap() {
                    0 => return all,
                    read => all.extend(&piece[..read]),
                }
                // Slower than the writer.
                thread::yield_now();
            }
        });
        let (result, buf) = stream.write_all(pattern(LEN)).await;
        result.unwrap();
        drop(stream);
        let got = blocking(move || reader.join().unwrap()).await;
        assert!(got == buf, "{} bytes", got.len());
    });
}

#[test]
fn single_writes_to_a_slow_reader_say_how_much_they_sent() {
    const LEN: usize = 4 << 20;
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        let mut rest = pattern(LEN).slice(..);
        while !rest.is_empty() {
            let (written, back) = stream.write(rest).await;
            let at = back.begin() + written.unwrap();
            rest = back.into_inner().slice(at..LEN);
        }
        drop(stream);
        let got = blocking(move || reader.join().unwrap()).await;
        assert!(got == pattern(LEN), "{} bytes", got.len());
    });
}

#[test]
fn buffers_of_no_size_are_done_at_once() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let (read, buf) = stream.read(Vec::new()).await;
        assert_eq!((read.unwrap(), buf.len()), (0, 0));
        let (written, _) = stream.write(Vec::new()).await;
        assert_eq!(written.unwrap(), 0);
        stream.write_all("").await.0.unwrap();
        stream.read_exact(Vec::new()).await.0.unwrap();
        peer.write_all(b"x").unwrap();
        assert_eq!(read_total(&stream, 1).await, b"x");
    });
}
