//! Captures as files: pcapng (draft-ietf-opsawg-pcapng), which Wireshark, tshark and tcpdump read.
//!
//! Why not the crate `pcap-file`: its writer has no buffer of the caller's to append to, makes a list of boxed options for
//! each packet, and knows no `epb_packetid`; millions of records a second are written here. What is needed are four kinds of
//! blocks.

mod block;
mod file;
mod output;
mod rotate;

pub use block::{Direction, Interface, LinkType, Record, Section, Statistics};
pub use file::{Recorder, Sighted, Totals};
pub use output::{Output, Written};
pub use rotate::{Names, Rotation};
