//! Datagrams of both families: they come whole and in order, none is lost when futures are dropped,
//! and what is cut is told.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use spargio::net::{Datagram, Envelope, Family, Ip, UdpSocket, Unix, UnixDatagram};
use spargio::time::timeout;
use spargio::{Runtime, RuntimeHandle};

use super::{on_shard, on_shards, poll_once, temp_path, yield_now};

/// What the families make of the same tests.
pub(super) trait Kind: Family {
    /// Whether a send waits for room at the receiver.
    const IS_RELIABLE: bool;

    /// A socket that can be sent to.
    fn bound() -> impl Future<Output = Datagram<Self>> + Send;

    /// Connects the first to the second.
    fn connect(
        from: &Datagram<Self>,
        to: &Datagram<Self>,
    ) -> impl Future<Output = io::Result<()>> + Send;
}

impl Kind for Ip {
    const IS_RELIABLE: bool = false;

    async fn bound() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0").await.unwrap()
    }

    async fn connect(from: &UdpSocket, to: &UdpSocket) -> io::Result<()> {
        from.connect(to.local_addr()?).await
    }
}

impl Kind for Unix {
    const IS_RELIABLE: bool = true;

    async fn bound() -> UnixDatagram {
        UnixDatagram::bind(temp_path()).await.unwrap()
    }

    async fn connect(from: &UnixDatagram, to: &UnixDatagram) -> io::Result<()> {
        from.connect(to.local_addr()?)
    }
}

/// Makes a test of each function, for each family.
macro_rules! for_both {
    ($($name:ident)*) => {
        mod udp {
            $(#[test] fn $name() { super::$name::<spargio::net::Ip>(); })*
        }
        mod unix {
            $(#[test] fn $name() { super::$name::<spargio::net::Unix>(); })*
        }
    };
}

for_both! {
    datagrams_come_whole_and_in_order
    an_empty_datagram_is_one
    a_datagram_that_is_cut_says_so_where_it_is_asked
    a_receive_dropped_before_its_first_poll_takes_nothing
    a_receive_dropped_in_flight_leaves_the_datagram_to_the_next
    a_receive_dropped_after_it_completed_leaves_its_datagram_to_the_next
    the_buffer_of_a_dropped_receive_does_not_cut_the_next_datagram
    the_buffer_of_a_receive_dropped_before_its_second_look_cuts_nothing
    receives_dropped_at_any_stage_lose_no_datagram
    many_tasks_share_a_socket
    sends_dropped_at_any_stage_arrive_once_or_not_at_all
    a_socket_goes_to_the_standard_library_and_back
}

/// Two sockets, the first connected to the second.
pub(super) async fn pair<K: Kind>() -> (Datagram<K>, Datagram<K>) {
    let (near, far) = (K::bound().await, K::bound().await);
    K::connect(&near, &far).await.unwrap();
    K::connect(&far, &near).await.unwrap();
    (near, far)
}

fn from_number(bytes: &[u8]) -> usize {
    usize::from(bytes[bytes.len() - 1])
}

/// Receives with this much room.
pub(super) async fn recv<K: Kind>(socket: &Datagram<K>, room: usize) -> Vec<u8> {
    let (count, buf) = socket.recv(vec![0; room].into_boxed_slice()).await;
    buf[..count.unwrap()].to_vec()
}

fn datagrams_come_whole_and_in_order<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        for round in 0..200_usize {
            let sent: Vec<Vec<u8>> =
                [0, 1, 700].iter().map(|len| vec![round as u8; len + round]).collect();
            for bytes in &sent {
                assert_eq!(near.send(bytes.clone()).await.0.unwrap(), bytes.len());
            }
            for bytes in &sent {
                assert_eq!(&recv(&far, 2048).await, bytes);
            }
            let (sent, _) = far.send(vec![round as u8; 3]).await;
            assert_eq!(sent.unwrap(), 3);
            let (received, buf) = near.recv_from(Vec::with_capacity(16)).await;
            assert_eq!((received.unwrap().0, buf), (3, vec![round as u8; 3]));
        }
    });
}

fn an_empty_datagram_is_one<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        near.send("").await.0.unwrap();
        near.send("next").await.0.unwrap();
        assert_eq!(recv(&far, 16).await, b"");
        // Without room it is received all the same.
        let (received, _) = far.recv_msg(Vec::new()).await;
        let received = received.unwrap();
        assert_eq!((received.len(), received.full_len()), (0, 4));
    });
}

fn a_datagram_that_is_cut_says_so_where_it_is_asked<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        for _ in 0..2 {
            near.send(vec![7; 100]).await.0.unwrap();
        }
        near.send("end").await.0.unwrap();
        assert_eq!(recv(&far, 64).await, [7; 64]);
        let (received, buf) = far.recv_msg(Box::new([0; 64])).await;
        let received = received.unwrap();
        assert_eq!((received.len(), received.full_len(), received.is_cut()), (64, 100, true));
        assert_eq!(*buf, [7; 64]);
        let (received, _) = far.recv_msg(Vec::with_capacity(64)).await;
        assert!(!received.unwrap().is_cut());
    });
}

