//! Several clients, each a task with a connection of its own, that work when they are told to.

use std::future::Future;

use super::client::{RoundTrips, Windows};
use super::server::Place;
use crate::measure::{Latencies, Wrong};
use crate::runtimes::{Receiver, Runtime, Sender, Stream};

/// What a client is told to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// So many frames there and back.
    pub(super) frames: u64,
    /// Steps to compute after each frame that came back.
    pub(super) work: u64,
}

impl Order {
    /// Frames without work.
    pub(super) const fn frames(frames: u64) -> Self {
        Self { frames, work: 0 }
    }
}

/// What a client has done in the end.
#[derive(Debug)]
pub(super) struct Done {
    /// Bytes that came back.
    pub(super) bytes: u64,
    /// Times of its round trips, if it took them.
    pub(super) latencies: Option<Latencies>,
}

/// The sum of what several have done.
pub(super) fn sum(all: Vec<Done>) -> (u64, Latencies) {
    let mut latencies = Latencies::of_all();
    let mut bytes = 0;
    for done in all {
        bytes += done.bytes;
        if let Some(taken) = done.latencies {
            latencies.merge(&taken);
        }
    }
    (bytes, latencies)
}

/// One that can be told.
pub(super) trait Client: Send + 'static {
    /// Does it.
    fn perform(&mut self, order: Order) -> impl Future<Output = Result<(), Wrong>> + Send;

    /// Closes its connection.
    fn end(self) -> Done;
}

/// The clients' tasks, and the channels to and from them.
pub(super) struct Crew<R: Runtime> {
    orders: Vec<R::Sender<Order>>,
    report: Option<R::Sender<Result<(), Wrong>>>,
    reports: R::Receiver<Result<(), Wrong>>,
    clients: Vec<R::Join<Option<Done>>>,
}

impl<R: Runtime> Crew<R> {
    pub(super) fn new() -> Self {
        let (report, reports) = R::channel(None);
        Self { orders: Vec::new(), report: Some(report), reports, clients: Vec::new() }
    }

    /// Starts one more, which connects as a task at that place.
    pub(super) fn add<C: Client>(
        &mut self,
        runtime: &R,
        place: Place,
        connecting: impl Future<Output = Result<C, Wrong>> + Send + 'static,
    ) {
        let (order, orders) = R::channel(Some(1));
        self.orders.push(order);
        let report = self.report.clone().expect("all clients are added before they are told");
        self.clients.push(place.spawn(runtime, work::<R, C>(connecting, orders, report)));
    }

    /// Waits until so many have connected, of those that were not waited for yet.
    pub(super) async fn connected(&mut self, clients: usize) -> Result<(), Wrong> {
        self.wait(clients).await
    }

    /// Tells all of them, by their numbers, and waits until all have done it.
    pub(super) async fn perform(&mut self, order: impl Fn(usize) -> Order) -> Result<(), Wrong> {
        self.report = None;
        for (client, orders) in self.orders.iter().enumerate() {
            orders.send(order(client));
        }
        self.wait(self.orders.len()).await
    }

    async fn wait(&mut self, clients: usize) -> Result<(), Wrong> {
        for _ in 0..clients {
            let report = self.reports.receive().await;
            let report = report.unwrap_or_else(|| Err(Wrong("all clients are gone".to_owned())));
            if report.is_err() {
                // The others end, too, when there are no more orders; nobody may be left that
                // reports to nobody.
                self.orders.clear();
                self.report = None;
                while self.reports.receive().await.is_some() {}
                return report;
            }
        }
        Ok(())
    }

    /// Lets them close their connections; what they have done.
    pub(super) async fn end(mut self) -> Result<Vec<Done>, Wrong> {
        self.orders.clear();
        let mut all = Vec::with_capacity(self.clients.len());
        for client in self.clients {
            let done = client.await;
            all.push(done.ok_or_else(|| Wrong("a client ended early".to_owned()))?);
        }
        Ok(all)
    }
}

/// What each client's task does; nothing is returned by one that reported an error.
async fn work<R: Runtime, C: Client>(
    connecting: impl Future<Output = Result<C, Wrong>> + Send,
    mut orders: R::Receiver<Order>,
    report: R::Sender<Result<(), Wrong>>,
) -> Option<Done> {
    let mut client = match connecting.await {
        Ok(client) => client,
        Err(wrong) => {
            report.send(Err(wrong));
            return None;
        }
    };
    report.send(Ok(()));
    while let Some(order) = orders.receive().await {
        let result = client.perform(order).await;
        let has_failed = result.is_err();
        report.send(result);
        if has_failed {
            return None;
        }
    }
    Some(client.end())
}

/// A client with windows of frames, which does something with each frame that came back.
pub(super) struct Windowed<S: Stream, E> {
    pub(super) frames: Windows<S>,
    pub(super) each: E,
}

impl<S, E> Client for Windowed<S, E>
where
    S: Stream + 'static,
    E: FnMut(&[u8], u64) + Send + 'static,
{
    async fn perform(&mut self, order: Order) -> Result<(), Wrong> {
        let each = &mut self.each;
        self.frames.run(order.frames, |frame| each(frame, order.work)).await
    }

    fn end(self) -> Done {
        Done { bytes: self.frames.bytes(), latencies: None }
    }
}

/// A client with one frame at a time, which may take the times.
pub(super) struct Timed<S> {
    pub(super) trips: RoundTrips<S>,
    pub(super) latencies: Option<Latencies>,
}

impl<S: Stream + 'static> Client for Timed<S> {
    async fn perform(&mut self, order: Order) -> Result<(), Wrong> {
        for _ in 0..order.frames {
            let lap = self.latencies.as_mut().map(Latencies::start);
            self.trips.one().await?;
            if let (Some(latencies), Some(lap)) = (&mut self.latencies, lap) {
                latencies.end(lap);
            }
        }
        Ok(())
    }

    fn end(self) -> Done {
        Done { bytes: self.trips.bytes(), latencies: self.latencies }
    }
}
