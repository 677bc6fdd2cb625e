//! What is done again and again: each kind of work, with what must hold in the end.

use std::error::Error;
use std::future::{Future, pending, poll_fn};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Shutdown};
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use spargio::net::{Family, Stream, TcpListener, TcpStream, UnixStream};
use spargio::sync::{mpsc, oneshot};
use spargio::{CancellationToken, JoinError, JoinSet, TaskGroup, fs, sleep, timeout, yield_now};

use crate::soak::World;
use crate::soak::dice::Dice;

/// Why an act is wrong.
pub(super) struct Wrong(pub(super) String);

impl<E: Error> From<E> for Wrong {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

type Outcome = Result<(), Wrong>;

/// What tasks and jobs panic with that are meant to. Nobody prints it.
#[derive(Debug)]
struct OnPurpose;

const MILLISECOND: Duration = Duration::from_millis(1);
const FAR: Duration = Duration::from_secs(3_600);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Tcp,
    Unix,
    Pair,
    File,
    Path,
    Timers,
    Tokens,
    Aborts,
    Panics,
    Jobs,
    Messages,
    Accepts,
}

impl Kind {
    pub(super) const ALL: [Self; 12] = [
        Self::Tcp,
        Self::Unix,
        Self::Pair,
        Self::File,
        Self::Path,
        Self::Timers,
        Self::Tokens,
        Self::Aborts,
        Self::Panics,
        Self::Jobs,
        Self::Messages,
        Self::Accepts,
    ];

    pub(super) async fn act(self, world: &World, dice: &mut Dice) -> Outcome {
        match self {
            Self::Tcp => {
                // Each address has ports of its own, of which closed connections keep theirs.
                let ip = Ipv4Addr::new(127, 0, 1, 1 + dice.below(200) as u8);
                converse(&TcpStream::connect((ip, world.tcp_port)).await?, dice).await
            }
            Self::Unix => converse(&UnixStream::connect(&world.unix).await?, dice).await,
            Self::Pair => given_up(dice).await,
            Self::File => scratch(dice).await,
            Self::Path => named(world, dice).await,
            Self::Timers => timers(dice).await,
            Self::Tokens => tokens(world, dice).await,
            Self::Aborts => aborts(dice).await,
            Self::Panics => panics(dice).await,
            Self::Jobs => jobs(dice).await,
            Self::Messages => messages(dice).await,
            Self::Accepts => accepts(dice).await,
        }
    }
}

/// Polls once in the task that awaits this.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

fn check(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Wrong(what())) }
}

fn same(what: &str, sent: &[u8], got: &[u8]) -> Outcome {
    check(sent == got, || {
        let at = sent.iter().zip(got).position(|(a, b)| a != b);
        format!("{what}: {} bytes went in, {} came out, unlike at {at:?}", sent.len(), got.len())
    })
}

/// Sends bytes to somebody who echoes them, a few times, and leaves in one way or the other.
async fn converse<F: Family>(stream: &Stream<F>, dice: &mut Dice) -> Outcome {
    for _ in 0..dice.below(6) {
        let (sent, bytes) = stream.write_all(dice.bytes(40_000)).await;
        sent?;
        let (read, back) = stream.read_exact(vec![0; bytes.len()].into_boxed_slice()).await;
        read?;
        same("echo", &bytes, &back)?;
    }
    match dice.below(4) {
        // The bytes are on their way back to nobody.
        0 => stream.write_all(dice.bytes(40_000)).await.0?,
        1 => {
            stream.shutdown(Shutdown::Write).await?;
            let (end, _) = stream.read(vec![0; 1]).await;
            check(end? == 0, || "the end was no end".to_owned())?;
        }
        2 => drop(timeout(dice.span(MILLISECOND), stream.read(vec![0; 100])).await),
        _ => {}
    }
    Ok(())
}

/// A stream whose reads and writes are given up, and which loses nothing by that.
async fn given_up(dice: &mut Dice) -> Outcome {
    let (near, far) = UnixStream::pair()?;
    let (mut sent, mut got) = (Vec::new(), Vec::new());
    for _ in 0..1 + dice.below(5) {
        for _ in 0..dice.below(3) {
            let mut read = far.read(Vec::with_capacity(1 + dice.below(500) as usize));
            if let Poll::Ready((read, bytes)) = poll_once(Pin::new(&mut read)).await {
                read?;
                got.extend(bytes);
            }
        }
        let (wrote, bytes) = near.write_all(dice.bytes(10_000)).await;
        wrote?;
        sent.extend(bytes);
        if dice.one_in(2) {
            yield_now().await;
        }
        let read = timeout(dice.span(MILLISECOND), far.read(Vec::with_capacity(300))).await;
        if let Ok((read, bytes)) = read {
            read?;
            got.extend(bytes);
        }
    }
    drop(near);
    loop {
        let (read, bytes) = far.read(Vec::with_capacity(4_096)).await;
        if read? == 0 {
            return same("given up", &sent, &got);
        }
        got.extend(bytes);
    }
}

