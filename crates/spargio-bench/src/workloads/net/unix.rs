//! A frame of 256 bytes there and back over a Unix socket, one at a time.

use std::env;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use super::by_hand::{self, Pair};
use super::echo::{SIZE, measured};
use super::server::{Place, Server, echo};
use super::{Floor, Spec, Stage, Workload, failed};
use crate::measure::{Slice, Wrong};
use crate::runtimes::{Runtime, Sender, Setup};

/// Two tasks wherever the runtime puts them, on two threads where nobody steals.
pub(crate) struct Echo;

impl Workload for Echo {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_unix_echo_rtt_256b",
        "round trip",
        "As net_echo_rtt_256b, over a Unix stream socket that is bound to a path. Floor: both ends \
         on one thread, four blocking calls per round trip, which never have to wait.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let place = SocketPath::new();
            let (binding, path) = (runtime.clone(), place.0.clone());
            let server = Server::start_with(&runtime, Place::Turn(1), |tell: R::Sender<()>| {
                serve(binding, path, tell)
            });
            let server = server.await?;
            let stream = runtime.connect_unix(&place.0).await.map_err(failed("connect"))?;
            measured(server, stream, times).await
        })
    }

    const FLOOR: Option<Floor> = Some(direct);
}

async fn serve<R: Runtime>(runtime: R, path: PathBuf, tell: R::Sender<()>) -> Result<u64, Wrong> {
    let mut listener = runtime.bind_unix(&path).await.map_err(failed("bind"))?;
    tell.send(());
    let stream = runtime.accept_unix(&mut listener).await.map_err(failed("accept"))?;
    echo(stream, SIZE).await
}

/// Where a socket is, for as long as this lives.
struct SocketPath(PathBuf);

impl SocketPath {
    /// One that nobody else has.
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("spargio-bench-{}-{number}.sock", process::id());
        Self(env::temp_dir().join(name))
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        // There is none if nobody came to listen; one that stays behind does no harm.
        drop(fs::remove_file(&self.0));
    }
}

fn direct(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let ends = UnixStream::pair().map_err(failed("a pair"))?;
    by_hand::rounds(&mut [Pair::over(ends, 0, SIZE, 1)], 1, times)
}
