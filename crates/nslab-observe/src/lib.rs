//! Watching a network work: packets sent on purpose, and what becomes of them.
//!
//! [`ping`] sends ICMP echoes, one pair or a whole matrix at once, from inside any number of namespaces.

mod error;
pub mod ping;

pub use error::{Error, Result};
