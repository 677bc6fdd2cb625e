//! The comparison: who is measured when, and what becomes of the samples.

use std::env;
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::cell::{Answer, Measured, Order};
use crate::options::Compare;
use crate::report::{Cell, Machine, Report, Row, State, text};
use crate::runtimes::RuntimeId;
use crate::syscalls;
use crate::workloads::{self, Entry};

/// Measures everything that is wished for, in as many passes as there are samples, and prints it.
///
/// A pass takes one sample of every cell. So what the machine does meanwhile (another guest, a
/// clock that slows down) falls on all workloads and runtimes alike, and is part of the spread of
/// each, instead of the whole of some.
///
/// # Errors
///
/// When nothing matches the wish, in words.
pub(crate) fn run(wish: &Compare) -> Result<Report, String> {
    let mut workloads = workloads::all();
    workloads.retain(|entry| wish.wants(entry.spec.group, entry.spec.name));
    if workloads.is_empty() {
        return Err("no workload matches".to_owned());
    }
    if wish.syscalls {
        syscalls::probe()?;
    }
    let refused: Vec<Option<String>> =
        wish.runtimes.iter().map(|id| probe(id, wish.threads).err()).collect();
    let start = Instant::now();
    let cells: usize = workloads.iter().map(|entry| entry.cells(&wish.runtimes)).sum();
    let mut to_go = cells * wish.budget.samples;
    let mut machine = Machine::look(wish, wish.slice(to_go, Duration::ZERO));
    print!("{}", text::head(&machine));
    let mut races: Vec<Race> =
        workloads.iter().map(|entry| Race::new(entry, wish, &refused)).collect();
    for pass in 0..wish.budget.samples {
        for race in &mut races {
            // Who was slower than foreseen is made up for by those who come after.
            let slice = wish.slice(to_go, start.elapsed());
            to_go -= race.entry.cells(&wish.runtimes);
            race.round(pass, wish.threads, slice);
        }
        eprintln!("pass {} of {}, after {:.0?}", pass + 1, wish.budget.samples, start.elapsed());
    }
    if wish.syscalls {
        races.iter_mut().for_each(|race| race.trace(wish.threads));
    }
    machine.end();
    let rows: Vec<Row> = races.into_iter().map(Race::into_row).collect();
    rows.iter().for_each(|row| print!("{}", text::row(row)));
    let report = Report { machine, runtimes: wish.runtimes.clone(), rows };
    print!("{}", text::footnotes(&report));
    Ok(report)
}

/// A workload, and who takes part.
struct Race<'a> {
    entry: &'a Entry,
    contenders: Vec<Contender>,
}

impl<'a> Race<'a> {
    fn new(entry: &'a Entry, wish: &Compare, refused: &[Option<String>]) -> Self {
        let contender = |(&id, refused): (&&'static RuntimeId, &Option<String>)| {
            let lacks = (entry.lacks)(id).map(|reason| State::Lacking(reason.to_owned()));
            let out = lacks.or_else(|| refused.clone().map(State::Refused));
            Contender { id, samples: Vec::new(), rate: 0.0, syscalls: None, out }
        };
        Self { entry, contenders: wish.runtimes.iter().zip(refused).map(contender).collect() }
    }

    /// One sample of each runtime. Each pass begins with another one, so that nobody always follows
    /// the same.
    fn round(&mut self, pass: usize, threads: usize, slice: Duration) {
        let slice = slice * self.entry.spec.stretch;
        let count = self.contenders.len();
        for place in 0..count {
            self.contenders[(pass + place) % count].sample(self.entry, threads, slice);
        }
    }

    fn trace(&mut self, threads: usize) {
        self.contenders.iter_mut().for_each(|contender| contender.trace(self.entry, threads));
    }

    fn into_row(self) -> Row {
        let cells = self.contenders.into_iter().map(Contender::into_cell).collect();
        Row::new(&self.entry.spec, cells)
    }
}

/// A runtime in one workload.
struct Contender {
    id: &'static RuntimeId,
    samples: Vec<Measured>,
    /// Operations per nanosecond in the last sample; 0 before the first.
    rate: f64,
    /// System calls per operation, if they were counted.
    syscalls: Option<f64>,
    /// Why it is not measured, or not any more.
    out: Option<State>,
}

