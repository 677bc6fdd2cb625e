//! Futures of the same operations, polled where no runtime of ours is: by an executor that knows
//! nothing of it, and on tokio.

use std::future::Future;
use std::panic::resume_unwind;
use std::path::Path;
use std::pin::Pin;
use std::thread;

use futures_io::{AsyncRead, AsyncWrite};
use spargio::fs::{self, DuOptions, File, Fs};
use spargio::io::{Compat, pipe_on};
use spargio::net::{
    Family, Ip, Stream, TcpListener, TcpStream, UdpSocket, Unix, UnixListener, UnixStream,
};

use super::fs::{Scratch, insist, piecewise};
use super::knobs::{Kind, Knobs};
use super::streams::{Pairs, receive_all, send_all};
use super::{Ground, UNKIND, cancel, connects, io, native, polls, torment};
use crate::support::elsewhere;

type Errand = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whose executor it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Land {
    /// A thread that sleeps until it is woken, for each future.
    Threads,
    Tokio,
}

const LANDS: [Land; 2] = [Land::Threads, Land::Tokio];

/// Runs them at the same time, and waits for them without blocking the shard.
async fn send_abroad(land: Land, errands: Vec<Errand>) {
    let threads: Vec<_> = match land {
        Land::Threads => {
            errands.into_iter().map(|errand| thread::spawn(|| elsewhere(errand))).collect()
        }
        Land::Tokio => vec![thread::spawn(|| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(2).build().unwrap().block_on(async {
                let tasks: Vec<_> = errands.into_iter().map(tokio::spawn).collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
        })],
    };
    let join = move || threads.into_iter().try_for_each(thread::JoinHandle::join);
    if let Err(panic) = spargio::spawn_blocking(join).unwrap().await.unwrap() {
        resume_unwind(panic);
    }
}

/// The future, in each land.
async fn abroad<F>(errand: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for land in LANDS {
        send_abroad(land, vec![Box::pin(errand())]).await;
    }
}

const KNOBS: Knobs = Knobs { interrupt: 6, waits: 6, once: 4, ..UNKIND };

async fn both_ways<F: Pairs>(ground: &Ground, land: Land) {
    const LEN: usize = 30_000;
    let [near, far] = F::pair(ground).await;
    let mut dice = ground.dice();
    let (there, back) = (dice.bytes(LEN), dice.bytes(LEN));
    let errands: Vec<Errand> = vec![
        Box::pin(send_all(near.clone(), there.clone(), ground.clone(), 3_000)),
        Box::pin(receive_all(far.clone(), there, ground.clone(), 3_000)),
        Box::pin(send_all(far, back.clone(), ground.clone(), 3_000)),
        Box::pin(receive_all(near, back, ground.clone(), 3_000)),
    ];
    send_abroad(land, errands).await;
}

#[test]
fn streams_lose_double_and_mix_up_nothing() {
    const NAME: &str = "abroad::streams_lose_double_and_mix_up_nothing";
    const BITES: &[Kind] = &[
        Kind::Byte,
        Kind::Short,
        Kind::Parts,
        Kind::Interrupted,
        Kind::Starved,
        Kind::Delayed,
        Kind::Overtaken,
    ];
    torment(NAME, KNOBS, BITES, |ground| async move {
        for land in LANDS {
            both_ways::<Ip>(&ground, land).await;
            both_ways::<Unix>(&ground, land).await;
        }
    });
}

#[test]
fn reads_writes_and_calls_are_dropped_at_every_await() {
    const NAME: &str = "abroad::reads_writes_and_calls_are_dropped_at_every_await";
    const BITES: &[Kind] = &[Kind::Short, Kind::Delayed, Kind::LateCancel, Kind::Won];
    torment(NAME, UNKIND, BITES, |ground| async move {
        let errands: [fn(Ground) -> Errand; 4] = [
            |ground| Box::pin(cancel::reads::<Ip>(ground)),
            |ground| Box::pin(cancel::exact_reads::<Unix>(ground)),
            |ground| Box::pin(cancel::writes::<Unix>(ground)),
            |ground| Box::pin(cancel::calls::<Ip>(ground)),
        ];
        for (number, errand) in errands.into_iter().enumerate() {
            // Each land takes its turn with each of them.
            let land = LANDS[(number + ground.seed as usize / 2) % 2];
            send_abroad(land, vec![errand(ground.clone())]).await;
        }
    });
}

async fn polled_stream<F: Pairs>(ground: &Ground)
where
    Stream<F>: AsyncRead + AsyncWrite + Unpin,
{
    for land in LANDS {
        let data = ground.dice().bytes(polls::LEN);
        let [near, far] = F::pair(ground).await;
        let errands: Vec<Errand> = vec![
            Box::pin(polls::write_by_polls(near, data.clone(), ground.seed)),
            Box::pin(async move { polls::read_by_polls(far, &data, 7).await }),
        ];
        send_abroad(land, errands).await;
    }
}

#[test]
fn polls_and_waits_miss_nothing() {
    const NAME: &str = "abroad::polls_and_waits_miss_nothing";
    const BITES: &[Kind] = &[Kind::Waits, Kind::Once, Kind::Delayed, Kind::LateCancel];
    torment(NAME, Knobs { once: 2, ..KNOBS }, BITES, |ground| async move {
        polled_stream::<Ip>(&ground).await;
        polled_stream::<Unix>(&ground).await;
        for land in LANDS {
            let data = ground.dice().bytes(polls::LEN);
            let (reader, writer) = pipe_on(&ground.handle).unwrap();
            let (reader, writer) = (Compat::reader(reader), Compat::writer(writer));
            let errands: Vec<Errand> = vec![
                Box::pin(polls::write_by_polls(writer, data.clone(), ground.seed)),
                Box::pin(async move { polls::read_by_polls(reader, &data, 8).await }),
            ];
            send_abroad(land, errands).await;
        }
        abroad(|| polls::watched(ground.clone(), false)).await;
        abroad(|| polls::waited(ground.clone(), false)).await;
    });
}

#[test]
fn what_is_built_of_reads_and_writes_keeps_the_order() {
    const NAME: &str = "abroad::what_is_built_of_reads_and_writes_keeps_the_order";
    const BITES: &[Kind] = &[Kind::Byte, Kind::Short, Kind::Interrupted, Kind::Delayed];
    torment(NAME, KNOBS, BITES, |ground| async move {
        abroad(|| io::buffered::<Ip>(ground.clone())).await;
        for land in LANDS {
            let data = ground.dice().bytes(20_000);
            let (reader, writer) = pipe_on(&ground.handle).unwrap();
            let errands: Vec<Errand> = vec![
                Box::pin(io::write_buffered(writer, data.clone(), ground.seed)),
                Box::pin(async move { io::read_buffered(reader, &data, 4).await }),
            ];
            send_abroad(land, errands).await;
        }
    });
}

/// Answers one connection of each listener, and makes one to each.
async fn connections(ground: Ground) {
    async fn answer<F: Family>(stream: Stream<F>) {
        let (result, bytes) = stream.read_exact(Box::new([0; 4])).await;
        result.unwrap();
        assert_eq!(*bytes, *b"ping");
        stream.write_all("pong").await.0.unwrap();
    }
    let on = &ground.handle;
    let scratch = Scratch::new(ground.seed);
    let path = scratch.file("socket");
    let tcp = TcpListener::bind_on(on, "127.0.0.1:0").await.unwrap();
    let unix = UnixListener::bind_on(on, &path).await.unwrap();
    for _ in 0..10 {
        let near = TcpStream::connect_on(on, tcp.local_addr().unwrap()).await.unwrap();
        let far = tcp.accept().await.unwrap().0;
        near.write_all("ping").await.0.unwrap();
        answer(far).await;
        connects::hears_pong(&near).await;
        let near = UnixStream::connect_on(on, &path).await.unwrap();
        let far = unix.accept().await.unwrap().0;
        near.write_all("ping").await.0.unwrap();
        answer(far).await;
        connects::hears_pong(&near).await;
        let many = TcpStream::connect_many_round_robin_on(on, tcp.local_addr().unwrap(), 3);
        let near = many.await.unwrap();
        let mut near: Vec<_> = near.iter().map(|near| near.local_addr().unwrap()).collect();
        for _ in 0..3 {
            let from = tcp.accept().await.unwrap().1;
            let place = near.iter().position(|near| *near == from);
            near.swap_remove(place.expect("each comes once"));
        }
    }
    tcp.close().await;
    unix.close().await;
    let near = UdpSocket::bind_on(on, "127.0.0.1:0").await.unwrap();
    let far = UdpSocket::bind_on(on, "127.0.0.1:0").await.unwrap();
    for number in 0..40_u8 {
        let bytes = vec![number; 1 + usize::from(number)];
        near.send_to(ground.yard.filled(&bytes), far.local_addr().unwrap()).await.0.unwrap();
        let (received, buf) = far.recv_from(Vec::with_capacity(100)).await;
        let (count, from) = received.unwrap();
        assert_eq!((&buf[..count], from), (&bytes[..], near.local_addr().unwrap()));
    }
}

#[test]
fn connections_are_made_and_accepted_and_datagrams_come_whole() {
    const NAME: &str = "abroad::connections_are_made_and_accepted_and_datagrams_come_whole";
    const BITES: &[Kind] = &[Kind::Waits, Kind::Once, Kind::Delayed];
    let knobs = Knobs { byte: 0, short: 0, waits: 3, once: 2, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        abroad(|| connections(ground.clone())).await;
    });
}

