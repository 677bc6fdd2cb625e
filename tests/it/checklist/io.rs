//! Reading and writing.

use std::io;

use spargio::io::framed::{FramedWrite, LengthDelimited, LinesCodec};
use spargio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, BufReader, BufWriter, copy,
};
use spargio::net::UnixStream;
use spargio::{BufResult, IoBuf, IoBufMut, Runtime};

use crate::support::watched;

/// Moves one byte with every read and every write.
struct OneByte(UnixStream);

impl AsyncRead for OneByte {
    async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
        let room = buf.bytes_total().min(1);
        let (read, buf) = self.0.read(buf.slice(..room)).await;
        (read, buf.into_inner())
    }
}

impl AsyncWrite for OneByte {
    async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        let some = buf.bytes_init().min(1);
        let (wrote, buf) = self.0.write(buf.slice(..some)).await;
        (wrote, buf.into_inner())
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.0.flush().await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        AsyncWrite::shutdown(&mut self.0).await
    }
}

/// Bytes of which each differs from its neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Runs both ends of a connection at the same time.
fn both<N, F>(runtime: &Runtime, near: impl FnOnce(OneByte) -> N, far: impl FnOnce(OneByte) -> F)
where
    N: Future<Output = io::Result<()>> + Send + 'static,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let (one, other) = UnixStream::pair_on(&runtime.handle()).unwrap();
    let ends = [
        runtime.handle().spawn_stealable(near(OneByte(one))).unwrap(),
        runtime.handle().spawn_stealable(far(OneByte(other))).unwrap(),
    ];
    for end in ends {
        runtime.block_on(end).unwrap().unwrap();
    }
}

/// `read_exact`, `write_all`, `copy`, frames, lines, [`BufReader`] and [`BufWriter`] put every byte
/// in its place when every read and every write moves one byte.
#[test]
fn c15_one_byte_io() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder());
        exactly(&runtime);
        copies(&runtime);
        frames(&runtime);
        buffers(&runtime);
    });
}

fn exactly(runtime: &Runtime) {
    let write = |mut near: OneByte| async move { near.write_all(pattern(1_000)).await.0 };
    let read = |mut far: OneByte| async move {
        let (read, bytes) = far.read_exact(vec![0; 1_000].into_boxed_slice()).await;
        read?;
        assert_eq!(bytes[..], pattern(1_000));
        assert_eq!(far.read(vec![0; 1].into_boxed_slice()).await.0?, 0);
        Ok(())
    };
    both(runtime, write, read);
}

fn copies(runtime: &Runtime) {
    let write = |mut near: OneByte| async move {
        assert_eq!(copy(&mut &pattern(1_000)[..], &mut near).await?, 1_000);
        near.shutdown().await
    };
    let read = |mut far: OneByte| async move {
        let mut bytes = Vec::new();
        assert_eq!(copy(&mut far, &mut bytes).await?, 1_000);
        assert_eq!(bytes, pattern(1_000));
        Ok(())
    };
    both(runtime, write, read);
}

fn frames(runtime: &Runtime) {
    const LENGTHS: [usize; 5] = [0, 1, 255, 256, 1_000];
    const LINES: [&str; 4] = ["one", "", "a line that is longer", "ä€😀"];
    let write = |near: OneByte| async move {
        let mut frames = LengthDelimited::new(&b""[..], near);
        for len in LENGTHS {
            frames.write_frame(pattern(len)).await?;
        }
        let (_, writer) = frames.into_split();
        let near = writer.into_inner().await?;
        let mut lines = FramedWrite::new(near, LinesCodec::new());
        for line in LINES {
            lines.send(line).await?;
        }
        lines.shutdown().await
    };
    let read = |far: OneByte| async move {
        let mut frames = LengthDelimited::new(far, Vec::new());
        for len in LENGTHS {
            assert_eq!(frames.read_frame().await?, pattern(len));
        }
        let mut lines = frames.into_split().0.with_decoder(LinesCodec::new());
        for line in LINES {
            assert_eq!(lines.next().await?.as_deref(), Some(line));
        }
        assert_eq!(lines.next().await?, None);
        Ok(())
    };
    both(runtime, write, read);
}

fn buffers(runtime: &Runtime) {
    let write = |near: OneByte| async move {
        let mut writer = BufWriter::with_capacity(16, near);
        for number in 0..100 {
            writer.write_all(format!("line {number}\n")).await.0?;
        }
        writer.shutdown().await
    };
    let read = |far: OneByte| async move {
        let mut reader = BufReader::with_capacity(16, far);
        let (read, head) = reader.read_exact(Box::new([0; 7])).await;
        read?;
        assert_eq!(*head, *b"line 0\n");
        let mut line = String::new();
        reader.read_line(&mut line).await?;
        assert_eq!(line, "line 1\n");
        let mut lines = reader.lines();
        for number in 2..100 {
            assert_eq!(lines.next_line().await?, Some(format!("line {number}")));
        }
        assert_eq!(lines.next_line().await?, None);
        Ok(())
    };
    both(runtime, write, read);
}
