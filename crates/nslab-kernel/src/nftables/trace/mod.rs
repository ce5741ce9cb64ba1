//! Packets watched on their way through rules (`net/netfilter/nf_tables_trace.c`).
//!
//! The kernel tells of each rule that a packet meets once the packet is marked for it, which only a rule can do
//! (`meta nftrace set 1`). A [`TraceTable`] has such rules, for the packets of some [`TracePattern`]s and no others, and base
//! chains without rules at the end of each hook, so that it is told as well which hooks a packet has passed, by which
//! interfaces and with which headers. A [`TraceMonitor`] hears what is told.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use nslab_kernel::netlink::{Protocol, Socket};
//! use nslab_kernel::nftables::trace::{TraceMonitor, TraceOptions, TracePattern, TraceTable};
//!
//! // Echo requests and replies whose payload begins with these bytes.
//! let pattern = TracePattern { ipv6: false, protocol: 1, bytes: vec![(8, b"01234567".to_vec())] };
//! let monitor = TraceMonitor::open()?;
//! let table = TraceTable::install(Socket::open(Protocol::Netfilter)?, &[pattern], TraceOptions::default())?;
//! monitor.read(|news| println!("{news:?}"))?;
//! table.remove()?;
//! # Ok(()) }
//! ```

mod event;
mod monitor;
mod table;
mod tuple;

#[cfg(feature = "fuzz")]
pub(crate) use event::parse;
pub use event::{TraceConnection, TraceEvent, TracePacket, TraceStep};
pub use monitor::{TraceMonitor, TraceNews};
pub use table::{Checkpoint, EARLY, TraceHooks, TraceOptions, TracePattern, TraceTable};
pub use tuple::TraceTuple;
