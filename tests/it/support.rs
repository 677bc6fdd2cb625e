//! What the tests share: a watchdog that names a hang, conditions with a deadline, and futures that
//! wait for the test.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::pin::pin;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use spargio::{Assemble, Assembly, JoinHandle, RuntimeHandleOf, RuntimeOf, ShardCtx, ShardId};

/// A test that takes longer hangs. Far above what any test needs on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// A condition that does not come true within this time never will.
pub(crate) const SOON: Duration = Duration::from_secs(30);

type Describe = Box<dyn Fn() -> String + Send>;

/// What a test built, to be described should it hang.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Vec<Describe>>>);

impl Watch {
    /// Builds the runtime and remembers it.
    pub(crate) fn build<B: Assemble>(&self, builder: B) -> RuntimeOf<B::Assembly> {
        let runtime = builder.assemble().unwrap();
        self.add(&runtime.handle());
        runtime
    }

    /// Remembers a runtime.
    pub(crate) fn add<A: Assembly>(&self, handle: &RuntimeHandleOf<A>) {
        let handle = handle.clone();
        let describe = move || format!("{handle:?}\n{}", handle.stats_snapshot());
        self.0.lock().unwrap().push(Box::new(describe));
    }

    /// A number that no other test of this process has.
    pub(crate) fn number(&self) -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for describe in self.0.lock().unwrap().iter() {
            text.push_str(&describe());
        }
        for (name, state) in threads() {
            writeln!(text, "thread {name}: {state}").unwrap();
        }
        text
    }
}

/// Runs a test on a thread of its own. One that hangs fails with what its runtimes were doing.
#[track_caller]
pub(crate) fn watched(test: impl FnOnce(&Watch) + Send + 'static) {
    let watch = Watch::default();
    let inside = watch.clone();
    let (ended, end) = mpsc::channel::<()>();
    let name = thread::current().name().unwrap_or("test").to_owned();
    let body = move || {
        // Dropped at the end, also by a panic.
        let _ended = ended;
        test(&inside);
    };
    let body = thread::Builder::new().name(name).spawn(body).unwrap();
    match end.recv_timeout(PATIENCE) {
        Err(RecvTimeoutError::Timeout) => {
            panic!("the test hangs since {PATIENCE:?}\n{}", watch.describe());
        }
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = body.join() {
                resume_unwind(panic);
            }
        }
    }
}

/// Set in a process that runs one test alone.
const ALONE: &str = "SPARGIO_TEST_ALONE";

/// Runs the test of this name in a process of its own: nobody else has fds, threads or memory
/// there.
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    if env::var_os(ALONE).is_some() {
        return test();
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let cried = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{cried}");
    assert!(said.contains("1 passed"), "no test is called {name}: {said}");
}

/// Names and states of the threads of this process.
fn threads() -> Vec<(String, String)> {
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let describe = |task: fs::DirEntry| {
        let name = read(task.path().join("comm")).trim().to_owned();
        let waits = read(task.path().join("wchan"));
        (name, waits)
    };
    tasks.map(describe).collect()
}

/// How many threads of this process have a name that begins like this.
pub(crate) fn threads_named(prefix: &str) -> usize {
    threads().iter().filter(|(name, _)| name.starts_with(prefix)).count()
}

/// Waits on this thread until the condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "not within {SOON:?}: {what}");
        // A look every so often, instead of a busy one.
        thread::sleep(Duration::from_micros(100));
    }
}

/// Waits until the thread of a shard sleeps in the kernel, which a shard does when it is parked and
/// at no other time.
#[track_caller]
pub(crate) fn asleep<A: Assembly>(handle: &RuntimeHandleOf<A>, shard: u16) {
    let link = async { fs::read_link("/proc/thread-self").unwrap() };
    let thread = elsewhere(handle.spawn_pinned(shard, link).unwrap()).unwrap();
    let stat = PathBuf::from("/proc").join(thread).join("stat");
    wait_until("the shard sleeps", || {
        let stat = fs::read_to_string(&stat).unwrap();
        // The name stands in brackets; the state is the letter behind them.
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
    });
}

/// Receives, or says that nothing came.
#[track_caller]
pub(crate) fn receive<T>(from: &Receiver<T>, what: &str) -> T {
    match from.recv_timeout(SOON) {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error}"),
    }
}

/// The shard whose thread this is.
#[track_caller]
pub(crate) fn here() -> ShardId {
    ShardCtx::current().expect("on a shard").shard_id()
}

/// Polls a future on this thread, which belongs to no runtime, with an executor that knows nothing
/// of spargio.
pub(crate) fn elsewhere<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Lets others run.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Something that happens once, awaited by any number of tasks.
#[derive(Clone, Default)]
pub(crate) struct Event(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Event {
    pub(crate) fn set(&self) {
        let wakers = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            std::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.lock().unwrap().0
    }

    /// How many tasks wait.
    pub(crate) fn waiting(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }

    pub(crate) async fn wait(&self) {
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            if state.0 {
                return Poll::Ready(());
            }
            if !state.1.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.1.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// A shard that is stuck in the poll of a task, until this is dropped.
pub(crate) struct Plug {
    release: Option<Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Plug {
    /// Returns when the shard is in the long poll.
    pub(crate) fn new<A: Assembly>(handle: &RuntimeHandleOf<A>, shard: u16) -> Self {
        let (release, released) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let task = handle.spawn_pinned(shard, async move {
            begin.send(()).unwrap();
            // An error is the release as well.
            released.recv().unwrap_err();
        });
        receive(&begun, "the shard gets to the task that blocks it");
        Self { release: Some(release), task: Some(task.unwrap()) }
    }

    /// The task that blocks the shard.
    pub(crate) fn task(&mut self) -> JoinHandle<()> {
        self.task.take().unwrap()
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        drop(self.release.take());
    }
}

/// Says on which thread it is dropped.
pub(crate) struct Tell(pub(crate) Sender<thread::ThreadId>);

impl Drop for Tell {
    fn drop(&mut self) {
        // Whoever listened may be gone.
        let _ = self.0.send(thread::current().id()); // Nobody may be listening any more.
    }
}
