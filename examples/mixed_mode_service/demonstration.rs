//! The service drives itself, and checks what it sees.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::front::Client;
use crate::work::Data;
use crate::{AT_ONCE, Failure, QUEUE, SHARDS};

/// Ends with an error unless something holds.
macro_rules! check {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+).into());
        }
    };
}

/// A connection; dropping it hangs up.
struct Browser {
    sender: SendRequest<Empty<Bytes>>,
    connection: JoinHandle<()>,
}

impl Browser {
    async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(async move {
            // How it ends is for the requests on it to say.
            drop(connection.await);
        });
        Ok(Self { sender, connection })
    }

    async fn get(
        &mut self,
        path: &str,
        deadline: Option<Duration>,
    ) -> Result<(StatusCode, String), Failure> {
        let mut request = Request::get(path).header("host", "localhost");
        if let Some(deadline) = deadline {
            request = request.header("x-deadline-ms", deadline.as_millis().to_string());
        }
        let response = self.sender.send_request(request.body(Empty::new())?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).trim().to_owned()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

async fn get(
    address: SocketAddr,
    path: &str,
    deadline: Option<Duration>,
) -> Result<(StatusCode, String), Failure> {
    Browser::connect(address).await?.get(path, deadline).await
}

/// Each of the four, one after the other.
pub(crate) async fn run(address: SocketAddr, client: &Client) -> Result<(), Failure> {
    println!(
        "serving on http://{address}: {SHARDS} shards, {AT_ONCE} jobs at a time on each, and a"
    );
    println!("queue of {QUEUE}");
    fan_out(address, client).await?;
    deadlines(address, client).await?;
    cancellation(address, client).await?;
    overload(address, client).await?;
    let stats = client.stats();
    println!("\nthe boundary: {stats:?}");
    check!(stats.in_flight() == 0, "{} calls have no end", stats.in_flight());
    check!(stats.closed == 0, "{} calls found no server", stats.closed);
    Ok(())
}

async fn fan_out(address: SocketAddr, client: &Client) -> Result<(), Failure> {
    const BROWSERS: u64 = 8;
    let begun = Instant::now();
    let before = client.stats();
    let browsers: Vec<_> = (0..BROWSERS)
        .map(|_| {
            tokio::spawn(async move {
                let mut browser = Browser::connect(address).await?;
                let mut answers = Vec::new();
                for parts in [1, 16, 64] {
                    answers.push(browser.get(&format!("/sum/{parts}"), None).await?);
                }
                Ok::<_, Failure>(answers)
            })
        })
        .collect();
    let expected: u64 = (0..1 << 20).map(|offset| u64::from(Data::byte(offset))).sum();
    for browser in browsers {
        for (status, text) in browser.await?? {
            check!(status == StatusCode::OK, "a sum is {status}: {text}");
            check!(text == expected.to_string(), "a sum is {text} instead of {expected}");
        }
    }
    let jobs = client.stats().answered - before.answered;
    check!(jobs == BROWSERS * 81, "{jobs} jobs were answered");
    println!("\nfan-out: {BROWSERS} browsers, {jobs} jobs, {:?}", begun.elapsed());
    Ok(())
}

async fn deadlines(address: SocketAddr, client: &Client) -> Result<(), Failure> {
    let begun = Instant::now();
    let before = client.stats();
    let wait = Duration::from_millis(30);
    let (status, text) = get(address, "/work/60000", Some(wait)).await?;
    let took = begun.elapsed();
    check!(status == StatusCode::GATEWAY_TIMEOUT, "a late job is {status}: {text}");
    check!(took >= wait && took < Duration::from_secs(20), "it took {took:?}");
    check!(client.stats().timed_out == before.timed_out + 1, "{:?}", client.stats());
    println!("deadline: {status} after {took:?}, and the job is stopped");
    Ok(())
}

async fn cancellation(address: SocketAddr, client: &Client) -> Result<(), Failure> {
    let before = client.stats();
    let mut browser = Browser::connect(address).await?;
    let asking = browser.get("/work/60000", None);
    // Until the job is on its way.
    let begun = tokio::time::timeout(Duration::from_secs(20), async {
        tokio::pin!(asking);
        while client.stats().calls == before.calls {
            tokio::select! {
                answer = &mut asking => return answer.map(|_| "it was answered"),
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
        }
        Ok("it is under way")
    });
    let state = begun.await??;
    check!(state == "it is under way", "{state}");
    drop(browser);
    until("the job is cancelled", || client.stats().canceled == before.canceled + 1).await?;
    println!("cancellation: a browser hung up, and its job is stopped");
    Ok(())
}

async fn overload(address: SocketAddr, client: &Client) -> Result<(), Failure> {
    const BROWSERS: usize = 64;
    let room = SHARDS * AT_ONCE + QUEUE;
    let before = client.stats();
    let browsers: Vec<_> = (0..BROWSERS)
        .map(|_| tokio::spawn(async move { get(address, "/work/300", None).await }))
        .collect();
    let mut statuses = Vec::new();
    for browser in browsers {
        let (status, text) = browser.await??;
        let expected = [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE];
        check!(expected.contains(&status), "a job is {status}: {text}");
        statuses.push(status);
    }
    let served = statuses.iter().filter(|status| **status == StatusCode::OK).count();
    check!(served >= QUEUE, "{served} jobs were done");
    let stats = client.stats();
    let refused = BROWSERS - served;
    check!(stats.overloaded - before.overloaded == refused as u64, "{stats:?}");
    // On a machine that is slow to connect, room is free again before all have come.
    println!(
        "overload: {BROWSERS} at once and room for {room}: {served} served, {refused} refused"
    );
    Ok(())
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), Failure> {
    let begun = Instant::now();
    while !holds() {
        check!(begun.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
