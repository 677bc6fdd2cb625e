//! Explores the interleavings of threads that give buffers back and the shard that takes them.

use loom::thread;

use super::Returns;
use crate::primitive::{Arc, UnsafeCell};

/// Buffers with their memory: loom reports every access that another one is not ordered before.
struct Buffers {
    returns: Returns,
    memory: Vec<UnsafeCell<u32>>,
}

impl Buffers {
    fn new(count: usize) -> Arc<Self> {
        let memory = (0..count).map(|_| UnsafeCell::new(0)).collect();
        Arc::new(Self { returns: Returns::new(count), memory })
    }

    /// What the holder of a loan does: reads, and gives back.
    fn read_and_return(&self, number: u16) {
        self.memory[usize::from(number)].with(|bytes| {
            // SAFETY: the number is this thread's until it is pushed.
            let _read = unsafe { *bytes };
        });
        self.returns.push(number);
    }

    /// What the shard does: takes all, and lets the kernel write to each.
    fn take_and_fill(&self, taken: &mut Vec<u16>) {
        self.returns.take(|number| {
            self.memory[usize::from(number)].with_mut(|bytes| {
                // SAFETY: the number was taken, so it is the shard's.
                unsafe { *bytes += 1 };
            });
            taken.push(number);
        });
    }
}

#[test]
fn loom_each_buffer_comes_back_once_and_is_filled_after_it_was_read() {
    loom::model(|| {
        let buffers = Buffers::new(3);
        let threads: Vec<_> = [vec![0, 1], vec![2]]
            .into_iter()
            .map(|numbers| {
                let buffers = Arc::clone(&buffers);
                thread::spawn(move || {
                    numbers.into_iter().for_each(|number| buffers.read_and_return(number));
                })
            })
            .collect();
        let mut taken = Vec::new();
        buffers.take_and_fill(&mut taken);
        for thread in threads {
            thread.join().unwrap();
        }
        buffers.take_and_fill(&mut taken);
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2]);
    });
}

/// A number that is taken and given back again while another thread is between its look and its
/// attempt: the first of the list is the one it saw, and what hangs on it is not.
#[test]
fn loom_a_buffer_that_goes_round_meanwhile_confuses_nobody() {
    loom::model(|| {
        let buffers = Buffers::new(3);
        buffers.returns.push(0);
        buffers.returns.push(1);
        let other = Arc::clone(&buffers);
        let thread = thread::spawn(move || other.read_and_return(2));
        let mut taken = Vec::new();
        buffers.take_and_fill(&mut taken);
        let first_round = taken.clone();
        // Those but the first that was taken come back, in the other order.
        for &number in first_round.iter().filter(|&&number| number == 1) {
            taken.retain(|&other| other != number);
            buffers.read_and_return(number);
        }
        thread.join().unwrap();
        buffers.take_and_fill(&mut taken);
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2]);
    });
}
