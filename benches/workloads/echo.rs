//! Echo of 256 bytes over loopback TCP, between two tasks that may both be stolen.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use io_uring::{IoUring, opcode, types};
use spargio::{Assembly, RuntimeOf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::workloads::{Contender, Session, Workload, by_hand, runtimes};

const SIZE: usize = 256;

pub(super) fn workloads() -> Vec<Workload> {
    vec![Workload::new(
        "net_api",
        "echo of 256 B, stealable",
        vec![
            Contender::spargio(spargio),
            Contender::tokio(tokio),
            Contender::other("1 thread, 4 calls", direct),
            Contender::other("1 thread, ring", ring),
            Contender::other("2 spinning threads", spinning),
        ],
    )]
}

/// Two ends of a connection, without delay.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("the listener is bound");
    let near = TcpStream::connect(addr).expect("the listener listens");
    let (far, _) = listener.accept().expect("somebody has connected");
    for stream in [&near, &far] {
        stream.set_nodelay(true).expect("it is a TCP socket");
    }
    (near, far)
}

fn spargio() -> Session {
    echo(runtimes::spargio())
}

/// Between two stealable tasks.
pub(crate) fn echo<A: Assembly>(runtime: RuntimeOf<A>) -> Session {
    let (near, far) = connection();
    let adopt = |stream| {
        let stream = spargio::net::TcpStream::from_std_on(&runtime.handle(), stream);
        Arc::new(stream.expect("it is a TCP socket"))
    };
    let (near, far) = (adopt(near), adopt(far));
    Box::new(move |times| {
        let (near, far) = (Arc::clone(&near), Arc::clone(&far));
        runtimes::inside_spargio(&runtime, async move {
            let echo = spargio::spawn(async move {
                let mut buffer = vec![0; SIZE].into_boxed_slice();
                for _ in 0..times {
                    let result;
                    (result, buffer) = far.read_exact(buffer).await;
                    result.expect("the peer sends");
                    let result;
                    (result, buffer) = far.write_all(buffer).await;
                    result.expect("the peer receives");
                }
            });
            let client = spargio::spawn(async move {
                let mut buffer = vec![7; SIZE].into_boxed_slice();
                for _ in 0..times {
                    let result;
                    (result, buffer) = near.write_all(buffer).await;
                    result.expect("the peer receives");
                    let result;
                    (result, buffer) = near.read_exact(buffer).await;
                    result.expect("the peer sends");
                }
            });
            client.expect("the runtime is open").await.expect("the task returns");
            echo.expect("the runtime is open").await.expect("the task returns");
        });
    })
}

fn tokio() -> Session {
    let runtime = runtimes::tokio();
    let (near, far) = connection();
    let adopt = |stream: TcpStream| {
        stream.set_nonblocking(true).expect("it is a socket");
        let _inside = runtime.enter();
        Some(tokio::net::TcpStream::from_std(stream).expect("it is a TCP socket"))
    };
    let (mut near, mut far) = (adopt(near), adopt(far));
    Box::new(move |times| {
        let mut near_end = near.take().expect("the last call gave it back");
        let mut far_end = far.take().expect("the last call gave it back");
        let ends = runtimes::inside_tokio(&runtime, async move {
            let echo = tokio::spawn(async move {
                let mut buffer = [0; SIZE];
                for _ in 0..times {
                    far_end.read_exact(&mut buffer).await.expect("the peer sends");
                    far_end.write_all(&buffer).await.expect("the peer receives");
                }
                far_end
            });
            let client = tokio::spawn(async move {
                let mut buffer = [7; SIZE];
                for _ in 0..times {
                    near_end.write_all(&buffer).await.expect("the peer receives");
                    near_end.read_exact(&mut buffer).await.expect("the peer sends");
                }
                near_end
            });
            (client.await.expect("the task returns"), echo.await.expect("the task returns"))
        });
        (near, far) = (Some(ends.0), Some(ends.1));
    })
}

/// Both ends by turns on one thread, where nothing ever has to wait.
fn direct() -> Session {
    let (mut near, mut far) = connection();
    Box::new(move |times| {
        let mut buffer = [7; SIZE];
        for _ in 0..times {
            near.write_all(&buffer).expect("the peer receives");
            far.read_exact(&mut buffer).expect("the peer has sent");
            far.write_all(&buffer).expect("the peer receives");
            near.read_exact(&mut buffer).expect("the peer has sent");
        }
    })
}

/// As `direct`, with each send and the receive of the other end in one call of a ring.
fn ring() -> Session {
    let (near, far) = connection();
    Box::new(move |times| {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
        let mut ring: IoUring = builder.build(8).expect("io_uring is available");
        let mut outgoing = [7; SIZE];
        let mut incoming = [0; SIZE];
        for _ in 0..times {
            for (from, to) in [(&near, &far), (&far, &near)] {
                let from = types::Fd(from.as_raw_fd());
                let send = opcode::Send::new(from, outgoing.as_ptr(), SIZE as u32).build();
                let to = types::Fd(to.as_raw_fd());
                let receive = opcode::Recv::new(to, incoming.as_mut_ptr(), SIZE as u32).build();
                // SAFETY:
                // - sockets and buffers outlive both operations: their completions are waited for
                //   below, and nobody touches the buffers until then.
                unsafe { ring.submission().push_multiple(&[send, receive]) }
                    .expect("the queue has room");
                let mut left = 2;
                while left > 0 {
                    ring.submit_and_wait(left).expect("the ring takes them");
                    for completion in ring.completion() {
                        assert_eq!(completion.result(), SIZE as i32);
                        left -= 1;
                    }
                }
                outgoing.copy_from_slice(&incoming);
            }
        }
    })
}

/// An end on each of two threads, which ask again and again and never sleep.
fn spinning() -> Session {
    let (mut near, mut far) = connection();
    for stream in [&near, &far] {
        stream.set_nonblocking(true).expect("it is a socket");
    }
    Box::new(move |times| {
        let client = || {
            let mut buffer = [7; SIZE];
            for _ in 0..times {
                near.write_all(&buffer).expect("the socket has room");
                receive(&mut near, &mut buffer);
            }
        };
        let echo = || {
            let mut buffer = [0; SIZE];
            for _ in 0..times {
                receive(&mut far, &mut buffer);
                far.write_all(&buffer).expect("the socket has room");
            }
        };
        by_hand::on_two_cpus(client, echo);
    })
}

fn receive(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => panic!("the peer closed its end"),
            Ok(read) => filled += read,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
    }
}