impl Contender {
    fn sample(&mut self, entry: &Entry, threads: usize, slice: Duration) {
        if self.out.is_some() {
            return;
        }
        let order = Order { threads, slice, hint: self.ops_in(slice) };
        match child(entry.spec.name, self.id, &order) {
            Ok(Answer::Measured(measured)) => {
                self.rate = measured.ops as f64 / measured.wall_nanos.max(1) as f64;
                self.samples.push(measured);
            }
            Ok(Answer::Refused(reason)) => self.out = Some(State::Refused(reason)),
            Ok(Answer::Wrong(what)) => self.out = Some(State::Wrong(what)),
            Err(what) => self.out = Some(State::Failed(what)),
        }
        if let Some(State::Wrong(what) | State::Failed(what)) = &self.out {
            eprintln!("{} on {}: {what}", entry.spec.name, self.id.name);
        }
    }

    /// How many operations the last sample did in so long.
    fn ops_in(&self, time: Duration) -> u64 {
        (self.rate * time.as_nanos() as f64) as u64
    }

    /// Counts system calls, in a run of its own.
    fn trace(&mut self, entry: &Entry, threads: usize) {
        if self.out.is_none() {
            let times = self.ops_in(TRACED).max(1);
            self.syscalls = syscalls::per_op(entry.spec.name, self.id, threads, times);
        }
    }

    fn into_cell(self) -> Cell {
        let syscalls = self.syscalls;
        let state = self.out.unwrap_or_else(|| State::measured(&self.samples, syscalls));
        Cell { runtime: self.id, state }
    }
}

/// How much is done under strace: what takes so long without it.
const TRACED: Duration = Duration::from_millis(5);

/// A child may take so many times the length of its slice.
const PATIENCE: u32 = 20;
/// And this in any case: setting up, and tries that are too short.
const AT_LEAST: Duration = Duration::from_secs(20);

/// One measurement in a process of its own.
fn child(workload: &str, id: &RuntimeId, order: &Order) -> Result<Answer, String> {
    let arguments = [
        "cell",
        workload,
        id.name,
        &order.threads.to_string(),
        &order.slice.as_nanos().to_string(),
        &order.hint.to_string(),
    ];
    let output = output_of(&arguments, AT_LEAST + order.slice * PATIENCE)?;
    serde_json::from_str(&output).map_err(|error| format!("the answer {output:?}: {error}"))
}

/// Whether the runtime starts here; if not, why.
fn probe(id: &RuntimeId, threads: usize) -> Result<(), String> {
    let output = output_of(&["probe", id.name, &threads.to_string()], AT_LEAST)?;
    serde_json::from_str(&output).map_err(|error| format!("the answer {output:?}: {error}"))?
}

/// What a runtime does not do as the workloads count on; an error if it does not start here.
pub(crate) fn check(id: &RuntimeId, threads: usize) -> Result<Vec<String>, String> {
    let died = |what| vec![format!("the check ended early: {what}")];
    match output_of(&["contract", id.name, &threads.to_string()], AT_LEAST) {
        Ok(output) => serde_json::from_str(&output)
            .map_err(|error| format!("the answer {output:?}: {error}"))?,
        Err(what) => Ok(died(what)),
    }
}

/// What this program prints with these arguments, if it ends in time.
fn output_of(arguments: &[&str], patience: Duration) -> Result<String, String> {
    let said = |error: io::Error| format!("a process of its own: {error}");
    let program = env::current_exe().map_err(said)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(said)?;
    let answer = read_all(child.stdout.take().expect("it was piped"));
    let complaint = read_all(child.stderr.take().expect("it was piped"));
    // The end of its output is the end of the child: nothing wakes this process before.
    let Ok(answer) = answer.recv_timeout(patience) else {
        child.kill().map_err(said)?;
        child.wait().map_err(said)?;
        return Err(format!("nothing after {patience:?}: it hangs"));
    };
    let status = child.wait().map_err(said)?;
    if status.success() {
        return Ok(answer);
    }
    let complaint = complaint.recv().unwrap_or_default();
    let lines: Vec<&str> = complaint.lines().collect();
    let last = &lines[lines.len().saturating_sub(4)..];
    Err(format!("{status}: {}", last.join(" | ")))
}

/// Reads to the end on a thread of its own, so that the writer never waits.
fn read_all(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could be read before an error is all there is to say.
        drop(from.read_to_end(&mut bytes));
        // Nobody listens when the child was too late.
        drop(tell.send(String::from_utf8_lossy(&bytes).into_owned()));
    });
    told
}
