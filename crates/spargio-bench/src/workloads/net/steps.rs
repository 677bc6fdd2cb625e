//! Eight connections that go on in steps: all of them have done one before the next begins.

use super::client::Windows;
use super::crew::{Crew, Order, Windowed, sum};
use super::failed;
use super::pattern::Pattern;
use super::server::{Place, Server};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::Runtime;

/// How many connections there are.
pub(super) const CONNECTIONS: usize = 8;

/// What the connections have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Bytes of a frame.
    pub(super) frame: usize,
    /// Frames of a connection that are under way at the same time.
    pub(super) window: u64,
    /// Whether both ends are on the same thread where nobody steals, or on neighbours.
    pub(super) is_paired: bool,
}

/// Connections that stand, with a client and a server task each.
pub(super) struct Lanes<R: Runtime> {
    pub(super) crew: Crew<R>,
    servers: Vec<Server<R>>,
}

impl<R: Runtime> Lanes<R> {
    /// Connects them; `each` is what a client does with each frame that came back.
    pub(super) async fn connect<E>(runtime: &R, layout: Layout, each: E) -> Result<Self, Wrong>
    where
        E: FnMut(&[u8], u64) + Clone + Send + 'static,
    {
        let mut crew = Crew::new();
        let mut servers = Vec::with_capacity(CONNECTIONS);
        for number in 0..CONNECTIONS {
            let apart = usize::from(!layout.is_paired);
            let buffer = super::READ;
            let server = Server::start(runtime, Place::Turn(number + apart), buffer).await?;
            let addr = server.addr;
            servers.push(server);
            let (connecting, each) = (runtime.clone(), each.clone());
            crew.add(runtime, Place::Turn(number), async move {
                let stream = connecting.connect(addr).await.map_err(failed("connect"))?;
                let pattern = Pattern::of(number);
                let mut frames = Windows::new(stream, pattern, layout.frame, layout.window);
                // With this, the server has accepted, too.
                frames.run(1, |_| ()).await?;
                Ok(Windowed { frames, each })
            });
        }
        crew.connected(CONNECTIONS).await?;
        Ok(Self { crew, servers })
    }

    /// Closes them, and looks whether the servers saw all that the clients did.
    pub(super) async fn end(self) -> Result<(), Wrong> {
        let (bytes, _) = sum(self.crew.end().await?);
        let mut echoed = 0;
        for server in self.servers {
            echoed += server.end().await?;
        }
        Wrong::unless_equal("bytes at the servers", echoed, bytes)
    }
}

/// Goes so many steps, each as planned for its number and for the number of the connection. The
/// latencies are those of the steps.
pub(super) async fn go<R, E>(
    runtime: R,
    layout: Layout,
    each: E,
    steps: u64,
    plan: impl Fn(u64, usize) -> Order + Send,
) -> Result<Slice, Wrong>
where
    R: Runtime,
    E: FnMut(&[u8], u64) + Clone + Send + 'static,
{
    let mut lanes = Lanes::connect(&runtime, layout, each).await?;
    let mut latencies = Latencies::of_all();
    let meter = Meter::start();
    for step in 0..steps {
        let lap = latencies.start();
        lanes.crew.perform(|connection| plan(step, connection)).await?;
        latencies.end(lap);
    }
    let slice = meter.stop(steps).with_latencies(latencies);
    lanes.end().await?;
    Ok(slice)
}

/// Which connection is the busy one, if it changes after so many steps.
pub(super) const fn hot(step: u64, stay: u64) -> usize {
    (step / stay) as usize % CONNECTIONS
}
