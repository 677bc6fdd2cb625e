//! Tests of where transfers go on.

use std::io;

use super::{BLOCK, Steps, TRIES};

fn steps(is_direct: bool) -> Steps {
    Steps { at: 0, most: 0, in_vain: 0, is_direct }
}

fn uneven() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

#[test]
fn what_is_refused_within_a_block_goes_on_at_its_start() {
    let mut steps = steps(true);
    steps.moved(2 * BLOCK + 7);
    assert!(steps.may_go_on(&uneven()));
    assert_eq!(steps.at(), 2 * BLOCK);
    assert!(!steps.may_go_on(&uneven()), "it is refused where it is even, too");
    steps.moved(BLOCK);
    assert_eq!(steps.at(), 3 * BLOCK);
}

#[test]
fn only_direct_transfers_that_were_refused_for_that_step_back() {
    let mut cached = steps(false);
    cached.moved(7);
    assert!(!cached.may_go_on(&uneven()));
    let mut direct = steps(true);
    direct.moved(7);
    assert!(!direct.may_go_on(&io::Error::from_raw_os_error(libc::EIO)));
    assert!(direct.may_go_on(&io::ErrorKind::Interrupted.into()));
    assert_eq!((cached.at(), direct.at()), (7, 7));
}

#[test]
fn steps_that_lead_no_further_come_to_an_end() {
    let mut steps = steps(true);
    steps.moved(7);
    for _ in 0..TRIES {
        assert!(steps.may_go_on(&uneven()));
        steps.moved(7);
    }
    assert!(!steps.may_go_on(&uneven()));
    assert_eq!(steps.at(), 7, "what was moved stays so");
}

#[test]
fn a_read_that_is_called_off_tells_no_more_than_its_buffer_has() {
    let called_off = || io::Error::from_raw_os_error(libc::ECANCELED);
    let mut steps = steps(true);
    steps.moved(BLOCK + 7);
    assert!(steps.may_go_on(&uneven()));
    // The step from the start of the block brought less than was there before.
    steps.moved(3);
    let (count, buf) = steps.called_off(called_off(), vec![0; BLOCK + 3]);
    assert_eq!((count.unwrap(), buf.len()), (BLOCK + 3, BLOCK + 3));
    let (count, _) = steps.called_off(called_off(), vec![0; 2 * BLOCK]);
    assert_eq!(count.unwrap(), BLOCK + 7);
    let (count, _) = steps.called_off(called_off(), Vec::new());
    assert_eq!(count.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
}
