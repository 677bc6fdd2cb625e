//! What can be listened on or connected to, before it is looked up.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use self::sealed::Wanted;

/// What names one or more addresses.
///
/// Implemented for [`SocketAddr`] and its two versions, for pairs of an IP address or a host and a
/// port, for text of the form `host:port`, and for slices of addresses. Text with an IP address in
/// it (`127.0.0.1:80`, `[::1]:80`) is taken as it is; other hosts are [looked
/// up](super::lookup_host).
///
/// Sealed: implemented for these types only.
///
/// ```
/// use spargio::net::ToAddrs;
///
/// fn takes(_: impl ToAddrs) {}
/// takes("127.0.0.1:80");
/// takes(("localhost", 80));
/// takes(std::net::SocketAddr::from(([127, 0, 0, 1], 80)));
/// takes((std::net::Ipv6Addr::LOCALHOST, 80));
/// ```
pub trait ToAddrs: sealed::Sealed {}

pub(super) mod sealed {
    use std::io;
    use std::net::SocketAddr;

    /// What is wanted: addresses, or a name to look up.
    #[derive(Debug)]
    pub enum Wanted {
        /// These addresses.
        Known(Vec<SocketAddr>),
        /// Those of this host, with this port.
        Host(String, u16),
    }

    /// Keeps [`ToAddrs`](super::ToAddrs) to the types of this file.
    pub trait Sealed {
        /// What is wanted.
        fn wanted(&self) -> io::Result<Wanted>;
    }
}

fn known(addr: impl Into<SocketAddr>) -> io::Result<Wanted> {
    Ok(Wanted::Known(vec![addr.into()]))
}

fn host(host: &str, port: u16) -> Wanted {
    match host.parse::<IpAddr>() {
        Ok(ip) => Wanted::Known(vec![SocketAddr::new(ip, port)]),
        Err(_) => Wanted::Host(host.to_owned(), port),
    }
}

fn text(text: &str) -> io::Result<Wanted> {
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return known(addr);
    }
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(':'));
    let parts = parts.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let (name, port) = parts.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{text:?} is not of the form host:port with a port of at most 65535"),
        )
    })?;
    Ok(host(name, port))
}

impl sealed::Sealed for str {
    fn wanted(&self) -> io::Result<Wanted> {
        text(self)
    }
}

impl sealed::Sealed for String {
    fn wanted(&self) -> io::Result<Wanted> {
        text(self)
    }
}

impl sealed::Sealed for SocketAddr {
    fn wanted(&self) -> io::Result<Wanted> {
        known(*self)
    }
}

impl sealed::Sealed for SocketAddrV4 {
    fn wanted(&self) -> io::Result<Wanted> {
        known(*self)
    }
}

impl sealed::Sealed for SocketAddrV6 {
    fn wanted(&self) -> io::Result<Wanted> {
        known(*self)
    }
}

impl sealed::Sealed for (IpAddr, u16) {
    fn wanted(&self) -> io::Result<Wanted> {
        known(*self)
    }
}

impl sealed::Sealed for (Ipv4Addr, u16) {
    fn wanted(&self) -> io::Result<Wanted> {
        known(*self)
    }
}

impl sealed::Sealed for (Ipv6Addr, u16) {
    fn wanted(&self) -> io::Result<Wanted> {
        known(*self)
    }
}

impl sealed::Sealed for (&str, u16) {
    fn wanted(&self) -> io::Result<Wanted> {
        Ok(host(self.0, self.1))
    }
}

impl sealed::Sealed for (String, u16) {
    fn wanted(&self) -> io::Result<Wanted> {
        Ok(host(&self.0, self.1))
    }
}

impl sealed::Sealed for [SocketAddr] {
    fn wanted(&self) -> io::Result<Wanted> {
        Ok(Wanted::Known(self.to_vec()))
    }
}

impl sealed::Sealed for Vec<SocketAddr> {
    fn wanted(&self) -> io::Result<Wanted> {
        Ok(Wanted::Known(self.clone()))
    }
}

impl<T: sealed::Sealed + ?Sized> sealed::Sealed for &T {
    fn wanted(&self) -> io::Result<Wanted> {
        T::wanted(self)
    }
}

impl<T: sealed::Sealed + ?Sized> ToAddrs for T {}

#[cfg(test)]
mod tests;
