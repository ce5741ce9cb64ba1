//! The filter language of libpcap (pcap-filter(7)) for Ethernet frames, compiled to classic BPF.
//!
//! [`Filter::parse`] reads `tcp port 80 and host 10.0.0.2` and the like and makes a [`Program`] of it. That goes to the
//! kernel (`SO_ATTACH_FILTER`) or runs here, over a [`Frame`] in memory. The crate does no I/O: what names of ports,
//! protocols and hosts mean is asked of [`Names`].
//!
//! ```
//! use nslab_filter::{Filter, Frame, NameTable};
//!
//! let filter = Filter::parse("arp or port domain", &NameTable::builtin())?;
//! let mut arp = [0; 42];
//! arp[12..14].copy_from_slice(&[0x08, 0x06]);
//! assert!(filter.program().matches(&Frame::new(&arp)));
//!
//! let error = Filter::parse("arp or prot domain", &NameTable::builtin()).unwrap_err();
//! assert_eq!(error.span, 7..11);
//! assert_eq!(error.hint.as_deref(), Some("did you mean \"port\"?"));
//! # Ok::<(), nslab_filter::FilterError>(())
//! ```
//!
//! # How it is done
//!
//! The text becomes an expression in which every name is looked up (`parse`), that one a condition on values of the packet
//! (`lower`), that a graph of tests which is made small (`graph::optimise`), and the graph becomes instructions
//! (`graph::emit`).
//!
//! # What differs from libpcap
//!
//! Programs select what libpcap 1.10's select; the tests hold the two against each other. On purpose it is otherwise here:
//!
//! - One program serves sockets and files. Where the text says `vlan`, it looks beside the packet's bytes, where Linux
//!   keeps a tag that it took out, and in them if there is none beside; `inbound`, `outbound` and `ifindex` are of use
//!   only where the kernel tells ([`Ancillary`]).
//! - What stands behind `vlan` or `geneve` in the text is about what is behind the tag or inside the tunnel, as the manual
//!   says. In libpcap's programs for sockets, and with `geneve` in all, it is so only if that was looked at: that matters in
//!   `ip or vlan and udp`.
//! - A packet that was cut off, or ends, before bytes that decide nothing can match; which bytes are looked at nevertheless
//!   depends on the optimiser in libpcap as well.
//! - Where libpcap 1.10 errs, this does not: `byte 0 & 1` looks at the packet, and in `ip[2:2] - tcp[12] > 20` both sides
//!   have to be there.
//! - `vxlan [NUMBER]` matches VXLAN on port 4789, and what stands behind it is about the frame inside (libpcap 1.11).
//! - A filter that no packet can match is refused, also where libpcap does not notice.
//! - Refused, as the kernel or Ethernet has no use for it, or nobody has asked: `protochain`, `gateway`, a second tunnel, `llc`,
//!   the words for IS-IS' packet types, addresses of `decnet` and of the form `$1f`, names of networks, and all for 802.11, ATM, SS7
//!   and OpenBSD's `pf`.
//! - Numbers that cannot be are refused: `ip proto 300`, `ether proto 70000`.
//! - Identifiers in parentheses may nest: `port ((80 or 443) or 22)`.
//! - `ip broadcast` is all ones or all zeros, as where libpcap does not know the network's mask.

mod error;
mod filter;
mod graph;
mod lower;
mod machine;
mod names;
mod parse;
mod program;
mod syntax;
mod tuple;

pub use error::{ErrorKind, FilterError};
pub use filter::Filter;
pub use machine::{Ancillary, Frame, VlanTag};
pub use names::{NameTable, Names, Transport};
pub use program::{Instruction, MAX_INSTRUCTIONS, Program};
pub use tuple::Tuple;