/// Operations on names with a shard that is named.
async fn names(on: Fs, ground: Ground) {
    let scratch = Scratch::new(ground.seed);
    let at = |name: &str| scratch.file(name);
    insist(|| on.create_dir_all(at("dir/a/b"))).await;
    insist(|| on.write(at("one"), "1")).await;
    insist(|| on.rename(at("one"), at("two"))).await;
    insist(|| on.write(at("three"), "333")).await;
    insist(|| on.rename_exchange(at("two"), at("three"))).await;
    insist(|| on.rename_no_replace(at("two"), at("four"))).await;
    insist(|| on.hard_link(at("four"), at("five"))).await;
    insist(|| on.symlink("four", at("link"))).await;
    assert_eq!(insist(|| on.read_link(at("link"))).await, Path::new("four"));
    assert_eq!(insist(|| on.read(at("three"))).await, b"1");
    assert_eq!(insist(|| on.read_to_string(at("link"))).await, "333");
    assert_eq!(insist(|| on.canonicalize(at("link"))).await, at("four").canonicalize().unwrap());
    assert_eq!(insist(|| on.metadata(at("five"))).await.nlink(), 2);
    assert!(insist(|| on.symlink_metadata(at("link"))).await.is_symlink());
    assert!(!insist(|| on.exists(at("six"))).await);
    assert_eq!(insist(|| on.copy(at("four"), at("six"))).await, 3);
    let mut entries = insist(|| on.read_dir(&scratch.0)).await;
    let mut found = Vec::new();
    while let Some(entry) = entries.next_entry().await.unwrap() {
        found.push(entry.file_name().to_str().unwrap().to_owned());
    }
    found.sort();
    assert_eq!(found, ["dir", "five", "four", "link", "six", "three"]);
    assert_eq!(insist(|| on.du(&scratch.0, DuOptions::default())).await.files, 3);
    let file = insist(|| File::open_on(&ground.handle, at("six"))).await;
    assert_eq!(insist(|| file.metadata()).await.len(), 3);
    insist(|| file.sync_all()).await;
    insist(|| file.read_to_string_at(0)).await;
    file.close().await.unwrap();
    let temp = insist(|| on.temp_file_in(&scratch.0)).await;
    temp.file().write_all_at("kept", 0).await.0.unwrap();
    let (_, path) = temp.keep();
    assert_eq!(insist(|| on.read(&path)).await, b"kept");
    let dir = insist(|| on.temp_dir_in(&scratch.0)).await;
    let gone = dir.path().to_owned();
    dir.close().await.unwrap();
    assert!(!gone.exists());
    insist(|| on.remove_dir_all(at("dir"))).await;
    insist(|| on.remove_file(at("link"))).await;
}

#[test]
fn files_and_names_with_a_shard_that_is_named() {
    const NAME: &str = "abroad::files_and_names_with_a_shard_that_is_named";
    const BITES: &[Kind] = &[Kind::Byte, Kind::Short, Kind::Parts, Kind::Interrupted, Kind::Names];
    let knobs = Knobs { interrupt: 5, again: 0, names: 3, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        abroad(|| piecewise(ground.clone(), 6_000)).await;
        abroad(|| names(fs::on(&ground.handle), ground.clone())).await;
        // And on a shard, with every shard named.
        let every = (0..).map_while(|shard: u16| ground.handle.on(shard).ok());
        for shard in every.collect::<Vec<_>>() {
            names(fs::on(&shard), ground.clone()).await;
        }
    });
}

#[test]
fn native_operations_move_what_they_say() {
    const NAME: &str = "abroad::native_operations_move_what_they_say";
    const BITES: &[Kind] = &[Kind::Byte, Kind::Short, Kind::Interrupted, Kind::Delayed];
    torment(NAME, Knobs { names: 2, ..KNOBS }, BITES, |ground| async move {
        abroad(|| native::files(ground.clone(), 6_000)).await;
        abroad(|| native::sockets(ground.clone(), 6_000)).await;
    });
}
