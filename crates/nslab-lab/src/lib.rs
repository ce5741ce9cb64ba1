//! Labs on a kernel.
//!
//! ```text
//! Topology (what the file says) ─┐
//!                                ├─ diff ─▶ Plan ─ apply (journalled) ─▶ kernel
//! Actual (what the kernel shows) ┘
//! ```
//! A fresh build is the difference to nothing; a repair is the difference to what was broken. There is no other way
//! by which a lab changes.

pub mod error;
pub mod exec;
pub mod paths;
pub mod programs;
pub mod rootless;

pub use error::{Error, Result};
pub use paths::{LabPaths, Paths};
