//! The time in which things are counted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::cpu::Processor;
use crate::error::Result;
use crate::{Load, Sample, Timing};

/// A signal is looked for this often.
const GLANCE: Duration = Duration::from_millis(20);
/// Where nothing comes for so long, nothing will.
const LIMIT: Duration = Duration::from_secs(5);

/// What both ends count.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) came: AtomicU64,
    pub(crate) sent: AtomicU64,
    /// What is noted now counts.
    pub(crate) counting: AtomicBool,
    /// Both are to end.
    pub(crate) over: AtomicBool,
}

impl Counters {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn came(&self, count: u64) {
        self.came.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, count: u64) {
        self.sent.fetch_add(count, Ordering::Relaxed);
    }
}

/// Lets the ends work for the time, and then tells them to end. None if it was cut short.
pub(crate) fn watch(
    counters: &Counters,
    load: Load,
    timing: Timing,
    is_over: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Sample>> {
    let sample = count(counters, load, timing, is_over);
    counters.over.store(true, Ordering::Relaxed);
    sample
}

fn count(
    counters: &Counters,
    load: Load,
    timing: Timing,
    is_over: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Sample>> {
    if !pass(timing.warm, counters, is_over) {
        return Ok(None);
    }
    let look = || (counters.came.load(Ordering::Relaxed), counters.sent.load(Ordering::Relaxed));
    counters.counting.store(true, Ordering::Relaxed);
    let (begun, processor, (came, sent)) = (Instant::now(), Processor::now()?, look());
    // On a machine with a lot else to do a short time may be over before either end had its turn.
    let none = || counters.came.load(Ordering::Relaxed) == came;
    if !pass(timing.measured, counters, is_over) || !wait_while(&none, counters, is_over) {
        return Ok(None);
    }
    let (after, now, (all, all_sent)) = (begun.elapsed(), Processor::now()?, look());
    counters.counting.store(false, Ordering::Relaxed);
    Ok(Some(Sample {
        load,
        seconds: after.as_secs_f64(),
        count: all - came,
        sent: all_sent - sent,
        processor: now.since(processor),
        latency: None,
    }))
}

/// Waits until something is so no more, for so long as that can last; false if it was cut short.
fn wait_while(
    something: &dyn Fn() -> bool,
    counters: &Counters,
    is_over: &(dyn Fn() -> bool + Sync),
) -> bool {
    let end = Instant::now() + LIMIT;
    while something() && Instant::now() < end {
        if !pass(GLANCE / 4, counters, is_over) {
            return false;
        }
    }
    true
}

/// Waits; false if it was cut short.
fn pass(time: Duration, counters: &Counters, is_over: &(dyn Fn() -> bool + Sync)) -> bool {
    let end = Instant::now() + time;
    loop {
        if is_over() || counters.is_over() {
            return false;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(GLANCE));
    }
}
