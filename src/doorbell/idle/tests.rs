//! Who is claimed, who searches, and who watches, one by one.

use super::{Help, Idle, Need};
use crate::id::ShardId;

fn shard(number: u16) -> ShardId {
    ShardId::new(number)
}

#[test]
fn nobody_is_called_while_all_are_awake() {
    let idle = Idle::new(4);
    assert!(!idle.any());
    assert_eq!(idle.call_for_help(Need::Urgent), Help::NotNeeded);
    assert_eq!(idle.searchers(), 0);
}

#[test]
fn the_lowest_sleeper_is_called_first() {
    let idle = Idle::new(8);
    for number in [6, 3, 5] {
        idle.announce(shard(number));
    }
    for number in [3, 5, 6] {
        assert_eq!(idle.call_for_help(Need::Urgent), Help::Claimed(shard(number)));
        assert_eq!(idle.searchers(), 1);
        assert!(idle.withdraw(shard(number)), "it was claimed");
        assert!(idle.end_search(), "it was the last searcher");
    }
    assert_eq!(idle.call_for_help(Need::Urgent), Help::NotNeeded);
}

#[test]
fn one_searcher_is_enough() {
    let idle = Idle::new(4);
    idle.announce(shard(1));
    idle.announce(shard(2));
    assert_eq!(idle.call_for_help(Need::Urgent), Help::Claimed(shard(1)));
    assert_eq!(idle.call_for_help(Need::Urgent), Help::NotNeeded);
    assert!(idle.withdraw(shard(1)));
    assert_eq!(
        idle.call_for_help(Need::Urgent),
        Help::NotNeeded,
        "the claimed shard is still searching"
    );
    assert!(idle.end_search());
    assert_eq!(idle.call_for_help(Need::Urgent), Help::Claimed(shard(2)));
}

#[test]
fn who_searches_by_itself_counts_as_well() {
    let idle = Idle::new(4);
    idle.announce(shard(3));
    idle.begin_search();
    idle.begin_search();
    assert_eq!(idle.call_for_help(Need::Urgent), Help::NotNeeded);
    assert!(!idle.end_search(), "another one searches");
    assert_eq!(idle.call_for_help(Need::Urgent), Help::NotNeeded);
    assert!(idle.end_search());
    assert_eq!(idle.call_for_help(Need::Urgent), Help::Claimed(shard(3)));
}

#[test]
fn who_wakes_unclaimed_has_no_duty() {
    let idle = Idle::new(4);
    idle.announce(shard(0));
    assert!(idle.is_idle(shard(0)));
    assert!(!idle.withdraw(shard(0)));
    assert!(!idle.is_idle(shard(0)));
    assert_eq!(idle.searchers(), 0);
    assert_eq!(idle.call_for_help(Need::Urgent), Help::NotNeeded);
}

#[test]
fn a_claimed_shard_is_no_longer_idle() {
    let idle = Idle::new(4);
    idle.announce(shard(2));
    assert_eq!(idle.call_for_help(Need::Urgent), Help::Claimed(shard(2)));
    assert!(!idle.is_idle(shard(2)));
    assert!(!idle.any());
}

#[test]
fn shards_beyond_one_word_sleep_and_are_called() {
    let idle = Idle::new(130);
    for number in [129, 128, 127, 64, 63] {
        idle.announce(shard(number));
        assert!(idle.is_idle(shard(number)));
    }
    assert!(!idle.is_idle(shard(126)));
    assert!(!idle.withdraw(shard(64)));
    for number in [63, 127, 128, 129] {
        assert_eq!(idle.call_for_help(Need::Urgent), Help::Claimed(shard(number)));
        assert!(idle.withdraw(shard(number)));
        assert!(idle.end_search());
    }
    assert!(!idle.any());
}

#[test]
fn sixty_four_shards_fill_one_word_and_the_next_needs_another() {
    for count in [64, 65] {
        let idle = Idle::new(count);
        let last = ShardId::from_index(count - 1);
        idle.announce(last);
        assert_eq!(idle.call_for_help(Need::Urgent), Help::Claimed(last));
    }
}

#[test]
fn what_is_not_urgent_is_left_to_the_sentinel() {
    let idle = Idle::new(4);
    idle.announce(shard(0));
    assert!(idle.become_sentinel(true));
    assert!(!idle.become_sentinel(true), "there is one already");
    assert_eq!(idle.resign_sentinel(), None, "nobody wanted it");
    assert!(idle.become_sentinel(true));
    assert_eq!(idle.call_for_help(Need::Backlog), Help::NotNeeded);
    assert_eq!(idle.resign_sentinel(), Some(Need::Backlog), "somebody wanted it");
    assert!(idle.become_sentinel(true));
    assert_eq!(idle.resign_sentinel(), None, "that was said already");
    assert!(idle.become_sentinel(true));
    assert_eq!(
        idle.call_for_help(Need::Urgent),
        Help::Claimed(shard(0)),
        "the urgent is not left to it"
    );
}

#[test]
fn without_a_sentinel_somebody_is_called_for_everything() {
    let idle = Idle::new(4);
    idle.announce(shard(0));
    assert!(idle.become_sentinel(true));
    assert_eq!(idle.resign_sentinel(), None);
    assert_eq!(idle.call_for_help(Need::Backlog), Help::Claimed(shard(0)));
    assert!(idle.become_sentinel(true), "another one may take the duty");
}

#[test]
fn a_late_sentinel_is_left_nothing() {
    let idle = Idle::new(4);
    idle.announce(shard(0));
    assert!(idle.become_sentinel(false));
    assert!(!idle.become_sentinel(true), "there is one already");
    assert_eq!(idle.call_for_help(Need::Slot), Help::Claimed(shard(0)));
    assert!(idle.withdraw(shard(0)));
    assert_eq!(idle.resign_sentinel(), None, "nothing was left to it");
    assert!(idle.end_search());
    idle.announce(shard(0));
    assert!(idle.become_sentinel(false));
    assert_eq!(idle.call_for_help(Need::Backlog), Help::Claimed(shard(0)));
}

#[test]
fn the_sentinel_hears_of_the_greatest_need_that_was_left_to_it() {
    let idle = Idle::new(4);
    idle.announce(shard(0));
    assert!(idle.become_sentinel(true));
    assert_eq!(idle.call_for_help(Need::Backlog), Help::NotNeeded);
    assert_eq!(idle.call_for_help(Need::Slot), Help::NotNeeded);
    assert_eq!(idle.resign_sentinel(), Some(Need::Backlog));
}

#[test]
fn what_is_not_urgent_is_left_to_those_who_are_back_soon() {
    let idle = Idle::new(4);
    idle.announce(shard(1));
    idle.back_soon();
    idle.back_soon();
    for need in [Need::Slot, Need::Backlog] {
        assert_eq!(idle.call_for_help(need), Help::NotNeeded);
    }
    idle.is_back();
    assert_eq!(idle.call_for_help(Need::Backlog), Help::NotNeeded, "there is another");
    idle.is_back();
    assert_eq!(idle.call_for_help(Need::Backlog), Help::Claimed(shard(1)));
    idle.back_soon();
    assert!(idle.withdraw(shard(1)) && idle.end_search());
    idle.announce(shard(2));
    assert_eq!(idle.call_for_help(Need::Urgent), Help::Claimed(shard(2)), "that does not wait");
}
