//! The model over our own parts, and what it says of a scheduler with a flaw.

use super::program::{Act, Program, Script, Step, Where};
use super::world::Flaw;
use super::{cases, explore, once};
use crate::placement::{LeastLoaded, PowerOfTwo, RoundRobin, StickyHash};
use crate::queue::{ChaseLev, MutexQueue};
use crate::testing;

#[test]
fn it_holds_over_the_default_parts() {
    testing::scheduler::<ChaseLev, LeastLoaded>(LeastLoaded::new);
}

#[test]
fn it_holds_over_the_plain_parts() {
    testing::scheduler::<MutexQueue, RoundRobin>(RoundRobin::new);
}

#[test]
fn it_holds_over_the_other_placements() {
    let cases = cases() / 4;
    explore::<MutexQueue, _>(PowerOfTwo::new, cases, None).unwrap();
    explore::<ChaseLev, _>(StickyHash::new, cases, None).unwrap();
}

fn found_by_chance(flaw: Flaw) -> String {
    explore::<MutexQueue, _>(LeastLoaded::new, 50_000, Some(flaw))
        .expect_err("the flaw was not found")
}

#[test]
fn a_sleep_without_a_last_look_is_found_and_shrunk_to_a_few_lines() {
    let said = found_by_chance(Flaw::NoLastLook);
    assert!(said.contains("sleeps, something was left for it"), "{said}");
    let program = said.split("What happened").next().unwrap();
    assert!(program.lines().count() <= 14, "{said}");
}

#[test]
fn a_bit_that_is_set_before_the_gate_is_found() {
    found_by_chance(Flaw::BitBeforeGate);
}

#[test]
fn a_doorbell_that_drops_one_ring_in_three_is_found() {
    let said = found_by_chance(Flaw::DropsRings);
    assert!(said.contains("sleeps"), "{said}");
}

#[test]
fn a_message_that_nobody_is_woken_for_is_found_and_shrunk_to_a_few_lines() {
    let said = found_by_chance(Flaw::MessageNotPosted);
    assert!(said.contains("sleeps, something was left for it"), "{said}");
    let program = said.split("What happened").next().unwrap();
    assert!(program.lines().count() <= 10, "{said}");
}

#[test]
fn a_sleep_past_a_timer_is_found() {
    let said = found_by_chance(Flaw::TimerSleptOver);
    assert!(said.contains("waits on, and all shards rest: its time was"), "{said}");
}

/// What is said of one program, with the flaw and without.
fn said_of(shards: usize, tasks: &[(Where, &[Act])], steps: &[Step], flaw: Flaw) -> Option<String> {
    let script = |&(place, acts): &(Where, &[Act])| Script { place, acts: acts.to_vec() };
    let program = Program {
        shards,
        spin: 0,
        tasks: tasks.iter().map(script).collect(),
        steps: steps.to_vec(),
    };
    let run = |flaw| once::<MutexQueue, _>(LeastLoaded::new, &program, flaw, true);
    if let Err((seen, trace)) = run(None) {
        panic!("without a flaw {seen}: {program}\n{trace}");
    }
    let (seen, trace) = run(Some(flaw)).err()?;
    Some(format!("{seen}: {program}\n{trace}"))
}

/// A shard of so many goes on until it sleeps.
const TO_SLEEP: u8 = 60;

#[test]
fn a_task_that_was_injected_behind_a_pinned_one_and_is_not_counted_is_found() {
    let tasks: [(_, &[_]); 2] = [(Where::Preferred(0), &[]), (Where::Pinned(0), &[Act::Long(7)])];
    let steps = [Step::Run(0, TO_SLEEP), Step::Run(1, TO_SLEEP), Step::Spawn(0), Step::Spawn(1)];
    let said = said_of(2, &tasks, &steps, Flaw::BacklogMiscounted).unwrap();
    assert!(said.starts_with("shard 1 sleeps, and 1 tasks wait at shard 0"), "{said}");
}

#[test]
fn a_task_that_was_injected_behind_another_and_is_not_counted_is_found() {
    let tasks: [(_, &[_]); 2] =
        [(Where::Preferred(0), &[Act::Long(7)]), (Where::Preferred(0), &[])];
    // Both are there before the shard is awake.
    let sleep = [Step::Run(0, TO_SLEEP), Step::Run(1, TO_SLEEP)];
    let steps = [&sleep[..], &[Step::Spawn(0), Step::Spawn(1), Step::Strangers(8)]].concat();
    let said = said_of(2, &tasks, &steps, Flaw::BacklogMiscounted).unwrap();
    assert!(said.starts_with("shard 1 sleeps, and 1 tasks wait at shard 0"), "{said}");
}

