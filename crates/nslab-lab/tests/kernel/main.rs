//! Labs on a real kernel, as root or as an ordinary user.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod build;
mod converge;
mod crash;
mod join;
mod kinds;
mod oracle;
mod policy;
mod property;
mod shaping;
mod shell;
mod support;
mod switching;
mod uplink;
