//! Addresses: those that were written are checked, those left open are chosen.

mod check;
mod overlap;
mod plan;
mod pool;

pub(super) use check::check;
pub(super) use overlap::{overlapping, overlaps};
pub(super) use plan::plan;
