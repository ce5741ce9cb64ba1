//! Types that both the pure half (lab files, predictions) and the kernel half of nslab speak.
//!
//! They hold no policy and do no I/O; each makes one kind of wrong value impossible.

mod ifname;
mod mac;

pub use ifname::{IfName, InvalidIfName};
pub use mac::{InvalidMac, MacAddr};
