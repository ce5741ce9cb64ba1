//! Frames taken apart into typed layers, and told in one line in tcpdump's manner.
//!
//! [`decode`] makes a [`Decoded`] of a [`Frame`]: typed values that borrow from its bytes. It has an answer for all bytes
//! whatsoever, never looks beyond their end, and follows a bounded number of headers in each other. That a frame was not
//! captured whole is a state, and no error: what there is of it is taken apart ([`Data`]).
//!
//! - [`line()`] and [`Printer`] give the text of tcpdump 4.99 for it; the crate's tests hold them against tcpdump itself.
//! - [`Identity`] is by what the same packet is known elsewhere.
//! - [`decapsulated`] finds the frame in a tunnel's packet.
//! - [`Clock`] writes times as tcpdump's `-t` to `-ttttt`.
//! - All layers are `serde::Serialize`, with the names of their fields as here.
//!
//! ```
//! use nslab_decode::{Frame, Identity, Style, decode, line};
//!
//! # let bytes = [
//! #     2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 69, 0, 0, 29, 18, 103, 64, 0, 64, 17, 20, 103, 10, 0, 0, 1, 10, 0, 0, 2,
//! #     0, 7, 0, 9, 0, 9, 0, 0, 97,
//! # ];
//! let decoded = decode(&Frame::new(&bytes));
//! assert_eq!(line(&decoded, &Style::default()), "IP 10.0.0.1.7 > 10.0.0.2.9: UDP, length 1");
//! assert_eq!(Identity::of(&decoded).map(|identity| identity.ip_id), Some(4711));
//! ```
//!
//! The headers are read by code of this crate. `etherparse` knows Ethernet, ARP, IP, TCP, UDP and the beginning of ICMP;
//! it has neither what is most of the code here (options as values, neighbour discovery, DNS, DHCP, tunnels, STP, LLDP), nor
//! a length on the wire beside the bytes at hand in all of these, nor `Serialize`: it would have saved some 150 lines and
//! cost a layer of translation.

mod checksum;
mod data;
mod decapsulate;
mod frame;
mod identity;
mod layers;
mod line;
mod time;

pub use checksum::Checked;
pub use data::{Broken, Data, Fault};
pub use decapsulate::decapsulated;
pub use frame::{Frame, Link, Ports, decode, decode_with};
pub use identity::{Flow, HASHED, Identity, Points};
pub use layers::*;
pub use line::{Conversations, Dump, Names, Printer, Style, line};
pub use time::{Clock, Precision, Stamp};
