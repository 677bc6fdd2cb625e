//! What is listed, and who decides where operations on a descriptor go.

use super::Roster;
use crate::driver::Opcode;
use crate::id::ShardId;
use crate::primitive::Arc;

const FIRST: ShardId = ShardId::new(0);
const LAST: ShardId = ShardId::new(2);

#[test]
fn an_operation_is_listed_until_its_entry_is_dropped() {
    let roster = Arc::new(Roster::new(3));
    let (nop, read) = (roster.name(LAST), roster.name(FIRST));
    assert_ne!(nop, read);
    assert_eq!((nop.shard(), read.shard()), (LAST, FIRST));
    assert_eq!((roster.find(nop), roster.pending(LAST)), (None, 0));

    let listed = Roster::enter(&roster, nop, Opcode::NOP);
    let other = Roster::enter(&roster, read, Opcode::READ);
    assert_eq!(roster.list(), [(read, Opcode::READ), (nop, Opcode::NOP)]);
    assert_eq!((roster.find(nop), roster.pending(LAST)), (Some(Opcode::NOP), 1));
    drop(listed);
    assert_eq!((roster.find(nop), roster.pending(LAST)), (None, 0));
    assert_eq!(roster.find(read), Some(Opcode::READ));
    drop(other);
    assert_eq!(roster.list(), []);
}

#[test]
fn the_first_lease_of_a_descriptor_decides_and_the_last_one_ends_it() {
    let roster = Arc::new(Roster::new(3));
    assert_eq!(roster.home(7), None);
    let first = Roster::lease(&roster, 7, LAST);
    let second = Roster::lease(&roster, 7, FIRST);
    assert_eq!((first.shard(), second.shard()), (LAST, LAST));
    assert_eq!(Roster::lease(&roster, 8, FIRST).shard(), FIRST);
    drop(first);
    assert_eq!((roster.home(7), roster.home(8)), (Some(LAST), None));
    drop(second);
    assert_eq!(roster.home(7), None);
    assert_eq!(Roster::lease(&roster, 7, FIRST).shard(), FIRST);
}

#[test]
fn names_of_more_numbers_than_have_room_keep_their_shard() {
    let id = crate::id::NativeOpId::new(LAST, u64::MAX);
    assert_eq!(id.shard(), LAST);
    assert_eq!(id.to_string(), format!("{}@2", (1u64 << 48) - 1));
}
