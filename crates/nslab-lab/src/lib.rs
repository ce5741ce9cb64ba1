//! Labs on a kernel.
//!
//! ```text
//! Topology (what the file says) ─┐
//!                                ├─ diff ─▶ Plan ─ apply (journalled) ─▶ kernel
//! Actual (what the kernel shows) ┘
//! ```
//! A fresh build is the difference to nothing; a repair is the difference to what was broken. There is no other way
//! by which a lab changes.

pub mod actual;
pub mod apply;
pub mod desired;
pub mod diff;
pub mod error;
pub mod exec;
pub mod existing;
pub mod interrupt;
pub mod joined;
pub mod journal;
pub mod keys;
pub mod kinds;
pub mod labs;
pub mod lock;
pub mod netfilter;

pub mod paths;
pub mod pins;
pub mod plan;
pub mod preflight;
pub mod processes;
pub mod programs;
mod resolver;
pub mod rootless;
pub mod runner;
pub mod session;
pub mod shaping;
pub mod state;
mod support;
pub mod uplink;
pub mod view;

pub use error::{Error, Result};
pub use interrupt::Interrupt;
pub use labs::Labs;
pub use paths::{LabPaths, Paths};
pub use plan::Plan;
pub use state::State;
