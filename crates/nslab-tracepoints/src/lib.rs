//! What becomes of packets in the kernel, by its own tracepoints: where they die, for which reason, and where they pass.
//!
//! Small programs of BPF are put at the tracepoints `kfree_skb`, `netif_receive_skb`, `net_dev_start_xmit` and `consume_skb`
//! ([`Hooks`]). They are built from `src/bpf/tracepoints.bpf.c` beforehand and kept in this crate (`cargo xtask bpf`), so that
//! nobody needs a compiler; where the running kernel has the members of its structures is found by its type information, BTF.
//! Packets of other namespaces than those asked for, and of other flows, are sorted out in the kernel ([`Filter`],
//! [`Tracepoints::choose`]).
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use nslab_tracepoints::{Filter, Tracepoints, What};
//!
//! let mut points = Tracepoints::open(&Filter::default())?;
//! # loop {
//! // poll(2) for `points.as_fd()`, then:
//! points.for_each(|event| {
//!     if let What::Dropped { reason, location } = event.what {
//!         println!("{:?} {:?} {:?} {location:#x}", event.namespace, event.link_name, reason);
//!     }
//!     ControlFlow::Continue(())
//! });
//! let reason = points.names().reason(2); // "NOT_SPECIFIED"
//! # }
//! # Ok::<(), nslab_tracepoints::Unavailable>(())
//! ```
//!
//! - It needs Linux 5.8 or newer with `CONFIG_DEBUG_INFO_BTF`, and `CAP_BPF` and `CAP_PERFMON` in the first user namespace (or
//!   root): without them [`Unavailable`] says what is missing and what to do.
//! - The kernel gives reasons since Linux 5.17.
//! - Programs and maps are held by descriptors alone. They are gone with the process, however it ends.
//! - What did not fit into the ring is counted ([`Tracepoints::lost`]).
//! - Events come in the order in which they were noted, which is that of time but for what processors did at the same moment.

mod btf;
mod error;
mod event;
mod filter;
mod names;
mod points;
mod symbols;
mod tuple;

pub use error::Unavailable;
pub use event::{Event, PacketKind, Record, Tag, What};
pub use filter::{End, Filter, Flow, Hooks};
pub use names::Names;
pub use nslab_filter::Tuple;
pub use points::Tracepoints;
pub use symbols::Symbol;
