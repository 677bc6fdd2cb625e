//! Everything at once, at random, for long: nothing is lost, and nothing stays behind.

mod acts;
mod dice;
mod sample;

use std::env;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use spargio::net::{Family, Listener, Stream, TcpListener, UnixListener};
use spargio::{JoinHandle, Runtime, RuntimeHandle, TaskPlacement};

use crate::support::{SOON, alone, elsewhere, watched};
use acts::{Kind, Wrong};
use dice::Dice;
use sample::{Counts, Sample, judge, rss};

/// Tasks that begin one act after the other.
const WALKERS: u64 = 24;
/// They rest for less than this between two acts.
const REST: Duration = Duration::from_millis(6);
/// Threads that have nothing to do end so soon, that their number comes back.
const KEEP_ALIVE: Duration = Duration::from_millis(200);
const SECOND: Duration = Duration::from_secs(1);

/// What the acts share.
struct World {
    handle: RuntimeHandle,
    tcp_port: u16,
    unix: PathBuf,
    dir: PathBuf,
    /// The walkers begin nothing more.
    stop: AtomicBool,
    acts: AtomicU64,
    /// Of those, the ones that were aborted or left to themselves.
    left: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl World {
    fn note(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    #[track_caller]
    fn assert_nothing_wrong(&self) {
        let wrong = self.wrong.lock().unwrap();
        assert!(
            wrong.is_empty(),
            "{} acts went wrong: {:#?}",
            wrong.len(),
            &wrong[..wrong.len().min(10)]
        );
    }
}

/// Says so if an act panics, also if nobody awaits it.
struct Ends<'w>(&'w World, Kind);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.note(format!("{:?} panicked", self.1));
        }
    }
}

async fn act(kind: Kind, world: Arc<World>, mut dice: Dice) {
    let _ends = Ends(&world, kind);
    if let Err(Wrong(error)) = kind.act(&world, &mut dice).await {
        world.note(format!("{kind:?}: {error}"));
    }
}

/// Begins acts in any place, and awaits, aborts or forgets them.
async fn walk(world: Arc<World>, mut dice: Dice) {
    while !world.stop.load(Ordering::Relaxed) {
        let kind = dice.pick(&Kind::ALL);
        let place = match dice.below(5) {
            0 => TaskPlacement::Pinned(0.into()),
            1 => TaskPlacement::RoundRobin,
            2 => TaskPlacement::Sticky(dice.next()),
            _ => TaskPlacement::Stealable,
        };
        let act = act(kind, Arc::clone(&world), dice.split());
        let task = match world.handle.spawn_with_placement(place, act) {
            Ok(task) => task,
            Err(error) => return world.note(format!("{kind:?} was refused: {error}")),
        };
        world.acts.fetch_add(1, Ordering::Relaxed);
        let fate = dice.below(8);
        if fate < 3 {
            world.left.fetch_add(1, Ordering::Relaxed);
        }
        let end = match fate {
            0 => {
                spargio::sleep(dice.span(REST / 2)).await;
                task.abort();
                task.await
            }
            1 => {
                drop(task);
                Ok(())
            }
            2 => spargio::timeout(dice.span(REST), task).await.unwrap_or(Ok(())),
            _ => task.await,
        };
        match end {
            Err(error) if fate != 0 || !error.is_canceled() => {
                world.note(format!("{kind:?} ended: {error}"));
            }
            _ => {}
        }
        spargio::sleep(dice.span(REST)).await;
    }
}

/// Sends back what comes, each connection in another way.
async fn serve<F: Family>(listener: Listener<F>) {
    for number in 0_u64.. {
        // A connection that its client has given up may be none any more.
        if let Ok((stream, _)) = listener.accept().await {
            drop(spargio::spawn(echo(stream, number % 2 == 0)).unwrap());
        }
    }
}

/// Clients leave as they like, so no error is one.
async fn echo<F: Family>(stream: Stream<F>, provided: bool) {
    if provided {
        let mut incoming = stream.recv_stream();
        while let Some(Ok(bytes)) = incoming.next().await {
            if stream.write_all(bytes).await.0.is_err() {
                return;
            }
        }
        return;
    }
    let mut buffer = Vec::with_capacity(4096);
    while let (Ok(1..), filled) = stream.read(buffer).await {
        let (sent, same) = stream.write_all(filled).await;
        if sent.is_err() {
            return;
        }
        buffer = same;
        buffer.clear();
    }
}

/// A runtime with something to do, and what it holds when it has nothing to do.
struct Soak {
    runtime: Runtime,
    world: Arc<World>,
    began: Instant,
    base: Counts,
    samples: Vec<Sample>,
}

