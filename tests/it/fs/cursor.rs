//! Files with a cursor.

use std::io::{ErrorKind, SeekFrom, Write};

use spargio::fs::{File, OpenOptions};
use spargio::io::{AsyncRead, AsyncSeek, AsyncWrite};

use super::{Scratch, on_a_shard, pipe};

#[test]
fn reads_and_writes_follow_each_other() {
    let scratch = Scratch::new();
    let path = scratch.file("file");
    on_a_shard(async move {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).open(&path).await.unwrap();
        let other = file.clone().cursor();
        let mut cursor = file.cursor();
        for word in ["one ", "two ", "three "] {
            cursor.write_all(word).await.0.unwrap();
        }
        assert_eq!(cursor.position(), 14);
        assert_eq!(other.position(), 0, "each has its own");
        assert_eq!(cursor.seek(SeekFrom::Start(4)).await.unwrap(), 4);
        let (read, word) = cursor.read(vec![0; 3]).await;
        assert_eq!((read.unwrap(), &word[..]), (3, &b"two"[..]));
        assert_eq!(cursor.seek(SeekFrom::Current(-7)).await.unwrap(), 0);
        let (read, word) = cursor.read_exact(vec![0; 4]).await;
        read.unwrap();
        assert_eq!(word, b"one ");
        assert_eq!(cursor.seek(SeekFrom::End(-6)).await.unwrap(), 8);
        assert_eq!(cursor.read_to_string().await.unwrap(), "three ");
        assert_eq!(cursor.position(), 14);
        let (read, kept) = cursor.read_to_end(b"kept".to_vec()).await;
        assert_eq!((read.unwrap(), &kept[..]), (0, &b"kept"[..]));

        let error = cursor.seek(SeekFrom::Current(-15)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("-15"), "{error}");
        assert_eq!(cursor.position(), 14, "it stays");
        cursor.seek(SeekFrom::Start(10)).await.unwrap();
        let (read, _) = cursor.read_exact(vec![0; 5]).await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(cursor.position(), 10, "it stays");
        cursor.into_inner().close().await.unwrap_err();
        drop(other);
    });
}

#[test]
fn several_buffers_move_the_cursor_once() {
    let scratch = Scratch::new();
    let path = scratch.file("parts");
    on_a_shard(async move {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).open(&path).await.unwrap();
        let mut cursor = file.cursor();
        // By the trait, which the methods of the same names serve.
        let parts = vec![b"one ".to_vec(), Vec::new(), b"two".to_vec()];
        assert_eq!(AsyncWrite::write_vectored(&mut cursor, parts).await.0.unwrap(), 7);
        assert_eq!(cursor.position(), 7);
        cursor.seek(SeekFrom::Start(1)).await.unwrap();
        let room = vec![vec![0; 2], vec![0; 16]];
        let (read, parts) = AsyncRead::read_vectored(&mut cursor, room).await;
        assert_eq!((read.unwrap(), cursor.position()), (6, 7));
        assert_eq!(parts, [&b"ne"[..], b" two"]);
        let (read, _) = cursor.read_vectored(vec![vec![0; 2]]).await;
        assert_eq!((read.unwrap(), cursor.position()), (0, 7));
    });
}

#[test]
fn files_without_offsets_are_read_on() {
    on_a_shard(async move {
        let (reader, mut writer) = pipe();
        writer.write_all(b"through the pipe").unwrap();
        drop(writer);
        let mut cursor = File::from_std(reader).unwrap().cursor();
        let (read, word) = cursor.read(vec![0; 7]).await;
        assert_eq!((read.unwrap(), &word[..]), (7, &b"through"[..]));
        assert_eq!(cursor.read_to_string().await.unwrap(), " the pipe");
        assert_eq!(cursor.position(), 16);
    });
}

/// The length of what can be sought, and back to where it was.
async fn length<S: AsyncSeek>(mut seek: S) -> u64 {
    let before = seek.stream_position().await.unwrap();
    let end = seek.seek(SeekFrom::End(0)).await.unwrap();
    assert_eq!(seek.seek(SeekFrom::Start(before)).await.unwrap(), before);
    end
}

#[test]
fn a_cursor_is_sought_by_those_who_do_not_know_it() {
    let scratch = Scratch::new();
    let path = scratch.file("sought");
    std::fs::write(&path, b"0123456789").unwrap();
    on_a_shard(async move {
        let mut cursor = File::open(path).await.unwrap().cursor();
        cursor.seek(SeekFrom::Start(4)).await.unwrap();
        assert_eq!(length(&mut cursor).await, 10);
        let (read, rest) = cursor.read(Vec::with_capacity(16)).await;
        assert_eq!((read.unwrap(), &rest[..]), (6, &b"456789"[..]));
        let error = AsyncSeek::seek(&mut cursor, SeekFrom::Current(-11)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(length(Box::new(cursor)).await, 10);
    });
}
