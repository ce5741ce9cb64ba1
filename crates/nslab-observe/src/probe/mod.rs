//! Whether something arrives, really tried: echoes of ICMP, connections of TCP and datagrams of UDP, from inside any number of
//! namespaces, all at once.
//!
//! A [`Prober`] knows the namespaces. [`Prober::send`] sends each of its probes once. What comes of one is an [`Outcome`], and
//! its [`Verdict`] is in the words of a prediction:
//!
//! - *ok*: the echo or the datagram is answered, the connection is made; of a datagram it is enough that the host lets it through to a
//!   program that listens there, which may not answer such datagrams;
//! - *refused*: it came through to the destination's own TCP or UDP, which says that nothing listens;
//! - *reject*: anybody else says no: a firewall on the way or on the destination, a router;
//! - *drop*: nothing is heard, or the sender's own kernel cannot send.
//!
//! That a packet came through to a host's TCP or UDP is seen by raw sockets there (raw(7)): they get a copy of what the host's
//! firewall lets in (`raw_local_deliver` is called behind the hook `LOCAL_IN`), whatever then becomes of it. By this it is told
//! whether a firewall or the host refused, which look the same from afar, and that a datagram which nobody answers arrived.
//!
//! Each packet of a call can be told from all others, also through address translation: echoes and datagrams by their first
//! eight bytes, connections by their first sequence number, which is set by `TCP_REPAIR`. [`Paths`] finds them where they pass.

mod arrivals;
mod bandwidth;
mod filter;
mod measure;
mod outcome;
mod paths;
mod run;
mod socket;
mod spaces;
mod token;

use std::net::IpAddr;
use std::time::Duration;

pub use bandwidth::Bandwidth;
pub use measure::{Latency, Loss, Size};
pub use outcome::{Answer, Arrival, Outcome, Verdict};
pub use paths::Paths;
pub use run::Each;
pub use spaces::Prober;
pub use token::Token;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// A request for an echo.
    Echo,
    /// The beginning of a connection to this port.
    Tcp(u16),
    /// A datagram to this port.
    Udp(u16),
}

/// A packet to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Probe {
    /// The namespace to send from, by its place among the prober's.
    pub source: usize,
    /// Where to; no link-local address.
    pub destination: IpAddr,
    /// What.
    pub service: Service,
    /// The size of the whole packet in bytes, IP header and all, which then must not be fragmented. Sizes are no matter of TCP.
    pub size: Option<u32>,
}

impl Probe {
    /// A small packet.
    pub fn new(source: usize, destination: IpAddr, service: Service) -> Self {
        Self { source, destination, service, size: None }
    }
}

/// How to send.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// The time between two packets; none is as fast as it goes.
    pub pace: Duration,
    /// Look where packets arrive. Without, a datagram is ok only if it is answered, and all refusals that come from the
    /// destination's address are the host's own.
    pub arrivals: bool,
    /// Asked again and again: whether to end early.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

impl Default for Options<'_> {
    /// A second for the answer; where packets arrive is looked at.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(1), pace: Duration::ZERO, arrivals: true, stop: &|| false }
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { timeout, pace, arrivals, stop: _ } = self;
        f.debug_struct("Options")
            .field("timeout", timeout)
            .field("pace", pace)
            .field("arrivals", arrivals)
            .finish_non_exhaustive()
    }
}