fn a_receive_dropped_before_its_first_poll_takes_nothing<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        near.send("hello").await.0.unwrap();
        drop(far.recv(vec![0; 16]));
        assert_eq!(recv(&far, 16).await, b"hello");
    });
}

fn a_receive_dropped_in_flight_leaves_the_datagram_to_the_next<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        for round in 0..10 {
            let mut pending = Box::pin(far.recv(vec![0; 16]));
            if round % 2 == 0 {
                arm(&mut pending).await;
            } else {
                assert!(poll_once(&mut pending).await.is_pending());
            }
            drop(pending);
            near.send("hello").await.0.unwrap();
            assert_eq!(recv(&far, 16).await, b"hello");
        }
    });
}

fn a_receive_dropped_after_it_completed_leaves_its_datagram_to_the_next<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        let mut pending = Box::pin(far.recv(vec![0; 16]));
        let mut send = Box::pin(near.send("hello"));
        let mut sent = Poll::Pending;
        let mut polled = false;
        // The task is woken by the receive alone: the send is over at once.
        poll_fn(|cx| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(());
            }
            assert!(pending.as_mut().poll(cx).is_pending());
            sent = send.as_mut().poll(cx);
            Poll::Pending
        })
        .await;
        assert!(sent.is_ready());
        drop(pending);
        near.send("again").await.0.unwrap();
        // The address is kept with it.
        let (received, buf) = far.recv_from(vec![0; 16]).await;
        assert_eq!(received.unwrap().0, 5);
        assert_eq!(buf, b"hello");
        assert_eq!(recv(&far, 16).await, b"again");
    });
}

/// Polls a receive that finds nothing, and lets the shard take turns until it waits on the ring.
pub(super) async fn arm<F: Future + Unpin>(receive: &mut F) {
    let handle = RuntimeHandle::current().unwrap();
    let before = handle.stats_snapshot().total().sqes;
    assert!(poll_once(receive).await.is_pending());
    while handle.stats_snapshot().total().sqes == before {
        yield_now().await;
    }
}

fn the_buffer_of_a_dropped_receive_does_not_cut_the_next_datagram<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        let handle = RuntimeHandle::current().unwrap();
        let in_flight = || handle.stats_snapshot().total().in_flight;
        let mut pending = Box::pin(far.recv(Box::new([0; 1])));
        arm(&mut pending).await;
        drop(pending);
        assert_eq!(in_flight(), 1, "the kernel has it yet");
        let mut next = Box::pin(far.recv(vec![0; 16]));
        assert!(poll_once(&mut next).await.is_pending());
        while in_flight() > 0 {
            yield_now().await;
        }
        near.send("hello").await.0.unwrap();
        let (count, buf) = next.await;
        assert_eq!(&buf[..count.unwrap()], b"hello");
    });
}

fn the_buffer_of_a_receive_dropped_before_its_second_look_cuts_nothing<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        let handle = RuntimeHandle::current().unwrap();
        let mut pending = Box::pin(far.recv(Box::new([0; 1])));
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        assert_eq!(handle.stats_snapshot().total().in_flight, 0, "it never was on the ring");
        let mut next = Box::pin(far.recv(vec![0; 16]));
        assert!(poll_once(&mut next).await.is_pending());
        near.send("hello").await.0.unwrap();
        let (count, buf) = next.await;
        assert_eq!(&buf[..count.unwrap()], b"hello");
    });
}

/// Numbers that look random and are the same each time (xorshift).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Drops the future unpolled, in flight or when it has woken its task, or awaits it.
async fn until<F: Future + Unpin>(mut future: F, stage: u64) -> Option<F::Output> {
    match stage {
        0 => None,
        1 => match poll_once(&mut future).await {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        },
        2 => {
            let mut polled = false;
            poll_fn(|cx| {
                if std::mem::replace(&mut polled, true) {
                    return Poll::Ready(None);
                }
                Pin::new(&mut future).poll(cx).map(Some)
            })
            .await
        }
        _ => Some(future.await),
    }
}

fn receives_dropped_at_any_stage_lose_no_datagram<K: Kind>() {
    const TOTAL: u32 = 2000;
    on_shards(2, async {
        let (near, far) = pair::<K>().await;
        let (answer, confirmed) = pair::<K>().await;
        let receiver = spargio::spawn(async move {
            let mut dice = Dice(7);
            let mut next = 0;
            while next < TOTAL {
                let stage = dice.below(4);
                if let Some((count, buf)) = until(Box::pin(far.recv(vec![0; 8])), stage).await {
                    assert_eq!((count.unwrap(), buf), (4, next.to_le_bytes().to_vec()));
                    next += 1;
                    if next % 8 == 0 {
                        answer.send("on").await.0.unwrap();
                    }
                }
            }
            let mut pending = Box::pin(far.recv(vec![0; 8]));
            assert!(poll_once(&mut pending).await.is_pending(), "one came twice");
        })
        .unwrap();
        for number in 0..TOTAL {
            near.send(number.to_le_bytes().to_vec()).await.0.unwrap();
            // No more under way than a queue holds.
            if number % 8 == 7 {
                recv(&confirmed, 4).await;
            }
        }
        receiver.await.unwrap();
    });
}

