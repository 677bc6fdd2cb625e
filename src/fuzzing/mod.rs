//! Programs made of bytes: what the fuzz targets do, and the ordinary tests repeat.
//!
//! A target reads a program, a setup and a list of steps, out of any bytes, carries it out on the
//! code under test and on a naive model, and panics where the two differ. The bytes come from the
//! fuzzer of `fuzz/`, or from its corpora, which the tests replay. Every byte string is a program,
//! and a change of one byte changes a step or two, so that the fuzzer gets on in small steps.

use std::fmt;

use arbitrary::Unstructured;

pub mod demux;
mod frames;
mod mailbox;
mod messages;
mod source;
#[cfg(test)]
mod tests;
mod timer_wheel;
mod token;

/// A fuzz target.
#[derive(Clone, Copy)]
pub struct Target {
    /// That of the binary, and of the directory of its corpus.
    pub name: &'static str,
    /// Carries out the program that the bytes stand for.
    ///
    /// It panics where the code under test and the model differ.
    pub run: fn(&[u8]),
    /// The program as a person can read it.
    pub show: fn(&[u8]) -> String,
}

/// All targets.
pub const TARGETS: [Target; 6] = [
    Target::of::<demux::Demux>("demux"),
    Target::of::<frames::Frames>("frames"),
    Target::of::<mailbox::Letters>("mailbox"),
    Target::of::<messages::Messages>("messages"),
    Target::of::<timer_wheel::Timers>("timer_wheel"),
    Target::of::<token::Tokens>("token"),
];

/// What bytes stand for.
trait Program: fmt::Debug + Sized {
    /// Reads a program to the end of the bytes; what is missing at the end counts as 0.
    fn read(bytes: &mut Unstructured<'_>) -> Self;

    /// Carries it out.
    fn run(self);
}

impl Target {
    const fn of<P: Program>(name: &'static str) -> Self {
        let run = |bytes: &[u8]| P::read(&mut Unstructured::new(bytes)).run();
        let show = |bytes: &[u8]| format!("{:#?}", P::read(&mut Unstructured::new(bytes)));
        Self { name, run, show }
    }

    /// The target of this name.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn named(name: &str) -> Self {
        let target = TARGETS.into_iter().find(|target| target.name == name);
        target.unwrap_or_else(|| panic!("there is no fuzz target {name:?}"))
    }

    /// Carries out the bytes; or shows them, if the environment has `SPARGIO_FUZZ_SHOW`.
    pub fn main(self, bytes: &[u8]) {
        if std::env::var_os("SPARGIO_FUZZ_SHOW").is_some() {
            println!("{}", (self.show)(bytes));
        } else {
            (self.run)(bytes);
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}
