//! Processor time.

use serde::{Deserialize, Serialize};

use crate::error::{Doing, Result};

/// Processor time, in seconds, of all processors together.
///
/// What the network layer does for a packet in the context of who sends it is that one's. What it does in software interrupts (a
/// veth's receiving end, loopback's) is accounted apart, or, in kernels without `CONFIG_IRQ_TIME_ACCOUNTING`, to whoever was just
/// running: then `own` has most of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Processor {
    /// This process's, both ends' (`CLOCK_PROCESS_CPUTIME_ID`).
    pub own: f64,
    /// The machine's in software interrupts, whoever's packets they were for (`softirq` of `/proc/stat`).
    pub softirq: f64,
    /// The machine's in all, but for idling (`/proc/stat`).
    pub busy: f64,
}

/// `USER_HZ`, in which `/proc/stat` counts.
const HZ: f64 = 100.0;

impl Processor {
    /// What was taken until now.
    pub(crate) fn now() -> Result<Self> {
        let own = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let text = std::fs::read_to_string("/proc/stat").doing("read /proc/stat")?;
        let (softirq, busy) = read(&text);
        #[allow(clippy::cast_precision_loss, reason = "seconds of a process, and nanoseconds of one")]
        let own = own.tv_sec as f64 + own.tv_nsec as f64 / 1e9;
        Ok(Self { own, softirq, busy })
    }

    /// What was taken since an earlier reading.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            own: self.own - before.own,
            softirq: self.softirq - before.softirq,
            busy: self.busy - before.busy,
        }
    }
}

/// Reads the first line of `/proc/stat` (`proc_stat(5)`): user, nice, system, idle, iowait, irq, softirq, steal.
fn read(text: &str) -> (f64, f64) {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let ticks: Vec<f64> = line.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    let at = |place: usize| ticks.get(place).copied().unwrap_or(0.0) / HZ;
    (at(6), at(0) + at(1) + at(2) + at(5) + at(6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_first_line() {
        let text = "cpu  100 20 300 4000 50 6 700 8 0 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n";
        assert_eq!(read(text), (7.0, 11.26));
        assert_eq!(read("intr 7"), (0.0, 0.0));
    }

    #[test]
    fn work_takes_time() {
        let before = Processor::now().unwrap_or_default();
        let mut sum = 0_u64;
        while Processor::now().is_ok_and(|now| now.since(before).own < 0.01) {
            sum = (0..10_000_u64).fold(sum, |sum, one| sum.wrapping_mul(31).wrapping_add(one));
        }
        assert_ne!(sum, 1);
    }
}
