//! Desks of one runtime against a naive model, and the rules of waiting.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::prelude::*;

use super::{Desk, Direct};
use crate::driver::Token;
use crate::id::ShardId;
use crate::message::direct::Rider;
use crate::message::hub::{Hub, Kind};
use crate::message::ticket::{Look, Pending};
use crate::message::{Event, SendError};
use crate::options::MessageOptions;
use crate::primitive::Arc;

const PLAIN: u16 = 1;
const PLAIN_DIRECT: u16 = 2;
const HOT: u16 = 5;
const HOT_DIRECT: u16 = 6;
const COUNTED: u16 = 9;

fn desks(shards: u16, capacity: usize, threshold: u64) -> (Arc<Hub>, Vec<Desk>) {
    let (hot, counted) = (vec![HOT, HOT_DIRECT], vec![COUNTED]);
    let options = MessageOptions { capacity, hot, counted, threshold };
    let hub = Arc::new(Hub::new(shards.into(), &options));
    let desks = (0..shards).map(|shard| Desk::new(Arc::clone(&hub), ShardId::new(shard)));
    let desks = desks.collect();
    (hub, desks)
}

fn read(desk: &Desk, kind: Kind) -> Option<(ShardId, u16, u32)> {
    let mut key = None;
    let event = desk.poll_event(kind, &mut key, Waker::noop(), Waker::wake);
    desk.forget_event(kind, &mut key, Waker::wake);
    event.map(|Event::RingMsg { from, tag, val }| (from, tag, val))
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Woken {
    fn pair() -> (Arc<Self>, Waker) {
        let woken = Arc::new(Self::default());
        (Arc::clone(&woken), Waker::from(woken))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn as_many_tasks_are_woken_as_there_are_events() {
    let (_, desks) = desks(2, 8, 1);
    let waits: Vec<_> = (0..3)
        .map(|_| {
            let (woken, waker) = Woken::pair();
            let mut key = None;
            let event = desks[0].poll_event(Kind::Plain, &mut key, &waker, Waker::wake);
            assert_eq!(event, None);
            (woken, key)
        })
        .collect();
    for val in 0..2 {
        assert_eq!(desks[1].send(ShardId::new(0), (PLAIN, val), 0), Ok(true));
    }
    assert!(desks[0].has_signal());
    desks[0].take(Waker::wake);
    let woken: Vec<usize> = waits.iter().map(|(woken, _)| woken.count()).collect();
    assert_eq!(woken, [1, 1, 0]);
    // The first gives up: the third is woken for what it leaves.
    let mut key = waits[0].1;
    desks[0].forget_event(Kind::Plain, &mut key, Waker::wake);
    assert_eq!(waits[2].0.count(), 1);
    assert!(!desks[0].has_signal(), "nothing is left to take");
}

#[test]
fn a_lane_without_room_to_go_to_is_no_signal() {
    let (_, desks) = desks(2, 2, 1);
    let send = |val| desks[1].send(ShardId::new(0), (PLAIN, val), 0);
    for val in 0..2 {
        send(val).unwrap();
    }
    desks[0].take(Waker::wake);
    for val in 2..4 {
        send(val).unwrap();
    }
    assert!(!desks[0].has_signal(), "the events are full");
    desks[0].take(Waker::wake);
    let refused = SendError::Backpressure { taken: 0, refused: (PLAIN, 4), limit: 2 };
    assert_eq!(send(4), Err(refused));
    assert_eq!(read(&desks[0], Kind::Plain).unwrap().2, 0);
    assert!(desks[0].has_signal(), "there is room for one");
    desks[0].take(Waker::wake);
    assert_eq!(send(5), Ok(true));
}

#[test]
fn who_reads_takes_nothing_ahead_of_those_who_wait() {
    let (_, desks) = desks(2, 8, 1);
    let (woken, waker) = Woken::pair();
    let mut key = None;
    assert_eq!(desks[0].poll_event(Kind::Plain, &mut key, &waker, Waker::wake), None);
    // The first message opens the lane, and wakes who waits.
    desks[1].send(ShardId::new(0), (PLAIN, 0), 0).unwrap();
    desks[0].take(Waker::wake);
    assert_eq!(woken.count(), 1);
    // It waits again, and another reads.
    let first = desks[0].poll_event(Kind::Plain, &mut key, &waker, Waker::wake);
    assert!(first.is_some());
    assert_eq!(desks[0].poll_event(Kind::Plain, &mut key, &waker, Waker::wake), None);
    for val in 1..4 {
        desks[1].send(ShardId::new(0), (PLAIN, val), 0).unwrap();
    }
    assert_eq!(read(&desks[0], Kind::Plain).unwrap().2, 1);
    assert!(desks[0].has_signal(), "what the other waits for is in the lane");
    desks[0].take(Waker::wake);
    assert_eq!(woken.count(), 2);
}

#[test]
fn nobody_looks_out_for_what_another_waits_for() {
    let (_, desks) = desks(1, 8, 1);
    desks[0].glanced(true);
    assert!(desks[0].expects_message(Kind::Plain));
    let mut key = None;
    assert_eq!(desks[0].poll_event(Kind::Plain, &mut key, Waker::noop(), Waker::wake), None);
    assert!(!desks[0].expects_message(Kind::Plain));
    assert!(desks[0].expects_message(Kind::Hot), "events of the other kind are nobody's");
    desks[0].forget_event(Kind::Plain, &mut key, Waker::wake);
    assert!(desks[0].expects_message(Kind::Plain));
}

#[test]
fn what_is_left_in_a_lane_while_tasks_read_is_taken_when_they_stop() {
    const MESSAGES: u32 = 1_000;
    let (_, desks) = desks(2, MESSAGES as usize, 1);
    for val in 0..MESSAGES {
        desks[1].send(ShardId::new(0), (PLAIN, val), 0).unwrap();
    }
    desks[0].take(Waker::wake);
    let received = || desks[0].hub().tallies(ShardId::new(0)).0.received.get();
    let taken = received();
    assert!((1..1_000).contains(&taken), "a look takes a bounded number: {taken}");
    assert_eq!(read(&desks[0], Kind::Plain).unwrap().2, 0);
    desks[0].take(Waker::wake);
    assert_eq!(received(), taken, "there are enough for the next poll");
    assert!(desks[0].has_signal(), "the shard does not sleep on the rest");
    while desks[0].has_signal() {
        desks[0].take(Waker::wake);
    }
    assert_eq!(received(), u64::from(MESSAGES));
    for val in 1..MESSAGES {
        assert_eq!(read(&desks[0], Kind::Plain).unwrap().2, val);
    }
}

/// Sends until the lane is full. All that is sent so has the same source.
fn fill(desk: &Desk, message: (u16, u32)) {
    while desk.send(ShardId::new(0), message, 0).is_ok() {}
}

/// Reads one event at a time, and lets the senders and the shard go on after each: how many came
/// from each source, once `before` were read.
fn shares(desk: &Desk, before: usize, mut go_on: impl FnMut()) -> [usize; 4] {
    const READS: usize = 3_000;
    let mut shares = [0; 4];
    for read_so_far in 0..before + READS {
        go_on();
        let (from, ..) = read(desk, Kind::Plain).expect("somebody always sends");
        if read_so_far >= before {
            shares[from.index()] += 1;
        }
    }
    shares
}

#[test]
fn a_slow_reader_gets_as_much_of_each_of_two_sources() {
    const CAPACITY: usize = 300;
    let (_, desks) = desks(3, CAPACITY, 1);
    let [_, one, other, _] = shares(&desks[0], CAPACITY, || {
        fill(&desks[1], (PLAIN, 0));
        fill(&desks[2], (PLAIN, 0));
        while desks[0].has_signal() {
            desks[0].take(Waker::wake);
        }
    });
    assert!(one.abs_diff(other) < one / 4, "{one} of one, {other} of the other");
}

#[test]
fn a_source_that_waits_for_receipts_takes_nothing_from_another() {
    const CAPACITY: usize = 300;
    let (hub, desks) = desks(3, CAPACITY, 1);
    let mut pending = VecDeque::new();
    let [_, one, other, _] = shares(&desks[0], CAPACITY, || {
        while let Ok((_, Some(mut sent))) = desks[1].send_pending(ShardId::new(0), (PLAIN, 0)) {
            if sent.poll(Waker::noop()) == Look::Ask {
                hub.ask(ShardId::new(0));
            }
            pending.push_back(sent);
        }
        pending.retain(|sent| !sent.is_over());
        fill(&desks[2], (PLAIN, 0));
        desks[0].take(Waker::wake);
    });
    assert!(one.abs_diff(other) < one / 4, "{one} awaited, {other} not");
}

#[test]
fn direct_messages_leave_room_for_those_of_lanes_and_of_another_source() {
    const CAPACITY: usize = 300;
    // With more on the way some would take their lane.
    const ON_THE_WAY: usize = 100;
    let (_, desks) = desks(4, CAPACITY, 1);
    let mut on_the_way = [Vec::new(), Vec::new()];
    let got = shares(&desks[0], CAPACITY, || {
        for (source, on_the_way) in desks[1..].iter().zip(&mut on_the_way) {
            on_the_way.retain(|sent: &Pending| !sent.is_over());
            while on_the_way.len() < ON_THE_WAY {
                let sent = source.send_direct(ShardId::new(0), (PLAIN_DIRECT, 0), 0);
                let Ok(Direct::Push(rider)) = sent else { panic!("{sent:?} is no rider") };
                assert!(desks[0].arrived(rider.token, rider.result));
                on_the_way.extend(source.pending(None));
            }
        }
        fill(&desks[3], (PLAIN, 0));
        desks[0].take(Waker::wake);
    });
    assert!(got[1..].iter().all(|&share| share > 400), "{got:?}");
}

#[test]
fn a_count_below_the_threshold_waits_for_an_idle_shard_or_some_turns() {
    let (_, desks) = desks(2, 2, 10);
    let count = |val| desks[1].send(ShardId::new(0), (COUNTED, val), 0).unwrap();
    let (woken, waker) = Woken::pair();
    let mut key = None;
    assert_eq!(desks[0].poll_count(COUNTED, &mut key, &waker), None);
    assert!(!desks[0].has_signal());
    assert!(count(3), "who finds 0 posts the gate");
    assert!(!count(3), "and others need not");
    assert!(desks[0].has_signal());
    desks[0].take(Waker::wake);
    assert_eq!(woken.count(), 0);
    assert!(desks[0].wake_counting(Waker::wake));
    assert_eq!(woken.count(), 1);
    assert_eq!(desks[0].poll_count(COUNTED, &mut key, &waker), Some(6));
    // The threshold.
    assert_eq!(desks[0].poll_count(COUNTED, &mut key, &waker), None);
    count(9);
    desks[0].take(Waker::wake);
    assert_eq!(woken.count(), 1);
    count(1);
    desks[0].take(Waker::wake);
    assert_eq!(woken.count(), 2);
    assert_eq!(desks[0].poll_count(COUNTED, &mut key, &waker), Some(10));
    // The end of patience.
    assert_eq!(desks[0].poll_count(COUNTED, &mut key, &waker), None);
    count(1);
    let turns = (1..100).find(|_| {
        desks[0].take(Waker::wake);
        woken.count() == 3
    });
    assert_eq!(turns, Some(17));
}

#[test]
fn a_counter_that_is_full_reports_what_it_does_not_take() {
    let (hub, desks) = desks(2, 2, 1);
    let limit = super::super::hub::MOST_COUNTED;
    hub.door(ShardId::new(0)).fill(0, limit - 1);
    let count = |val| desks[1].send(ShardId::new(0), (COUNTED, val), 7);
    assert_eq!(count(u32::MAX), Ok(false));
    let refused = SendError::Backpressure { taken: 7, refused: (COUNTED, 1), limit };
    assert_eq!(count(1), Err(refused));
    assert_eq!(desks[0].take_count(COUNTED), Some(limit - 1 + u64::from(u32::MAX)));
    assert_eq!(count(1), Ok(true));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(u16, u16, u16),
    SendWithTicket(u16, u16, u16),
    SendDirect(u16, u16, u16),
    External(u16, u16),
    Ring(bool),
    Take(u16),
    Read(u16, bool),
    Count(u16),
}

fn steps(shards: u16) -> impl Strategy<Value = Vec<Step>> {
    let shard = move || 0..shards;
    let tag = || prop_oneof![Just(PLAIN), Just(HOT), Just(COUNTED)];
    let direct = prop_oneof![Just(PLAIN_DIRECT), Just(HOT_DIRECT), Just(COUNTED)];
    let step = prop_oneof![
        3 => (shard(), shard(), tag()).prop_map(|(from, to, tag)| Step::Send(from, to, tag)),
        1 => (shard(), shard(), tag())
            .prop_map(|(from, to, tag)| Step::SendWithTicket(from, to, tag)),
        3 => (shard(), shard(), direct)
            .prop_map(|(from, to, tag)| Step::SendDirect(from, to, tag)),
        1 => (shard(), tag()).prop_map(|(to, tag)| Step::External(to, tag)),
        2 => any::<bool>().prop_map(Step::Ring),
        2 => shard().prop_map(Step::Take),
        3 => (shard(), any::<bool>()).prop_map(|(shard, hot)| Step::Read(shard, hot)),
        1 => shard().prop_map(Step::Count),
    ];
    prop::collection::vec(step, 0..800)
}

/// What was sent and not read, by source, target and tag; and the sums that were not taken.
#[derive(Default)]
struct Model {
    unread: HashMap<(ShardId, ShardId, u16), VecDeque<u32>>,
    sums: HashMap<ShardId, u64>,
    next: u32,
    /// Completions on their way, and for whom they are.
    ring: VecDeque<(ShardId, ShardId, Rider)>,
    tickets: Vec<(Pending, ShardId, u16, u32)>,
}

impl Model {
    fn val(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn sent(&mut self, from: ShardId, to: ShardId, (tag, val): (u16, u32)) {
        if tag == COUNTED {
            *self.sums.entry(to).or_default() += u64::from(val);
        } else {
            self.unread.entry((from, to, tag)).or_default().push_back(val);
        }
    }

    /// A refusal is right only if as many wait as may.
    fn refused(&self, from: ShardId, to: ShardId, tag: u16, capacity: usize, error: SendError) {
        assert!(matches!(error, SendError::Backpressure { .. }), "{error:?}");
        let waiting: usize = self
            .unread
            .iter()
            .filter(|((f, t, other), _)| {
                let is_direct = [PLAIN_DIRECT, HOT_DIRECT].contains(&tag);
                (*f, *t) == (from, to) && (*other == tag || is_direct)
            })
            .map(|(_, waiting)| waiting.len())
            .sum();
        // Direct messages that failed lie in the plain lane.
        let riders = [PLAIN_DIRECT, HOT_DIRECT].map(|tag| self.unread.get(&(from, to, tag)));
        let riders: usize = riders.iter().flatten().map(|waiting| waiting.len()).sum();
        assert!(waiting + riders >= capacity, "refused with {waiting} and {riders} waiting");
    }

    fn read(&mut self, at: ShardId, (from, tag, val): (ShardId, u16, u32)) {
        let waiting = self.unread.get_mut(&(from, at, tag));
        let first = waiting.and_then(VecDeque::pop_front);
        assert_eq!(first, Some(val), "from {from} to {at} with tag {tag}");
    }
}

fn run(model: &mut Model, hub: &Hub, desks: &[Desk], capacity: usize, step: Step) {
    let desk = |shard: u16| &desks[usize::from(shard)];
    match step {
        Step::Send(from, to, tag) => {
            let (message, target) = ((tag, model.val()), ShardId::new(to));
            match desk(from).send(target, message, 0) {
                Ok(_) => model.sent(ShardId::new(from), target, message),
                Err(error) => model.refused(ShardId::new(from), target, tag, capacity, error),
            }
        }
        Step::SendWithTicket(from, to, tag) => {
            let (message, target) = ((tag, model.val()), ShardId::new(to));
            if let Ok((_, pending)) = desk(from).send_pending(target, message) {
                model.sent(ShardId::new(from), target, message);
                let ticket = |pending| (pending, target, tag, message.1);
                model.tickets.extend(pending.map(ticket));
            }
        }
        Step::SendDirect(from, to, tag) => {
            let (message, target) = ((tag, model.val()), ShardId::new(to));
            match desk(from).send_direct(target, message, 0) {
                Ok(way) => {
                    model.sent(ShardId::new(from), target, message);
                    if let Direct::Push(rider) = way {
                        model.ring.push_back((ShardId::new(from), target, rider));
                    }
                }
                Err(error) => model.refused(ShardId::new(from), target, tag, capacity, error),
            }
        }
        Step::External(to, tag) => {
            let (message, target) = ((tag, model.val()), ShardId::new(to));
            match hub.send(target, message, 0) {
                Ok(_) => model.sent(ShardId::EXTERNAL, target, message),
                Err(error) => model.refused(ShardId::EXTERNAL, target, tag, capacity, error),
            }
        }
        Step::Ring(arrives) => {
            let Some((from, to, rider)) = model.ring.pop_front() else { return };
            if arrives {
                assert!(desks[to.index()].arrived(rider.token, rider.result));
                assert!(!desks[to.index()].arrived(rider.token, rider.result), "only once");
            } else {
                let wake = desks[from.index()].failed(rider.sent);
                assert!(wake.is_none_or(|wake| wake == to));
            }
        }
        Step::Take(shard) => {
            desk(shard).send_owed(|_| ());
            desk(shard).take(Waker::wake);
        }
        Step::Read(shard, hot) => {
            let kind = if hot { Kind::Hot } else { Kind::Plain };
            if let Some(event) = read(desk(shard), kind) {
                assert_eq!(hot, [HOT, HOT_DIRECT].contains(&event.1));
                model.read(ShardId::new(shard), event);
            }
        }
        Step::Count(shard) => {
            let sum = model.sums.remove(&ShardId::new(shard)).filter(|&sum| sum > 0);
            assert_eq!(desk(shard).take_count(COUNTED), sum);
        }
    }
}

/// A ticket is over exactly if its message has left its lane.
fn check_tickets(model: &mut Model, all_taken: bool) {
    for (pending, target, tag, val) in &mut model.tickets {
        let look = pending.poll(Waker::noop());
        let is_unread = model
            .unread
            .iter()
            .any(|((_, to, of), v)| (to, of) == (target, tag) && v.contains(val));
        if all_taken || !is_unread {
            assert_eq!(look, Look::Over(Ok(())));
        }
    }
}

proptest! {
    #[test]
    fn what_is_sent_is_read_once_and_in_order_and_refused_only_at_the_limit(
        capacity in 1usize..20,
        steps in steps(3),
    ) {
        let (hub, desks) = desks(3, capacity, 1);
        let mut model = Model::default();
        for step in steps {
            run(&mut model, &hub, &desks, capacity, step);
            check_tickets(&mut model, false);
        }
        // Everything that was taken is delivered in the end.
        while !model.ring.is_empty() {
            run(&mut model, &hub, &desks, capacity, Step::Ring(true));
        }
        for _ in 0..10_000 {
            for shard in 0..3 {
                run(&mut model, &hub, &desks, capacity, Step::Take(shard));
                for hot in [false, true] {
                    run(&mut model, &hub, &desks, capacity, Step::Read(shard, hot));
                }
                run(&mut model, &hub, &desks, capacity, Step::Count(shard));
            }
            if model.unread.values().all(VecDeque::is_empty) {
                break;
            }
        }
        prop_assert!(model.unread.values().all(VecDeque::is_empty), "{:?}", model.unread);
        check_tickets(&mut model, true);
        prop_assert!(desks.iter().all(|desk| !desk.door().has_opened()));
    }
}

#[test]
fn a_completion_of_nobody_is_refused() {
    let (_, desks) = desks(2, 4, 1);
    let token = Token::new(crate::driver::Class::Message, 0, 0xFFFF_0001);
    assert!(!desks[0].arrived(token, 0));
    assert_eq!(desks[0].failed(Token::new(crate::driver::Class::MessageSent, 0, 1)), None);
}
