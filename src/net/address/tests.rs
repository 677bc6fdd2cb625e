//! Tests of what names an address.

use std::net::{Ipv4Addr, SocketAddr};

use super::sealed::{Sealed, Wanted};

fn known(of: impl Sealed) -> Vec<SocketAddr> {
    match of.wanted().unwrap() {
        Wanted::Known(addrs) => addrs,
        Wanted::Host(host, _) => panic!("{host} would be looked up"),
    }
}

fn host(of: impl Sealed) -> (String, u16) {
    match of.wanted().unwrap() {
        Wanted::Known(addrs) => panic!("{addrs:?} would not be looked up"),
        Wanted::Host(host, port) => (host, port),
    }
}

#[test]
fn literal_addresses_are_not_looked_up() {
    let v4 = SocketAddr::from(([127, 0, 0, 1], 80));
    assert_eq!(known("127.0.0.1:80"), [v4]);
    assert_eq!(known(String::from("127.0.0.1:80")), [v4]);
    assert_eq!(known(("127.0.0.1", 80)), [v4]);
    assert_eq!(known((Ipv4Addr::LOCALHOST, 80)), [v4]);
    assert_eq!(known(&[v4, v4][..]), [v4, v4]);
    let v6: SocketAddr = "[::1]:80".parse().unwrap();
    assert_eq!(known("[::1]:80"), [v6]);
    assert_eq!(known(("::1", 80)), [v6]);
}

#[test]
fn other_hosts_are_looked_up() {
    assert_eq!(host("localhost:80"), ("localhost".to_owned(), 80));
    assert_eq!(host(("localhost", 80)), ("localhost".to_owned(), 80));
}

#[test]
fn text_that_names_no_host_and_port_is_refused_with_the_text() {
    for wrong in ["", "localhost", ":80", "localhost:", "localhost:65536", "::1:80", "a:b:80"] {
        let error = wrong.wanted().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{wrong:?}");
        assert!(error.to_string().contains(&format!("{wrong:?}")), "{error}");
    }
}
