//! Sockets: streams, listeners and datagrams, whose operations run on the ring of the shard that
//! polls them.
//!
//! | | streams | listeners | datagrams |
//! |---|---|---|---|
//! | over [`Ip`] | [`TcpStream`] | [`TcpListener`] | [`UdpSocket`] |
//! | on this machine: [`Unix`] | [`UnixStream`] | [`UnixListener`] | [`UnixDatagram`] |
//!
//! Descriptors of others are waited for by [`AsyncFd`].
//!
//! Each column is one type: [`Stream`], [`Listener`], [`Datagram`]. All are `Clone`, `Send` and
//! `Sync`, and all their methods take `&self`: a task that was stolen goes on using its sockets,
//! and its next operation goes to the ring of the shard that polls it then.
//!
//! # Buffers
//!
//! Reads and writes own their buffer while the kernel uses it and hand it back with the result, as
//! a [`BufResult`](crate::BufResult). [`Stream::recv_stream`] and [`Datagram::recv_stream`] need
//! none: what comes is in a buffer of the shard, a [`RecvBuf`], which goes back when it is dropped.
//!
//! # Dropped futures
//!
//! Every future of this module may be dropped at any moment. Each method says what that means for
//! the bytes and connections it was about to deliver; [`Stream::read`], [`Listener::accept`] and
//! [`Datagram::recv`] lose none.
//!
//! # Where it works
//!
//! `bind` and `connect` belong to the runtime of the thread they run on; `bind_on` and `connect_on`
//! take the runtime as an argument and work on every thread and executor. A socket works anywhere:
//! on a thread that is no shard of its runtime, operations go to the shard it was made on.
//!
//! # Examples
//!
//! ```
//! use spargio::net::{TcpListener, TcpStream};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = spargio::Runtime::builder().shards(1).build()?;
//! runtime.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let client = TcpStream::connect(listener.local_addr()?).await?;
//!     let (server, _) = listener.accept().await?;
//!
//!     client.write_all("hello").await.0?;
//!     let (read, buf) = server.read(Vec::with_capacity(64)).await;
//!     assert_eq!((read?, &buf[..]), (5, &b"hello"[..]));
//!     std::io::Result::Ok(())
//! })?;
//! # Ok(())
//! # }
//! ```

mod address;
mod async_fd;
mod backlog;
mod batch;
mod call;
mod connect_many;
mod control;
mod credentials;
mod datagram;
mod envelope;
mod family;
mod hint;
mod incoming;
mod inlet;
mod io;
mod keepalive;
mod listener;
mod lookup;
pub(crate) mod message;
mod options;
mod passing;
mod peek;
mod poll;
mod polled;
mod race;
mod ready;
mod recv_stream;
mod session;
mod socket;
mod socket_addr;
mod socket_options;
mod sockopt;
mod stash;
mod stream;
mod tcp;
mod tcp_socket;
mod transfer;
mod udp;
mod unix;
mod unix_path;
mod unsent;
mod vectored;
mod watch;
mod zero_copy;

pub use address::ToAddrs;
pub use async_fd::{AsyncFd, AsyncFdReadyGuard, AsyncFdTryNewError, TryIoError};
pub use batch::BatchError;
pub use credentials::Credentials;
pub use datagram::{Datagram, DatagramStream, RecvDatagram, SendDatagram};
pub use envelope::{Envelope, Received};
pub use family::{Family, Ip, Target, Unix};
pub use incoming::Incoming;
pub use keepalive::Keepalive;
pub use listener::{Accept, Listener};
pub use lookup::lookup_host;
pub use options::ListenOptions;
pub use ready::{Interest, Ready};
pub use recv_stream::RecvStream;
pub use session::StreamSessionPolicy;
pub use stream::Stream;
pub use tcp_socket::TcpSocket;
pub use transfer::{Read, Write};
pub use watch::Watch;
pub use zero_copy::ZeroCopy;

pub use crate::op::RecvBuf;

/// A TCP connection.
pub type TcpStream = Stream<Ip>;

/// A TCP socket that waits for connections.
pub type TcpListener = Listener<Ip>;

/// A socket for UDP datagrams.
pub type UdpSocket = Datagram<Ip>;

/// A connection on this machine.
pub type UnixStream = Stream<Unix>;

/// A socket that waits for connections on this machine.
pub type UnixListener = Listener<Unix>;

/// A socket for datagrams on this machine.
pub type UnixDatagram = Datagram<Unix>;