#[test]
fn a_task_that_yields_behind_a_pinned_one_and_is_not_offered_is_found() {
    // Which of two goes first depends on how many polls there were before.
    let acts = [&[Act::Wake(1), Act::Yield][..], &[Act::Yield, Act::Wake(1), Act::Yield][..]];
    let said = acts.map(|acts| {
        let tasks = [(Where::Preferred(1), acts), (Where::Pinned(1), &[Act::Wait, Act::Long(7)])];
        let steps = [
            Step::Run(0, TO_SLEEP),
            Step::Spawn(1),
            Step::Strangers(4),
            Step::Run(1, TO_SLEEP),
            Step::Spawn(0),
        ];
        said_of(2, &tasks, &steps, Flaw::YieldNotOffered)
    });
    let said = said.into_iter().flatten().next().unwrap();
    assert!(said.starts_with("shard 0 sleeps, and 1 tasks wait at shard 1"), "{said}");
}

#[test]
fn completions_between_two_polls_that_are_not_offered_are_found() {
    let here = Where::Preferred(1);
    let tasks: [(_, &[_]); 3] =
        [(here, &[Act::Wait, Act::Long(7)]), (here, &[Act::Wait]), (here, &[])];
    let said = (1..12).find_map(|count| {
        let mut steps = vec![Step::Run(0, TO_SLEEP), Step::Run(1, TO_SLEEP)];
        for task in [0, 1] {
            steps.extend([Step::Spawn(task), Step::Strangers(4), Step::Run(1, TO_SLEEP)]);
        }
        steps.extend([Step::Spawn(2), Step::Strangers(4), Step::Run(1, count)]);
        steps.extend([Step::Complete(1, 0), Step::Complete(1, 1)]);
        said_of(2, &tasks, &steps, Flaw::CompletedNotOffered)
    });
    let said = said.unwrap();
    assert!(said.starts_with("shard 0 sleeps, and 1 tasks wait at shard 1"), "{said}");
}

#[test]
fn a_call_that_meets_a_shard_with_work_of_its_own_is_passed_on_or_found() {
    let tasks: [(_, &[_]); 3] = [
        (Where::Preferred(0), &[Act::Spawn(1), Act::Long(40)]),
        (Where::Stealable, &[]),
        (Where::Preferred(1), &[Act::Long(40)]),
    ];
    let sleep = [0, 1, 2].map(|shard| Step::Run(shard, TO_SLEEP));
    let said = (1..20).find_map(|count| {
        let mut steps = sleep.to_vec();
        // The task of the second shard is there before the call, and its bell after it.
        steps.extend([Step::Spawn(0), Step::Strangers(4), Step::Run(0, count), Step::Spawn(2)]);
        steps.extend([Step::Run(0, 10), Step::Strangers(4)]);
        said_of(3, &tasks, &steps, Flaw::CalledAndBusy)
    });
    let said = said.unwrap();
    assert!(said.starts_with("shard 2 sleeps, and 1 tasks wait at shard 0"), "{said}");
}

#[test]
fn a_duty_that_is_not_passed_on_is_found() {
    let long = &[Act::Long(60)];
    let tasks: [(_, &[_]); 4] = [
        (Where::Preferred(0), &[Act::Spawn(1), Act::Spawn(2), Act::Spawn(3), Act::Long(60)]),
        (Where::Stealable, long),
        (Where::Stealable, long),
        (Where::Stealable, long),
    ];
    let mut steps = [0, 1, 2].map(|shard| Step::Run(shard, TO_SLEEP)).to_vec();
    steps.extend([Step::Spawn(0), Step::Strangers(4), Step::Run(0, 24)]);
    let said = said_of(3, &tasks, &steps, Flaw::DutyNotPassedOn).unwrap();
    assert!(said.starts_with("shard 2 sleeps, and 2 tasks wait at shard 0"), "{said}");
}

#[test]
fn a_task_in_a_slot_that_was_left_to_a_search_with_a_signal_behind_it_is_found() {
    let tasks: [(_, &[_]); 4] = [
        (Where::Preferred(0), &[Act::Spawn(1), Act::Long(60)]),
        (Where::Stealable, &[]),
        (Where::Preferred(3), &[Act::Long(60)]),
        (Where::Pinned(1), &[Act::Long(60)]),
    ];
    let said = (1..20).flat_map(|search| (1..8).map(move |looks| (search, looks)));
    let said = said.filter_map(|(search, looks)| {
        let steps = [
            // Shard 2 sleeps, and shard 1 has searched in vain when shard 0 leaves its slot to it.
            Step::Run(2, TO_SLEEP),
            Step::Run(1, search),
            Step::Spawn(0),
            Step::Spawn(2),
            Step::Strangers(8),
            Step::Run(0, 8),
            // It sees a backlog at shard 3 first, and then none, but something for itself.
            Step::Run(1, looks),
            Step::Run(3, 8),
            Step::Spawn(3),
            Step::Strangers(4),
            Step::Run(1, 20),
        ];
        said_of(4, &tasks, &steps, Flaw::SlotForgotten)
    });
    let said = said.into_iter().next().unwrap();
    assert!(said.starts_with("shard 2 sleeps, and 1 tasks wait at shard 0"), "{said}");
}
