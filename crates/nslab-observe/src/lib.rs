//! Watching a network work: packets sent on purpose, and what becomes of them.
//!
//! [`capture`] sees what passes in any number of namespaces, and [`pcapng`] writes it to files.
//! [`trace`] sends one packet and watches it go through many.
//! [`pmtu`] finds out how large a packet gets through, and what becomes of larger ones.
//! [`probe`] tries whether echoes, connections and datagrams arrive, and how well.
//! [`ping`] sends ICMP echoes, one pair or a whole matrix at once, from inside any number of namespaces.

pub mod capture;
mod circle;
mod error;
pub mod pcapng;
pub mod ping;
pub mod pmtu;
pub mod probe;
mod sockopt;
pub mod trace;

pub use circle::comes_by_again;
pub use error::{Error, Result};
