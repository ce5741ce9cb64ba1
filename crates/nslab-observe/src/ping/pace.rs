//! How many packets may be on their way at once.
//!
//! A request to a new neighbour first asks the whole wire for it. On a virtual one every host's copy of the question
//! goes through the queue of the CPU that sent it, which takes 1000 packets by default (`net.core.netdev_max_backlog`)
//! and drops the rest without a word (`enqueue_to_backlog`, `net/core/dev.c`); then a host that is there looks as if it
//! were not. Answers come from behind all those copies, so what was sent before something that is answered is
//! through. When no answer comes, the queues themselves are looked at.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Packets that one CPU's queue takes, with a margin below the default for what else is going on.
const QUEUE: usize = 900;
/// After this long without an answer, the queues are looked at.
const PATIENCE: Duration = Duration::from_micros(50);
/// After this long without an answer, what was sent is taken to be through or lost, where the queues cannot be seen.
const LONG_PATIENCE: Duration = Duration::from_millis(20);

pub(super) struct Pace {
    /// So many requests may be unanswered before the queues are looked at.
    burst: u64,
    /// So many packets may stand in a queue when more is sent.
    room: usize,
    sent: u64,
    through: u64,
    looked: Instant,
    queues: Option<File>,
}

impl Pace {
    /// For one of `workers` that share the machine, in a network where a question reaches `breadth` hosts at most.
    pub(super) fn new(breadth: usize, workers: usize) -> Self {
        let (breadth, workers) = (breadth.max(1), workers.max(1));
        Self {
            burst: (QUEUE / workers / breadth).clamp(1, 64) as u64,
            room: QUEUE.saturating_sub(workers * breadth).max(16),
            sent: 0,
            through: 0,
            looked: Instant::now(),
            // The same in every network namespace.
            queues: File::open("/proc/thread-self/net/softnet_stat").ok(),
        }
    }

    /// Notes that a request was sent; returns its place among all that were.
    pub(super) fn note_sent(&mut self, now: Instant) -> u64 {
        self.sent += 1;
        self.looked = now;
        self.sent
    }

    /// Notes that something came back for the request with this place.
    pub(super) fn note_arrival(&mut self, order: u64) {
        self.through = self.through.max(order);
    }

    /// Whether one more may be sent.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        if self.sent - self.through < self.burst {
            return true;
        }
        if now < self.next() {
            return false;
        }
        self.looked = now;
        if self.queues.as_ref().and_then(longest_queue).is_none_or(|longest| longest <= self.room) {
            self.through = self.sent;
        }
        self.sent - self.through < self.burst
    }

    /// When to ask again, if one more may not be sent.
    pub(super) fn next(&self) -> Instant {
        let patience = if self.queues.is_some() { PATIENCE } else { LONG_PATIENCE };
        if self.sent - self.through < self.burst { self.looked } else { self.looked + patience }
    }
}

/// Packets in the longest of the CPUs' queues. Linux before 5.10 does not tell.
fn longest_queue(file: &File) -> Option<usize> {
    let mut buffer = [0; 16 * 1024];
    let len = file.read_at(&mut buffer, 0).ok()?;
    longest_in(std::str::from_utf8(&buffer[..len]).ok()?)
}

/// The twelfth column is the length, one CPU a line (`softnet_seq_show`, `net/core/net-procfs.c`).
fn longest_in(text: &str) -> Option<usize> {
    let lengths = text.lines().filter_map(|line| line.split_ascii_whitespace().nth(11));
    lengths.filter_map(|column| usize::from_str_radix(column, 16).ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_longest_queue() {
        let line = |len: &str| format!("{}{len} 00000000 00000000 00000000\n", "0000ffff ".repeat(11));
        assert_eq!(longest_in(&[line("00000003"), line("0000012c")].concat()), Some(300));
        assert_eq!(longest_in("00000001 00000000\n"), None);
        assert_eq!(longest_in(""), None);
    }

    #[test]
    fn goes_on_after_an_answer_or_after_a_look() {
        let mut pace = Pace { queues: None, ..Pace::new(450, 2) };
        let start = Instant::now();
        assert!(pace.allows(start));
        let order = pace.note_sent(start);
        assert!(!pace.allows(start));
        pace.note_arrival(order);
        assert!(pace.allows(start));
        pace.note_sent(start);
        assert!(!pace.allows(start) && pace.allows(start + LONG_PATIENCE));
    }
}
