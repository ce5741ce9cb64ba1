//! What the kernel counts while the probe is under way.

use nslab_kernel::counters::{Counter, Meter, Reading};

use super::Place;
use crate::capture::side_by_side;

/// A counter that grew from before the probe was sent until nothing more was expected: by it, or by something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Grown {
    /// Where, by the places' order.
    pub place: usize,
    /// Which.
    pub counter: Counter,
    /// By how much.
    pub by: u64,
}

/// What was counted in a namespace before.
#[derive(Debug)]
pub(super) struct Before {
    meter: Meter,
    reading: Reading,
}

impl Before {
    /// Reads it; none if that cannot be done.
    pub(super) fn read(place: &Place) -> Option<Self> {
        let read = || {
            let mut meter = Meter::open().ok()?;
            let reading = meter.read().ok()?;
            Some(Self { meter, reading })
        };
        place.namespace.run(read).ok()?
    }
}

/// Reads all once more.
pub(super) fn grown(all: Vec<Option<Before>>) -> Vec<Grown> {
    let places = all.into_iter().enumerate().filter_map(|(place, before)| Some((place, before?))).collect();
    let each = side_by_side(places, |(place, mut before)| {
        let now = before.meter.read().ok();
        let grown = now.map(|now| now.since(&before.reading)).unwrap_or_default();
        grown.into_iter().map(move |(counter, by)| Grown { place, counter, by }).collect::<Vec<_>>()
    });
    each.into_iter().flatten().collect()
}
