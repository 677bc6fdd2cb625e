//! The front: HTTP by hyper on tokio, and jobs over the boundary.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use spargio::boundary::{BoundaryClient, BoundaryError, stats_snapshot};
use tokio::net::TcpListener;

use crate::Failure;
use crate::work::{Job, JobResult};

pub(crate) type Client = BoundaryClient<Job, JobResult>;

/// A job that says nothing else has so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer that is none of the good ones.
struct Problem(StatusCode, String);

impl Problem {
    fn bad(text: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, text.into())
    }
}

impl From<BoundaryError> for Problem {
    fn from(error: BoundaryError) -> Self {
        let status = match error {
            BoundaryError::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            BoundaryError::Timeout => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self(status, error.to_string())
    }
}

/// Serves connections, each in a task of its own.
pub(crate) async fn serve(listener: TcpListener, client: Client, len: u64) -> Result<(), Failure> {
    loop {
        let (stream, _) = listener.accept().await?;
        let client = client.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let client = client.clone();
                async move { Ok::<_, Infallible>(respond(&client, &request, len).await) }
            });
            // A browser that hangs up ends this, which drops the service and with it its tickets.
            let connection = hyper::server::conn::http1::Builder::new();
            if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
                println!("a connection ended early: {error}");
            }
        });
    }
}

async fn respond(client: &Client, request: &Request<Incoming>, len: u64) -> Response<Full<Bytes>> {
    let (status, text) = match route(client, request, len).await {
        Ok(text) => (StatusCode::OK, text),
        Err(Problem(status, text)) => (status, text),
    };
    let mut response = Response::new(Full::new(Bytes::from(text + "\n")));
    *response.status_mut() = status;
    response
}

async fn route(client: &Client, request: &Request<Incoming>, len: u64) -> Result<String, Problem> {
    let deadline = Instant::now() + patience(request)?;
    let number = |text: &str| {
        text.parse().map_err(|error| Problem::bad(format!("{text} is no number: {error}")))
    };
    match request.uri().path().split('/').skip(1).collect::<Vec<_>>()[..] {
        ["sum", parts] => sum(client, number(parts)?, len, deadline).await,
        ["work", millis] => work(client, Duration::from_millis(number(millis)?), deadline).await,
        ["stats"] => Ok(format!("{:?}", stats_snapshot())),
        _ => Err(Problem(StatusCode::NOT_FOUND, "/sum/PARTS, /work/MILLIS or /stats".to_owned())),
    }
}

fn patience(request: &Request<Incoming>) -> Result<Duration, Problem> {
    let Some(header) = request.headers().get("x-deadline-ms") else { return Ok(PATIENCE) };
    let millis = header.to_str().ok().and_then(|text| text.parse().ok());
    millis.map(Duration::from_millis).ok_or(Problem::bad("x-deadline-ms is no number"))
}

/// Fans out: each part of the file is a job, and waits for room in the queue.
async fn sum(client: &Client, parts: u64, len: u64, until: Instant) -> Result<String, Problem> {
    if !(1..=1_024).contains(&parts) {
        return Err(Problem::bad(format!("{parts} parts: there may be 1 to 1024")));
    }
    let mut tickets = Vec::new();
    for part in 0..parts {
        let (start, end) = (len * part / parts, len * (part + 1) / parts);
        let bytes =
            usize::try_from(end - start).map_err(|error| Problem::bad(error.to_string()))?;
        let job = Job::Sum { offset: start, bytes };
        let ticket = client.call_with_deadline(job, until).await;
        tickets.push(ticket.map_err(BoundaryError::from)?);
    }
    let mut sum = 0;
    for ticket in tickets {
        sum += ticket.await?.map_err(|text| Problem(StatusCode::INTERNAL_SERVER_ERROR, text))?;
    }
    Ok(sum.to_string())
}

/// One job that takes long, and is refused if there are too many.
async fn work(client: &Client, span: Duration, until: Instant) -> Result<String, Problem> {
    let left = until.saturating_duration_since(Instant::now());
    let ticket =
        client.try_call_with_timeout(Job::Work(span), left).map_err(BoundaryError::from)?;
    let millis = ticket.await?.map_err(|text| Problem(StatusCode::INTERNAL_SERVER_ERROR, text))?;
    Ok(format!("worked for {millis} ms"))
}