/// A file without a name, written in pieces and read again.
async fn scratch(dice: &mut Dice) -> Outcome {
    let file = fs::temp_file().await?;
    let mut model = Vec::new();
    for _ in 0..1 + dice.below(6) {
        let bytes = dice.bytes(60_000);
        let offset = dice.below(model.len() as u64 + 1);
        let end = offset as usize + bytes.len();
        model.resize(model.len().max(end), 0);
        model[offset as usize..end].copy_from_slice(&bytes);
        file.write_all_at(bytes, offset).await.0?;
        if dice.one_in(4) {
            // Given up, or not: it reads only.
            let read = file.read_at(Vec::with_capacity(10_000), 0);
            drop(timeout(dice.span(MILLISECOND / 10), read).await);
        }
    }
    let (read, back) = file.read_exact_at(vec![0; model.len()].into_boxed_slice(), 0).await;
    read?;
    same("file", &model, &back)?;
    if dice.one_in(2) { Ok(file.close().await?) } else { Ok(()) }
}

/// A file with a name, written, moved, read and removed.
async fn named(world: &World, dice: &mut Dice) -> Outcome {
    let path = world.dir.join(format!("{:016x}", dice.next()));
    let moved = path.with_extension("moved");
    let bytes = dice.bytes(100_000);
    fs::write(&path, bytes.clone()).await?;
    fs::rename(&path, &moved).await?;
    let len = fs::metadata(&moved).await?.len();
    check(len == bytes.len() as u64, || format!("{len} bytes are in the file"))?;
    same("path", &bytes, &fs::read(&moved).await?)?;
    fs::remove_file(&moved).await?;
    let gone = fs::metadata(&moved).await.err().map(|error| error.kind());
    check(gone == Some(ErrorKind::NotFound), || format!("removed, and then {gone:?}"))
}

/// Many sleeps, of which some are dropped, some moved, and none ends early.
async fn timers(dice: &mut Dice) -> Outcome {
    let mut sleeps = Vec::new();
    for _ in 0..1 + dice.below(60) {
        let longest = if dice.one_in(3) { FAR } else { 20 * MILLISECOND };
        sleeps.push(Box::pin(sleep(dice.span(longest))));
    }
    for sleep in &mut sleeps {
        let _was_over = poll_once(sleep.as_mut()).await;
    }
    for mut sleep in sleeps {
        let near = Instant::now() + 20 * MILLISECOND;
        if sleep.deadline() > near {
            if dice.one_in(2) {
                continue;
            }
            sleep.as_mut().get_mut().reset(near - dice.span(20 * MILLISECOND));
        }
        sleep.as_mut().await;
        let early = sleep.deadline().saturating_duration_since(Instant::now());
        check(early.is_zero(), || format!("a sleep ended {early:?} early"))?;
    }
    Ok(())
}

/// Waits for what never comes.
async fn forever(way: u64) {
    match way {
        0 => sleep(FAR).await,
        1 => {
            let (_near, far) = UnixStream::pair().unwrap();
            let _never = far.read(vec![0; 100]).await;
        }
        2 => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let _never = listener.accept().await;
        }
        3 => {
            let (_near, far) = UnixStream::pair().unwrap();
            let mut incoming = far.recv_stream();
            let _never = incoming.next().await;
        }
        4 => {
            let (_sender, receiver) = mpsc::channel::<u8>(1);
            let mut receiver = receiver;
            let _never = receiver.recv().await;
        }
        _ => pending().await,
    }
}

/// A tree of tokens and a group under it, canceled at some moment.
async fn tokens(world: &World, dice: &mut Dice) -> Outcome {
    let root = CancellationToken::new();
    let group = TaskGroup::with_token(world.handle.clone(), root.child_token()).cancel_on_drop();
    let count = 1 + dice.below(12);
    for _ in 0..count {
        let (way, child) = (dice.below(6), root.child_token());
        let inside = dice.one_in(2);
        drop(group.spawn(async move {
            if inside {
                // The token or the group, whichever is first.
                let _canceled = child.run_until_cancelled(forever(way)).await;
            } else {
                forever(way).await;
            }
        })?);
    }
    if dice.one_in(2) {
        sleep(dice.span(2 * MILLISECOND)).await;
    }
    root.cancel();
    let ends = group.join_all().await;
    check(ends.finished + ends.canceled == count, || format!("{count} tasks ended as {ends:?}"))
}

