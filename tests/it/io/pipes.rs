//! Pipes, and the standard descriptors of a child process.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::pin::{Pin, pin};
use std::process::{Command, Stdio};
use std::task::{Context, Poll, Waker};

use spargio::IoBuf;
use spargio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, PipeReader, PipeWriter, copy, pipe, stderr,
    stdin, stdout,
};

use super::torture::Dice;
use super::{on_shards, waiting_bytes};
use crate::support::yield_now;

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_pipe_carries_more_than_it_holds_and_ends() {
    on_shards(async {
        let (mut reader, mut writer) = pipe().unwrap();
        let bytes = Dice::new(1).bytes(1 << 20);
        let sent = bytes.clone();
        let sender = spargio::spawn(async move {
            writer.write_all(sent).await.0.unwrap();
            writer.shutdown().await.unwrap();
            let (written, _) = writer.write("more").await;
            assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
        let (read, all) = reader.read_to_end(Vec::new()).await;
        assert_eq!(read.unwrap(), 1 << 20);
        assert!(all == bytes);
        sender.unwrap().await.unwrap();
    });
}

#[test]
fn dropped_reads_of_a_pipe_lose_no_byte() {
    on_shards(async {
        let (mut reader, mut writer) = pipe().unwrap();
        let bytes = Dice::new(2).bytes(3000);
        let sent = bytes.clone();
        let sender = spargio::spawn(async move {
            for piece in sent.chunks(7) {
                writer.write_all(piece.to_vec()).await.0.unwrap();
                yield_now().await;
            }
        });
        let mut dice = Dice::new(3);
        let (mut all, mut dropped) = (Vec::new(), 0);
        loop {
            let room = 1 + dice.below(12);
            let polled = poll_once(pin!(reader.read(vec![0; room].slice(..room))));
            match polled {
                Poll::Ready((read, buf)) => match read.unwrap() {
                    0 => break,
                    count => all.extend_from_slice(&buf[..count]),
                },
                Poll::Pending => {
                    dropped += 1;
                    yield_now().await;
                }
            }
        }
        assert!(dropped > 0);
        assert!(all == bytes);
        sender.unwrap().await.unwrap();
    });
}

#[test]
fn a_dropped_write_to_a_full_pipe_comes_before_the_next_or_not_at_all() {
    on_shards(async {
        let (mut reader, mut writer) = pipe().unwrap();
        let mut filled = 0;
        loop {
            match poll_once(pin!(writer.write(vec![b'a'; 4096]))) {
                Poll::Ready((written, _)) => filled += written.unwrap(),
                Poll::Pending => {}
            }
            // The ring takes a turn; when nothing more goes in, the pipe is full.
            for _ in 0..4 {
                yield_now().await;
            }
            if waiting_bytes(&reader) >= 60_000 {
                break;
            }
        }
        assert!(poll_once(pin!(writer.write(vec![b'b'; 100_000]))).is_pending());
        let last = spargio::spawn(async move { writer.write_all("end").await.0 });
        let (read, all) = reader.read_to_end(Vec::new()).await;
        read.unwrap();
        last.unwrap().await.unwrap().unwrap();
        let first = all.iter().position(|byte| *byte != b'a').unwrap();
        assert!(first >= filled);
        let rest = &all[first..];
        let (middle, end) = rest.split_at(rest.len() - 3);
        assert_eq!(end, b"end");
        assert!(middle.iter().all(|byte| *byte == b'b'));
    });
}

#[test]
fn a_pipe_that_nobody_reads_breaks_the_write() {
    on_shards(async {
        let (reader, mut writer) = pipe().unwrap();
        drop(reader.into_fd().unwrap());
        let (written, buf) = writer.write_all("bytes").await;
        assert_eq!((written.unwrap_err().kind(), buf), (ErrorKind::BrokenPipe, "bytes"));
        drop(writer.into_fd().unwrap().unwrap());
    });
}

#[test]
fn a_kept_read_keeps_the_descriptor_until_it_is_taken() {
    on_shards(async {
        let (mut reader, mut writer) = pipe().unwrap();
        assert!(poll_once(pin!(reader.read(vec![0; 8]))).is_pending());
        let mut reader = reader.into_fd().unwrap_err();
        writer.write_all("kept").await.0.unwrap();
        let (read, buf) = reader.read(vec![0; 2]).await;
        assert_eq!((read.unwrap(), &buf[..]), (2, &b"ke"[..]));
        let (read, buf) = reader.read(vec![0; 8]).await;
        assert_eq!(&buf[..read.unwrap()], b"pt");
        reader.into_fd().unwrap();
    });
}

#[test]
fn a_child_process_is_written_to_and_read_from() {
    on_shards(async {
        let piped = Stdio::piped;
        let mut child = Command::new("cat").stdin(piped()).stdout(piped()).spawn().unwrap();
        let mut to = PipeWriter::from_fd(child.stdin.take().unwrap()).unwrap();
        let mut from = PipeReader::from_fd(child.stdout.take().unwrap()).unwrap();
        let bytes = Dice::new(4).bytes(300_000);
        let sent = bytes.clone();
        let sender = spargio::spawn(async move {
            to.write_all_owned(sent).await.unwrap();
            to.shutdown().await.unwrap();
        });
        let (read, all) = from.read_to_end(Vec::new()).await;
        read.unwrap();
        assert!(all == bytes);
        sender.unwrap().await.unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn a_terminal_is_read_when_somebody_types_and_not_waited_for_at_the_end() {
    let (mut master, slave) = terminal();
    on_shards(async move {
        let mut slave = PipeReader::from_fd(slave).unwrap();
        assert!(poll_once(pin!(slave.read(vec![0; 64]))).is_pending());
        master.write_all(b"typed\n").unwrap();
        let (read, buf) = slave.read(vec![0; 64]).await;
        assert_eq!(&buf[..read.unwrap()], b"typed\n");
        // One that nobody ever answers: the runtime ends all the same.
        assert!(poll_once(pin!(slave.read(vec![0; 64]))).is_pending());
        yield_now().await;
        drop(slave);
        drop(master);
    });
}

/// Both ends of a terminal.
fn terminal() -> (std::fs::File, std::fs::File) {
    let open = |path: &str| OpenOptions::new().read(true).write(true).open(path).unwrap();
    let master = open("/dev/ptmx");
    let (mut locked, mut number): (libc::c_int, libc::c_uint) = (0, 0);
    // SAFETY:
    // - the request reads one `int`, which lives until the call returns.
    let unlocked = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw mut locked) };
    assert_eq!(unlocked, 0);
    // SAFETY:
    // - the request writes one `unsigned int`, which lives until the call returns.
    let asked = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTN, &raw mut number) };
    assert_eq!(asked, 0);
    (master, open(&format!("/dev/pts/{number}")))
}

const CHILD: &str = "SPARGIO_TEST_CHILD";
const MARK: &[u8] = b"<<input>>";

/// What the child process below does; by itself, nothing.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    on_shards(async {
        // Standard output has the noise of the test harness on it as well.
        let mut out = stdout().unwrap();
        out.write_all(MARK).await.0.unwrap();
        copy(&mut stdin().unwrap(), &mut out).await.unwrap();
        out.write_all(MARK).await.0.unwrap();
        out.shutdown().await.unwrap();
        stderr().unwrap().write_all("end of input\n").await.0.unwrap();
    });
}