fn many_tasks_share_a_socket<K: Kind>() {
    const TASKS: usize = 8;
    const EACH: usize = 50;
    on_shards(2, async {
        let server = K::bound().await;
        let echo = server.clone();
        let echo = spargio::spawn(async move {
            for _ in 0..TASKS * EACH {
                let (received, buf) = echo.recv_from(Vec::with_capacity(64)).await;
                let (_, from) = received.unwrap();
                if from_number(&buf).is_multiple_of(2) {
                    echo.send_to(buf, from).await.0.unwrap();
                } else {
                    echo.send_msg(buf, Envelope::new().to(from)).await.0.unwrap();
                }
            }
        })
        .unwrap();
        let mut tasks = Vec::new();
        for task in 0..TASKS {
            let client = K::bound().await;
            K::connect(&client, &server).await.unwrap();
            let task = spargio::spawn(async move {
                for round in 0..EACH {
                    let text = format!("{task}/{round}");
                    client.send(text.clone()).await.0.unwrap();
                    assert_eq!(recv(&client, 64).await, text.as_bytes());
                }
            });
            tasks.push(task.unwrap());
        }
        for task in tasks {
            task.await.unwrap();
        }
        echo.await.unwrap();
    });
}

fn sends_dropped_at_any_stage_arrive_once_or_not_at_all<K: Kind>() {
    on_shards(2, async {
        let (near, far) = pair::<K>().await;
        let receiver = spargio::spawn(async move {
            let mut seen = Vec::new();
            loop {
                let bytes = recv(&far, 16).await;
                let number = u32::from_le_bytes(bytes.try_into().unwrap());
                if number == u32::MAX {
                    return seen;
                }
                seen.push(number);
            }
        })
        .unwrap();
        let mut dice = Dice(11);
        let mut certain = Vec::new();
        for number in 0..500_u32 {
            let send = Box::pin(near.send(number.to_le_bytes().to_vec()));
            if until(send, dice.below(4)).await.is_some() {
                certain.push(number);
            }
            if number % 4 == 0 {
                yield_now().await;
            }
        }
        // (Of UDP, the kernel may drop what finds no room, the last one too.)
        let mut receiver = pin!(receiver);
        let seen = loop {
            // This fails when the receiver is gone.
            drop(near.send(u32::MAX.to_le_bytes().to_vec()).await);
            if let Ok(seen) = timeout(Duration::from_millis(20), receiver.as_mut()).await {
                break seen.unwrap();
            }
        };
        assert!(seen.is_sorted_by(|a, b| a < b), "twice or out of order: {seen:?}");
        if K::IS_RELIABLE {
            assert!(certain.iter().all(|number| seen.contains(number)), "{seen:?}");
        }
    });
}

fn a_socket_goes_to_the_standard_library_and_back<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        let clone = far.clone();
        let far = far.into_std().unwrap_err();
        drop(clone);
        let mut pending = Box::pin(far.recv(vec![0; 16]));
        arm(&mut pending).await;
        drop(pending);
        let far = far.into_std().unwrap_err();
        near.send("a").await.0.unwrap();
        assert_eq!(recv(&far, 16).await, b"a");
        let far = Datagram::<K>::from_std(far.into_std().unwrap()).unwrap();
        near.send("b").await.0.unwrap();
        assert_eq!(recv(&far, 16).await, b"b");
    });
}

/// What one waits for is sent by a task that runs next, which a second look finds.
#[test]
fn question_and_answer_on_one_shard_take_no_entries_of_the_ring() {
    const TIMES: u64 = 500;
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let task = runtime.handle().spawn_stealable(async {
        let (near, far) = UnixDatagram::pair().unwrap();
        let echo = spargio::spawn(async move {
            let mut buf = vec![0; 16];
            for _ in 0..TIMES {
                let (received, same) = far.recv(buf).await;
                assert_eq!(received.unwrap(), 16);
                let (sent, same) = far.send(same).await;
                assert_eq!(sent.unwrap(), 16);
                buf = same;
            }
        });
        let mut buf = vec![7; 16];
        for _ in 0..TIMES {
            let (sent, same) = near.send(buf).await;
            assert_eq!(sent.unwrap(), 16);
            let (received, same) = near.recv(same).await;
            assert_eq!(received.unwrap(), 16);
            buf = same;
        }
        echo.unwrap().await.unwrap();
    });
    runtime.block_on(task.unwrap()).unwrap();
    let total = runtime.stats_snapshot().total();
    assert!(total.sqes < TIMES / 4, "{} entries for {TIMES} round trips", total.sqes);
    assert!(total.inline_completions > 3 * TIMES, "{} direct calls", total.inline_completions);
}
