//! The standard streams of this process, one of which is another's while a test lasts.

use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::thread;

use spargio::io::{AsyncWrite as _, stderr, stdin, stdout};

use super::drops::{BITES, KNOBS, LEN, read_and_drop, write_and_drop};
use super::torment;

struct Redirected {
    number: RawFd,
    before: OwnedFd,
}

fn put(fd: &OwnedFd, number: RawFd) {
    // SAFETY: both are numbers, and the standard library expects of the three that they may be
    // anything.
    let put = unsafe { libc::dup3(fd.as_raw_fd(), number, 0) };
    assert_eq!(put, number, "{}", io::Error::last_os_error());
}

impl Redirected {
    fn new(number: RawFd, to: OwnedFd) -> Self {
        // SAFETY: the three are open for as long as the process lives.
        let before = unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned().unwrap();
        put(&to, number);
        Self { number, before }
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        put(&self.before, self.number);
    }
}

#[test]
fn the_standard_streams_lose_nothing() {
    const NAME: &str = "standard::the_standard_streams_lose_nothing";
    torment(NAME, KNOBS, BITES, |ground| async move {
        let data = ground.dice().bytes(LEN);
        {
            let (reader, mut writer) = io::pipe().unwrap();
            let input = Redirected::new(0, reader.into());
            let sent = data.clone();
            let sender = thread::spawn(move || {
                sent.chunks(997).for_each(|part| writer.write_all(part).unwrap());
            });
            read_and_drop(stdin().unwrap(), &data, ground.seed).await;
            sender.join().unwrap();
            drop(input);
        }
        {
            let (mut reader, writer) = io::pipe().unwrap();
            let output = Redirected::new(1, writer.into());
            let receiver = thread::spawn(move || {
                let mut all = Vec::new();
                reader.read_to_end(&mut all).unwrap();
                all
            });
            write_and_drop(stdout().unwrap(), &data, &ground).await;
            drop(output);
            let all = spargio::spawn_blocking(|| receiver.join().unwrap());
            assert!(all.unwrap().await.unwrap() == data, "standard output");
        }
        let (reader, writer) = io::pipe().unwrap();
        let output = Redirected::new(2, writer.into());
        let receiver = thread::spawn(move || {
            let lines: Result<Vec<_>, _> = io::BufReader::new(reader).lines().collect();
            lines.unwrap()
        });
        let mut errors = stderr().unwrap();
        for number in 0..200 {
            errors.write_all(format!("line {number}\n")).await.0.unwrap();
        }
        drop((errors, output));
        let lines = spargio::spawn_blocking(|| receiver.join().unwrap());
        let lines = lines.unwrap().await.unwrap();
        assert!(lines.into_iter().eq((0..200).map(|number| format!("line {number}"))));
    });
}