impl Soak {
    fn new(runtime: Runtime, began: Instant) -> Self {
        let handle = runtime.handle();
        let dir = env::temp_dir().join(format!("spargio-soak-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("files")).unwrap();
        let unix = dir.join("socket");
        let tcp = elsewhere(TcpListener::bind_on(&handle, (Ipv4Addr::UNSPECIFIED, 0))).unwrap();
        let tcp_port = tcp.local_addr().unwrap().port();
        drop(handle.spawn_stealable(serve(tcp)).unwrap());
        let listener = elsewhere(UnixListener::bind_on(&handle, &unix)).unwrap();
        drop(handle.spawn_stealable(serve(listener)).unwrap());
        let world = Arc::new(World {
            handle: handle.clone(),
            tcp_port,
            unix,
            dir: dir.join("files"),
            stop: AtomicBool::new(false),
            acts: AtomicU64::new(0),
            left: AtomicU64::new(0),
            wrong: Mutex::default(),
        });
        crate::support::wait_until("both listeners listen", || {
            let now = Counts::take(&handle);
            (now.tasks, now.in_flight, now.queued, now.jobs) == (2, 2, 0, 0)
        });
        let base = Counts::take(&handle);
        println!("soak: at rest: {base}");
        Self { runtime, world, began, base, samples: Vec::new() }
    }

    fn sample(&mut self) -> Sample {
        let counts = Counts::take(&self.world.handle);
        let sample = Sample { at: self.began.elapsed(), rss: rss(), counts };
        self.samples.push(sample);
        sample
    }

    /// Lets the walkers go for a while, then waits until all is as it was in the beginning.
    fn round(&mut self, length: Duration, dice: &mut Dice) {
        self.world.stop.store(false, Ordering::Relaxed);
        let handle = self.world.handle.clone();
        let walkers: Vec<JoinHandle<()>> = (0..WALKERS)
            .map(|_| handle.spawn_stealable(walk(Arc::clone(&self.world), dice.split())).unwrap())
            .collect();
        let end = Instant::now() + length;
        let mut next = Instant::now();
        while Instant::now() < end {
            thread::sleep(SECOND.min(end.saturating_duration_since(Instant::now())));
            let sample = self.sample();
            if Instant::now() >= next {
                self.say("busy", &sample);
                next = Instant::now() + 5 * SECOND;
            }
            self.world.assert_nothing_wrong();
        }
        self.world.stop.store(true, Ordering::Relaxed);
        for walker in walkers {
            elsewhere(walker).unwrap();
        }
        self.settle();
    }

    fn settle(&mut self) {
        let began = Instant::now();
        // What an act leaves when it is ended in the middle.
        while Counts::take(&self.world.handle) != self.base {
            assert!(
                began.elapsed() < SOON,
                "at rest it was {}, and {SOON:?} after the end of all acts it is {}\n{:?}\n{}",
                self.base,
                Counts::take(&self.world.handle),
                self.world.handle,
                self.runtime.stats_snapshot(),
            );
            thread::sleep(Duration::from_millis(5));
        }
        self.world.assert_nothing_wrong();
        let sample = self.sample();
        self.say("rest", &sample);
        for left in std::fs::read_dir(&self.world.dir).unwrap() {
            std::fs::remove_file(left.unwrap().path()).unwrap();
        }
    }

    fn say(&self, what: &str, sample: &Sample) {
        let [acts, left] =
            [&self.world.acts, &self.world.left].map(|count| count.load(Ordering::Relaxed));
        println!(
            "soak: {:4} s, {what}: {acts} acts, {left} of them left alone; RSS {} KiB, {}",
            sample.at.as_secs(),
            sample.rss >> 10,
            sample.counts,
        );
    }

    fn end(self) {
        std::fs::remove_dir_all(self.world.dir.parent().unwrap()).unwrap();
        let report = self.runtime.shutdown_timeout(SOON);
        let bad = (report.shards_stuck, report.shards_panicked, report.operations_leaked);
        assert_eq!((bad, report.failures.len()), ((0, 0, 0), 0), "{report}");
        assert_eq!(report.tasks_dropped, 2, "the listeners are left: {report}");
        println!("soak: {report}");
    }
}

fn builder() -> spargio::RuntimeBuilder {
    Runtime::builder().shards(3).blocking_keep_alive(KEEP_ALIVE)
}

/// In each pause everything is counted back to what it was before.
#[test]
fn whatever_happens_at_random_leaves_nothing_behind() {
    alone("soak::whatever_happens_at_random_leaves_nothing_behind", || {
        watched(|watch| {
            let mut soak = Soak::new(watch.build(builder()), Instant::now());
            let mut dice = Dice::new(0x5eed);
            for _ in 0..4 {
                soak.round(2 * SECOND, &mut dice);
            }
            let acts = soak.world.acts.load(Ordering::Relaxed);
            assert!(acts > 100, "{acts} acts are none");
            soak.end();
        });
    });
}

/// A number of the environment.
fn wish(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// The same for long, and memory must not grow either. `cargo xtask soak` runs it.
#[test]
#[ignore = "takes as long as it is told to, ten minutes if not: cargo xtask soak"]
fn for_long_nothing_grows() {
    let length = Duration::from_secs(wish("SPARGIO_SOAK_SECONDS").unwrap_or(600).max(30));
    let seed = wish("SPARGIO_SOAK_SEED").unwrap_or(1);
    println!("soak: for {length:?} with seed {seed}");
    let began = Instant::now();
    let mut soak = Soak::new(builder().build().unwrap(), began);
    let mut dice = Dice::new(seed);
    // Several pauses in each of the stretches that are compared.
    let round = (length / 30).clamp(SECOND, 15 * SECOND);
    while began.elapsed() < length {
        soak.round(round, &mut dice);
    }
    judge(&soak.samples, length);
    soak.end();
}