/// Runs this test binary with its standard input from there; what it printed between the marks.
fn echoed(stdin: Stdio, feed: Option<&[u8]>) -> Vec<u8> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["io::pipes::child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if let Some(bytes) = feed {
        child.stdin.take().unwrap().write_all(bytes).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.ends_with(b"end of input\n"), "{output:?}");
    let find = |bytes: &[u8]| bytes.windows(MARK.len()).position(|window| window == MARK);
    let begin = find(&output.stdout).unwrap() + MARK.len();
    let end = find(&output.stdout[begin..]).unwrap();
    output.stdout[begin..begin + end].to_vec()
}

#[test]
fn standard_input_is_a_pipe_a_file_or_nothing() {
    assert_eq!(echoed(Stdio::piped(), Some(b"through a pipe")), b"through a pipe");
    assert_eq!(echoed(Stdio::null(), None), b"");
    let path = std::env::temp_dir().join(format!("spargio-stdin-{}", std::process::id()));
    std::fs::write(&path, b"from a file").unwrap();
    let mut file = std::fs::File::open(&path).unwrap();
    // Where others have left it.
    file.read_exact(&mut [0; 5]).unwrap();
    assert_eq!(echoed(file.into(), None), b"a file");
    std::fs::remove_file(&path).unwrap();
}
