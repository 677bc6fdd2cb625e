//! The same on sockets and files.

use std::io::{Read, Write};
use std::net::{self, Ipv4Addr, Shutdown};
use std::thread;

use spargio::fs;
use spargio::io::framed::{Framed, LengthDelimited, LengthDelimitedCodec};
use spargio::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncWrite, BufReader, BufWriter, copy, copy_bidirectional,
    copy_to_vec, split,
};
use spargio::net::{TcpListener, TcpStream, UnixStream};

use super::on_shards;

/// So much that the buffers of two sockets do not hold it.
const MUCH: usize = 4 << 20;

fn pattern(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|at| ((at * 31 + at / 251 + salt) % 251) as u8).collect()
}

/// A stream of ours and its peer of the standard library.
async fn pair() -> (TcpStream, net::TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let peer = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().await.unwrap().0, peer)
}

#[test]
fn a_proxy_passes_half_closes_on_and_counts_both_ways() {
    on_shards(async {
        let ((mut near, mut client), (mut far, mut server)) = (pair().await, pair().await);
        let proxy =
            spargio::spawn(async move { copy_bidirectional(&mut near, &mut far).await }).unwrap();
        let client = thread::spawn(move || {
            client.write_all(&pattern(MUCH, 1)).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            answer
        });
        let server = thread::spawn(move || {
            // It answers only when it has read to the end, which the client goes on waiting for.
            let mut request = Vec::new();
            server.read_to_end(&mut request).unwrap();
            server.write_all(&pattern(MUCH / 2, 2)).unwrap();
            drop(server);
            request
        });
        assert_eq!(proxy.await.unwrap().unwrap(), (MUCH as u64, MUCH as u64 / 2));
        assert!(server.join().unwrap() == pattern(MUCH, 1));
        assert!(client.join().unwrap() == pattern(MUCH / 2, 2));
    });
}

#[test]
fn a_proxy_whose_client_resets_ends_with_its_error() {
    on_shards(async {
        let ((mut near, client), (mut far, server)) = (pair().await, pair().await);
        let proxy =
            spargio::spawn(async move { copy_bidirectional(&mut near, &mut far).await }).unwrap();
        socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(client);
        let error = proxy.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        // Not here, where it would keep the shard from closing the other end.
        let mut server = server;
        let read = thread::spawn(move || server.read(&mut [0]).unwrap());
        while !read.is_finished() {
            spargio::yield_now().await;
        }
        assert_eq!(read.join().unwrap(), 0, "the server is let go as well");
    });
}

#[test]
fn halves_of_a_stream_work_in_two_tasks() {
    on_shards(async {
        let (near, far) = UnixStream::pair().unwrap();
        let (mut reader, mut writer) = near.into_split();
        let send = spargio::spawn(async move {
            writer.write_all(pattern(MUCH, 3)).await.0.unwrap();
            writer.shutdown().await.unwrap();
            writer
        });
        let (from, to) = split(far);
        let echo = spargio::spawn(async move {
            let (mut from, mut to) = (from, to);
            let count = copy(&mut from, &mut to).await.unwrap();
            to.shutdown().await.unwrap();
            count
        });
        let mut all = Vec::new();
        copy_to_vec(&mut reader, &mut all, 10_000).await.unwrap();
        assert!(all == pattern(MUCH, 3));
        assert_eq!(echo.unwrap().await.unwrap(), MUCH as u64);
        let whole = reader.reunite(send.unwrap().await.unwrap()).unwrap();
        assert_eq!(whole.read(vec![0]).await.0.unwrap(), 0);
    });
}

#[test]
fn frames_cross_a_socket_whatever_their_length() {
    on_shards(async {
        let (near, far) = UnixStream::pair().unwrap();
        let lengths = [0, 1, 8 * 1024 - 4, 8 * 1024, 100_000, 3, 1_000_000];
        let sender = spargio::spawn(async move {
            let (reader, writer) = split(near);
            let mut near = LengthDelimited::new(reader, writer);
            for (salt, len) in lengths.into_iter().enumerate() {
                near.write_frame(pattern(len, salt)).await.unwrap();
            }
        });
        let mut far = Framed::new(far, LengthDelimitedCodec::new());
        for (salt, len) in lengths.into_iter().enumerate() {
            assert!(far.next().await.unwrap().unwrap() == pattern(len, salt), "{len} bytes");
        }
        assert_eq!(far.next().await.unwrap(), None);
        sender.unwrap().await.unwrap();
    });
}

#[test]
fn frames_are_whole_when_reads_of_a_socket_are_given_up_all_the_time() {
    on_shards(async {
        let (near, far) = UnixStream::pair().unwrap();
        let sender = spargio::spawn(async move {
            let (_, writer) = split(near);
            let mut writer = writer;
            // Byte by byte, so that hardly a read brings a frame.
            let bytes: Vec<u8> = (0..40u8).flat_map(|n| [0, 0, 0, 3, n, n, n]).collect();
            for byte in bytes {
                writer.write_all(vec![byte]).await.0.unwrap();
                spargio::yield_now().await;
            }
        });
        let mut frames = Framed::new(far, LengthDelimitedCodec::new());
        let mut got = Vec::new();
        let mut dropped = 0;
        while got.len() < 40 {
            let next = std::pin::pin!(frames.next());
            let mut next = next;
            let polled =
                std::future::poll_fn(|cx| std::task::Poll::Ready(next.as_mut().poll(cx))).await;
            match polled {
                std::task::Poll::Ready(frame) => got.push(frame.unwrap().unwrap()),
                std::task::Poll::Pending => {
                    dropped += 1;
                    spargio::yield_now().await;
                }
            }
        }
        assert!(dropped > 0);
        assert_eq!(got, (0..40u8).map(|n| vec![n; 3]).collect::<Vec<_>>());
        sender.unwrap().await.unwrap();
    });
}

#[test]
fn files_are_read_by_lines_and_written_through_a_buffer() {
    on_shards(async {
        let dir = fs::TempDir::new().await.unwrap();
        let path = dir.path().join("numbers");
        let mut out =
            BufWriter::with_capacity(100, fs::File::create(&path).await.unwrap().cursor());
        for number in 0..1000 {
            out.write_all(format!("{number}\n")).await.0.unwrap();
        }
        out.shutdown().await.unwrap();
        let mut lines = BufReader::new(fs::File::open(&path).await.unwrap().cursor()).lines();
        for number in 0..1000 {
            assert_eq!(lines.next_line().await.unwrap().unwrap(), number.to_string());
        }
        assert_eq!(lines.next_line().await.unwrap(), None);
        let all = fs::File::open(&path).await.unwrap().cursor().take(6).read_to_string().await;
        assert_eq!(all.unwrap(), "0\n1\n2\n");
    });
}
