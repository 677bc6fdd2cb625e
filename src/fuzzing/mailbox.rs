//! The mailbox against a list.

use std::cell::Cell;
use std::rc::Rc;

use arbitrary::Unstructured;

use crate::fuzzing::Program;
use crate::fuzzing::source::{below, steps};
use crate::shard::Mailbox;

/// What becomes of a mailbox.
#[derive(Debug)]
pub(super) struct Letters(Vec<Step>);

#[derive(Debug)]
enum Step {
    /// So many letters.
    Push(u8),
    /// Into a list that is empty, as a rule, or still holds what was taken before.
    Take,
    /// The reader reads so many of those that it has taken.
    Read(u8),
    Close,
}

/// A letter with a number, which counts how many there are.
#[derive(PartialEq, Eq, Debug)]
struct Letter(u32, Count);

#[derive(PartialEq, Eq, Debug)]
struct Count(Rc<Cell<usize>>);

impl Letter {
    fn new(number: u32, alive: &Rc<Cell<usize>>) -> Self {
        alive.set(alive.get() + 1);
        Self(number, Count(Rc::clone(alive)))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Program for Letters {
    fn read(bytes: &mut Unstructured<'_>) -> Self {
        Self(steps(bytes, |bytes| match below(bytes, 16) {
            0..=7 => Step::Push(1),
            8 => Step::Push(below(bytes, 32)),
            9..=12 => Step::Take,
            13..=14 => Step::Read(below(bytes, 8)),
            _ => Step::Close,
        }))
    }

    fn run(self) {
        let alive = Rc::default();
        let mailbox = Mailbox::new();
        let mut taken: Vec<Letter> = Vec::new();
        // The model: what lies there and what was taken, as numbers; whether it is open.
        let (mut lies, mut has, mut open) = (Vec::new(), Vec::new(), true);
        let mut next = 0;
        for step in self.0 {
            match step {
                Step::Push(count) => {
                    for _ in 0..count {
                        let result = mailbox.push(Letter::new(next, &alive));
                        if open {
                            assert_eq!(result, Ok(()));
                            lies.push(next);
                        } else {
                            assert_eq!(result.map_err(|letter| letter.0), Err(next));
                        }
                        next += 1;
                    }
                }
                Step::Take => {
                    mailbox.take(&mut taken);
                    has.append(&mut lies);
                }
                Step::Read(count) => {
                    let count = usize::from(count).min(has.len());
                    has.drain(..count);
                    taken.drain(..count);
                }
                Step::Close => {
                    let left = mailbox.close();
                    assert_eq!(numbers(&left), lies, "what was not read comes back");
                    lies.clear();
                    open = false;
                }
            }
            assert_eq!(numbers(&taken), has);
            assert_eq!((mailbox.len(), mailbox.is_empty()), (lies.len(), lies.is_empty()));
            assert_eq!(alive.get(), lies.len() + has.len(), "letters alive");
        }
        drop((mailbox, taken));
        assert_eq!(alive.get(), 0, "letters alive at the end");
    }
}

fn numbers(letters: &[Letter]) -> Vec<u32> {
    letters.iter().map(|letter| letter.0).collect()
}
