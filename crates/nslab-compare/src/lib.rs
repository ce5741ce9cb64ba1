//! What was observed of a packet held against what was predicted of it.
//!
//! [`Story::of`] weaves the events of a [trace](nslab_observe::trace) into the steps of a prediction: each is seen, cannot be
//! seen, is missing, or was not foreseen. It is what `nslab trace` prints, and by what the differential tester finds traces
//! and predictions at odds. [`Passing::of`] does the same with a packet of others.

mod counts;
mod drops;
#[cfg(test)]
mod examples;
mod passing;
mod rules;
mod story;
mod watch;
mod weave;

pub use counts::{Count, counted};
pub use drops::Drops;
pub use passing::{Around, Fate, Foreseen, Passing};
pub use story::{End, Facts, Story, kind, shown, unknown};
pub use watch::{Waiting, has_delays, near, options, take_traces};
pub use weave::{By, Only, Step};
