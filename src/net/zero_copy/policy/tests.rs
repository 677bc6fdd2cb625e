//! Which sizes and peers a policy is for.

use std::net::IpAddr;

use super::{Peer, Policy, ZeroCopy, place};

fn at(peer: &str, own: &str) -> Peer {
    let ip = |text: &str| text.parse::<IpAddr>().ok();
    place(ip(peer), ip(own))
}

#[test]
fn peers_on_this_machine_are_near() {
    assert_eq!(at("127.0.0.1", "127.0.0.1"), Peer::Near);
    assert_eq!(at("127.8.0.1", "127.0.0.1"), Peer::Near);
    assert_eq!(at("::1", "::1"), Peer::Near);
    assert_eq!(at("::ffff:127.0.0.1", "::ffff:127.0.0.1"), Peer::Near);
    assert_eq!(at("192.0.2.7", "192.0.2.7"), Peer::Near, "an address of our own");
    assert_eq!(at("::ffff:192.0.2.7", "192.0.2.7"), Peer::Near);
    assert_eq!(at("", ""), Peer::Near, "no address of IP");
    assert_eq!(at("192.0.2.7", "192.0.2.8"), Peer::Far);
    assert_eq!(at("2001:db8::1", "2001:db8::2"), Peer::Far);
}

#[test]
fn a_policy_is_what_was_set_until_the_kernel_refuses() {
    let policy = Policy::default();
    assert_eq!(policy.get(), ZeroCopy::Far(4 << 20));
    for set in [ZeroCopy::Always(0), ZeroCopy::Far(1), ZeroCopy::Never, ZeroCopy::Always(7)] {
        policy.set(set);
        assert_eq!(policy.get(), set);
    }
    policy.give_up();
    assert_eq!(policy.get(), ZeroCopy::Never);
}