/// Tasks that are aborted while they wait.
async fn aborts(dice: &mut Dice) -> Outcome {
    let mut tasks = JoinSet::new();
    for _ in 0..1 + dice.below(12) {
        let way = dice.below(6);
        tasks.spawn(forever(way))?;
    }
    for _ in 0..dice.below(4) {
        yield_now().await;
    }
    if dice.one_in(2) {
        sleep(dice.span(2 * MILLISECOND)).await;
    }
    if dice.one_in(4) {
        // The set is dropped with its tasks.
        return Ok(());
    }
    tasks.abort_all();
    while let Some(end) = tasks.join_next().await {
        check(matches!(end, Err(JoinError::Canceled)), || format!("aborted: {end:?}"))?;
    }
    Ok(())
}

fn panics_with_purpose<T>(end: Result<T, JoinError>) -> Outcome {
    let payload = end.err().and_then(|error| error.try_into_panic().ok());
    let is_meant = payload.is_some_and(|payload| payload.is::<OnPurpose>());
    check(is_meant, || "a panic got lost".to_owned())
}

/// Tasks that panic and hold a socket, a file, a timer.
async fn panics(dice: &mut Dice) -> Outcome {
    let mut tasks = JoinSet::new();
    for _ in 0..1 + dice.below(4) {
        let wait = dice.span(MILLISECOND);
        tasks.spawn(async move {
            let file = fs::temp_file().await;
            let (near, far) = UnixStream::pair().unwrap();
            let mut read = near.read(vec![0; 1_000]);
            let mut timer = Box::pin(sleep(FAR));
            let _waits = poll_once(Pin::new(&mut read)).await;
            let _waits = poll_once(timer.as_mut()).await;
            sleep(wait).await;
            let _held = (&file, &far);
            resume_unwind(Box::new(OnPurpose));
        })?;
    }
    while let Some(end) = tasks.join_next().await {
        panics_with_purpose::<()>(end)?;
    }
    Ok(())
}

/// Jobs on the threads that may block.
async fn jobs(dice: &mut Dice) -> Outcome {
    let seed = dice.next();
    let sum =
        |seed| Dice::new(seed).bytes(100_000).iter().map(|&byte| u64::from(byte)).sum::<u64>();
    let work = spargio::spawn_blocking(move || sum(seed))?;
    let panics = spargio::spawn_blocking(|| resume_unwind(Box::new(OnPurpose)))?;
    let nap = dice.span(2 * MILLISECOND);
    let slow = spargio::spawn_blocking(move || std::thread::sleep(nap))?;
    if dice.one_in(2) {
        slow.abort();
    }
    check(work.await? == sum(seed), || "a job computed something else".to_owned())?;
    panics_with_purpose::<()>(panics.await)
}

/// Several who send to one through little room, of whom one gives up its sends at times.
async fn messages(dice: &mut Dice) -> Outcome {
    let (sender, mut receiver) = mpsc::channel(1 + dice.below(4) as usize);
    let mut tasks = JoinSet::new();
    let (senders, each) = (1 + dice.below(4), dice.below(50));
    for _ in 0..senders {
        let sender = sender.clone();
        tasks.spawn(async move {
            for number in 0..each {
                if number % 8 == 7 {
                    let _given_up = poll_once(pin!(sender.reserve())).await;
                }
                if sender.send(number).await.is_err() {
                    return;
                }
            }
        })?;
    }
    drop(sender);
    let (answer, answers) = oneshot::channel();
    tasks.spawn(async move {
        let mut sum = 0;
        while let Some(number) = receiver.recv().await {
            sum += number;
        }
        // Nobody hears it if the act was ended.
        let _heard = answer.send(sum);
    })?;
    let (sum, expected) = (answers.await?, senders * (each * each.saturating_sub(1) / 2));
    check(sum == expected, || format!("messages sum up to {sum}, not {expected}"))
}

/// A listener that comes and goes with connections that it has and has not taken.
async fn accepts(dice: &mut Dice) -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    let mut clients = Vec::new();
    for _ in 0..1 + dice.below(3) {
        clients.push(TcpStream::connect(addr).await?);
    }
    let _given_up = poll_once(Pin::new(&mut listener.accept())).await;
    let (server, _) = listener.accept().await?;
    if dice.one_in(2) {
        listener.close().await;
    }
    drop(clients);
    // What the peer closed has an end, or was reset with its listener.
    let end = server.read(vec![0; 8]).await.0;
    check(!matches!(end, Ok(1..)), || format!("nobody sent {end:?}"))
}
