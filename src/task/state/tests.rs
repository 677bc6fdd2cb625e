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

#[test]
fn a_local_word_is_private_but_for_polls_and_references() {
    let state = State::new_private();
    assert!(state.private().is_some(), "it has just been made");
    assert_eq!(state.start(), Start::Poll);
    assert!(state.private().is_none(), "its waker is lent");
    state.polled();
    assert!(state.private().is_some(), "nobody has kept it");
    assert_eq!(state.rest(), Rest::Resting);
    state.retain();
    assert!(state.private().is_none(), "somebody may wake it");
    assert_eq!(state.wake_and_release(), Wake::Schedule);
    assert!(state.private().is_none(), "the one who woke it has the runnable");
    assert_eq!(state.start(), Start::Poll);
    state.polled();
    assert!(state.private().is_some(), "the runnable is back, and there is no reference");
    state.share();
    assert!(state.private().is_none());
}

#[test]
fn a_local_word_stays_shared_after_a_poll_that_left_a_waker() {
    let state = State::new_private();
    assert_eq!(state.start(), Start::Poll);
    state.retain();
    state.polled();
    assert!(state.private().is_none());
    assert_eq!(state.rest(), Rest::Resting);
}

#[test]
fn a_word_whose_handle_may_leave_is_never_private() {
    let state = State::new();
    assert_eq!(state.start(), Start::Poll);
    state.polled();
    assert!(state.private().is_none());
}

#[test]
fn a_private_word_goes_through_the_same_states() {
    for state in [State::new(), State::new_private()] {
        assert_eq!(state.wait(), Joining::Done);
        assert_eq!(state.abort(), Wake::Nothing);
        assert_eq!(state.start(), Start::End);
        let seen = state.look();
        assert!(seen.has_join_waker());
        assert!(state.complete(seen).is_ok());
        assert_eq!(state.wait(), Joining::Complete);
        assert_eq!(state.unlist(), Left::Others);
        assert_eq!(state.disjoin(), Left::Nobody);
    }
}
