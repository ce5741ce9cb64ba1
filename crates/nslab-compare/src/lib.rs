//! What was observed of a packet held against what was predicted of it.
//!
//! [`Story::of`] weaves the events of a [trace](nslab_observe::trace) into the steps of a prediction: each is seen, cannot be
//! seen, is missing, or was not foreseen. It is what `nslab trace` prints, and by what the differential tester finds traces
//! and predictions at odds.

mod drops;
mod rules;
mod story;
mod watch;
mod weave;

pub use drops::Drops;
pub use story::{End, Facts, Story, kind, shown, unknown};
pub use watch::{Waiting, near, options};
pub use weave::{By, Step};
