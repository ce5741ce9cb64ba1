//! Labs, namespaces and results as text.
//!
//! Every function here is pure: values in, a `String` out. Nothing is printed, and neither environment nor terminal is
//! looked at: what a caller knows of them it puts into a [`Style`].

mod chart;
mod checks;
mod diagnostic;
mod explain;
mod faults;
mod firewall;
mod host;
mod matrix;
mod names;
mod namespace;
mod path_mtu;
mod picture;
pub mod ping;
mod style;
mod table;
mod trace;

pub use chart::{Bar, Chart, Panel, chart};
pub use checks::{Checked, Mark, checks};
pub use diagnostic::diagnostic;
pub use explain::{
    Explanation, action_word, explanation, explanation_end, explanation_headline, explanation_short,
    link_name, namespace_name, short_object, verdict_word, without_counts,
};
pub use faults::faults;
pub use firewall::{FirewallChain, FirewallRow, firewall};
pub use host::host;
pub use matrix::{Cell, Matrix, failures, matrix};
pub use namespace::namespace_state;
pub use path_mtu::{MtuHop, PathMtu, path_mtu};
pub use picture::picture;
pub use style::Style;
pub use table::table;
pub use trace::{TraceRow, TraceSection, TraceSight, trace_sections, trace_steps};
