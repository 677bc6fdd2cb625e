//! Each transition of the word, alone.

use super::{Joining, Left, Rest, Start, State, Wake};

#[test]
fn a_new_task_has_its_runnable() {
    let state = State::new();
    assert_eq!(state.wake(), Wake::Nothing);
    assert!(state.look().has_join() && !state.look().is_complete());
}

#[test]
fn a_wake_of_a_queued_task_costs_one_start_and_no_poll_more() {
    let state = State::new();
    assert_eq!(state.wake(), Wake::Nothing);
    assert_eq!(state.start(), Start::Poll);
    assert_eq!(state.rest(), Rest::Resting);
}

#[test]
fn a_wake_during_a_poll_asks_for_another() {
    let state = State::new();
    assert_eq!(state.start(), Start::Poll);
    assert_eq!(state.wake(), Wake::Nothing);
    assert_eq!(state.rest(), Rest::Again);
    assert_eq!(state.start(), Start::Poll);
    assert_eq!(state.rest(), Rest::Resting);
}

#[test]
fn of_two_wakes_of_a_resting_task_the_first_makes_the_runnable() {
    let state = State::new();
    assert_eq!(state.rest(), Rest::Resting);
    assert_eq!(state.wake(), Wake::Schedule);
    assert_eq!(state.wake(), Wake::Nothing);
}

#[test]
fn an_abort_ends_the_next_run_whatever_the_task_was_doing() {
    let queued = State::new();
    assert_eq!(queued.abort(), Wake::Nothing);
    assert_eq!(queued.start(), Start::End);

    let resting = State::new();
    assert_eq!(resting.rest(), Rest::Resting);
    assert_eq!(resting.abort(), Wake::Schedule);
    assert_eq!(resting.start(), Start::End);

    let running = State::new();
    assert_eq!(running.start(), Start::Poll);
    assert_eq!(running.abort(), Wake::Nothing);
    assert_eq!(running.rest(), Rest::Again);
    assert_eq!(running.start(), Start::End);
}

#[test]
fn after_the_end_nothing_wakes_and_the_last_part_frees() {
    let state = State::new();
    state.retain();
    assert!(state.complete(state.look()).is_ok());
    assert_eq!((state.wake(), state.abort()), (Wake::Nothing, Wake::Nothing));
    assert_eq!(state.unlist(), Left::Others);
    assert_eq!(state.disjoin(), Left::Others);
    assert_eq!(state.wake_and_release(), Wake::Free);
}

#[test]
fn the_handle_may_be_the_last_part_or_the_list() {
    let state = State::new();
    assert_eq!(state.complete_unlisted(state.look()).ok(), Some(Left::Others));
    assert_eq!(state.disjoin(), Left::Nobody);

    let detached = State::new();
    assert_eq!(detached.detach(), Joining::Done);
    assert_eq!(detached.complete_unlisted(detached.look()).ok(), Some(Left::Nobody));
}

#[test]
fn a_completion_that_saw_an_older_word_is_told() {
    let state = State::new();
    let seen = state.look();
    assert_eq!(state.wait(), Joining::Done);
    let now = state.complete(seen).expect_err("a waker was left");
    assert!(now.has_join_waker());
    assert!(state.complete(now).is_ok());
    assert_eq!(state.unwait(), Joining::Complete);
    assert_eq!(state.detach(), Joining::Complete);
    assert!(!state.look().is_leaked());
}
