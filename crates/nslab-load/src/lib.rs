//! Traffic between two network namespaces, made and measured in this process: what the way between them costs.
//!
//! [`measure`] makes one kind of [`Load`] for a while between two [`Ends`] and gives a [`Sample`]: how much got through, how long it
//! took, and what processor time it took. [`namespaces`] measures what a namespace itself costs. [`stats`] says what several
//! samples tell, and what they do not.
//!
//! Sockets belong to the namespace in which they were opened, so that both ends are threads of one process, whose processor time
//! is that of both.

mod cpu;
mod error;
mod load;
mod memory;
mod namespaces;
pub mod stats;
mod window;

use std::net::IpAddr;
use std::time::Duration;

use nslab_kernel::Namespace;
use serde::{Deserialize, Serialize};

pub use cpu::Processor;
pub use error::{Error, Result};
pub use memory::Memory;
pub use namespaces::{NamespaceCost, namespaces};

/// Who talks to whom.
#[derive(Debug)]
pub struct Ends {
    /// The namespace of who begins; none for the one that the calling thread is in.
    pub client: Option<Namespace>,
    /// That of who is called.
    pub server: Option<Namespace>,
    /// An address of the latter, to which the former has a way.
    pub address: IpAddr,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// One stream of TCP, as fast as it goes.
    Stream,
    /// Datagrams of UDP of [`DATAGRAM`] bytes, as fast as they can be sent.
    Datagrams,
    /// A byte there and a byte back over one connection of TCP, again and again.
    Exchange,
    /// Connections of TCP that are made and closed, one after another.
    Connections,
}

impl Load {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Stream, Self::Datagrams, Self::Exchange, Self::Connections];
}

/// The payload of a datagram in bytes: with the headers of UDP and IP and those of a tunnel it fits into a frame.
pub const DATAGRAM: usize = 1400;

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// For so long nothing is counted: connections come up to speed.
    pub warm: Duration,
    /// Then everything is, for so long.
    pub measured: Duration,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// What was sent.
    pub load: Load,
    /// For how long it was counted, in seconds.
    pub seconds: f64,
    /// What came to the other end: bytes of a stream, datagrams; exchanges and connections that were completed.
    pub count: u64,
    /// Datagrams that were sent; else as `count`.
    pub sent: u64,
    /// What it took.
    pub processor: Processor,
    /// How long exchanges took.
    pub latency: Option<Latency>,
}

/// How long exchanges took, in microseconds: so many per cent of them took no longer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// 50 per cent.
    pub p50: f64,
    /// 90 per cent.
    pub p90: f64,
    /// 99 per cent.
    pub p99: f64,
    /// 99.9 per cent.
    pub p999: f64,
}

impl Sample {
    /// What got through in a second, as [`Self::count`].
    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 { as_f64(self.count) / self.seconds } else { 0.0 }
    }
}

/// Makes a load and measures it. None if `is_over` says so meanwhile.
///
/// # Errors
/// If a socket is refused, or nothing gets through.
pub fn measure(
    ends: &Ends,
    load: Load,
    timing: Timing,
    is_over: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Sample>> {
    load::run(ends, load, timing, is_over)
}

#[allow(clippy::cast_precision_loss, reason = "figures for people have fewer digits")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
