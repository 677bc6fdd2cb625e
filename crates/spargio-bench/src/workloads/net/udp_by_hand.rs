//! Datagrams by hand: both ends on one thread, where a call never has to wait.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use super::pattern::Pattern;
use super::udp::PATIENCE;
use super::{LOOPBACK, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::make_room;

/// So many datagrams of so many bytes there and back, one at a time, and the time of each.
pub(super) fn round_trips(size: usize, times: u64) -> Result<Slice, Wrong> {
    let (near, far) = pair().map_err(failed("two sockets"))?;
    let pattern = Pattern::of(0);
    let (mut outgoing, mut incoming) = (vec![0; size], vec![0; size]);
    let mut latencies = Latencies::of_all();
    let meter = Meter::start();
    for number in 0..times {
        let lap = latencies.start();
        pattern.fill(&mut outgoing, number);
        whole(near.send(&outgoing), size, "send")?;
        whole(far.recv(&mut incoming), size, "recv of the server")?;
        whole(far.send(&incoming), size, "send of the server")?;
        whole(near.recv(&mut incoming), size, "recv")?;
        pattern.check(&incoming, number)?;
        latencies.end(lap);
    }
    Ok(meter.stop(times).with_latencies(latencies))
}

fn pair() -> io::Result<(UdpSocket, UdpSocket)> {
    let (near, far) = (UdpSocket::bind(LOOPBACK)?, UdpSocket::bind(LOOPBACK)?);
    near.connect(far.local_addr()?)?;
    far.connect(near.local_addr()?)?;
    for socket in [&near, &far] {
        make_room(socket.as_raw_fd())?;
        socket.set_read_timeout(Some(PATIENCE))?;
    }
    Ok((near, far))
}

fn whole(result: io::Result<usize>, size: usize, what: &str) -> Result<(), Wrong> {
    Wrong::unless_equal(what, result.map_err(failed(what))? as u64, size as u64)
}
