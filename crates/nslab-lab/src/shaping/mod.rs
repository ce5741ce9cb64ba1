//! Bad links: what a lab file says of delay, loss and rate, as queueing disciplines of the kernel.
//!
//! ```text
//! the same for all:   netem ── tbf
//! paths:              htb ─┬─ class for the rest ── netem ── tbf
//!                          ├─ class for alpha ───── netem ── tbf
//!                          └─ …                     by a classifier that looks at the destination's MAC
//! loss without netem: the classifier draws a random number, and loses by a class whose queue drops all
//! ```
//! What is not asked for is left out, down to nothing at all. netem comes before tbf: first the way, then the
//! bottleneck with a queue that is limited in bytes, as that of a router is.

mod compile;
mod mark;
mod probe;
mod queue;
mod words;

pub(crate) use compile::seed_of;
pub use compile::{Sends, Shaper, compile};
pub(crate) use probe::has_netem;
pub use probe::probe;
pub use queue::{Change, Hung, HungClass, HungFilter, Queue};
pub(crate) use words::{command, describe};

use nslab_kernel::qdisc::Handle;

/// The name of the outermost qdisc of an interface that nslab shapes, `6e73:`: "ns" in ASCII. One of another name is
/// somebody else's.
pub const ROOT: Handle = Handle::qdisc(0x6e73);
