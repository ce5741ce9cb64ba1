//! ICMP echo, over IPv4 and IPv6 (RFC 792, RFC 4443) from inside namespaces: one pair, a list, or every pair at once.
//!
//! One call sends all its probes side by side. Each namespace that a probe starts in gets a raw socket per family; its
//! kernel sends and answers, so that what is tested is its routes, rules, neighbours and firewall.
//!
//! No two pings can be confused, whoever runs them: each socket takes only messages with its own identifier, and of
//! those only the ones that carry the run's random nonce (with a payload under eight bytes, as much of it as fits).

mod filter;
pub(crate) mod icmp;
pub(crate) mod message;
pub(crate) mod neighbours;
mod outcome;
mod pace;
mod port;
mod run;
mod schedule;
pub(crate) mod socket;
mod table;
mod worker;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub(crate) use icmp::checksum;
pub use outcome::{Cause, Failure, IcmpError, IcmpErrorKind, Outcome, Reply, RoundTrip, SendError};
pub use run::ping;

/// Whom to ping, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Probe {
    /// The namespace to send from, an index into the namespaces that [`ping`] is given.
    pub source: usize,
    /// The address to ping.
    pub destination: IpAddr,
    /// The number of the interface that a link-local IPv6 destination is behind; else 0.
    pub scope: u32,
}

impl Probe {
    /// A probe to an address that is no link-local one.
    pub fn new(source: usize, destination: IpAddr) -> Self {
        Self { source, destination, scope: 0 }
    }

    /// Every pair of hosts, in both directions: from each namespace to each address of another one.
    pub fn every_pair(hosts: &[(usize, IpAddr)]) -> Vec<Self> {
        let pairs =
            hosts.iter().flat_map(|&(from, _)| hosts.iter().map(move |&(to, address)| (from, to, address)));
        pairs.filter(|(from, to, _)| from != to).map(|(from, _, address)| Self::new(from, address)).collect()
    }
}

/// How to ping.
#[derive(Debug, Clone)]
pub struct PingOptions {
    /// Requests to each destination.
    pub count: u32,
    /// The time between requests to the same destination.
    pub interval: Duration,
    /// How long to wait for an answer to each request.
    pub timeout: Duration,
    /// Bytes of payload.
    pub size: usize,
    /// Neither the sender nor a router may fragment; what the sender's kernel knows of the way's MTU is not asked, so
    /// that each request tests the way anew.
    pub dont_fragment: bool,
    /// TTL or hop limit to send with, instead of the namespace's own default.
    pub ttl: Option<u8>,
    /// The address to send from, for probes of its family; one that a namespace does not have is refused there.
    pub source_address: Option<IpAddr>,
    /// Once true, no more is sent and the outcomes so far are returned, within a tenth of a second.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Default for PingOptions {
    /// One request of 56 bytes, a second for the answer.
    fn default() -> Self {
        Self {
            count: 1,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            size: 56,
            dont_fragment: false,
            ttl: None,
            source_address: None,
            stop: None,
        }
    }
}

/// What happened to a probe, told as it happens (for many probes at once, with a few milliseconds' delay).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A request was answered.
    Reply {
        /// The probe's place in the list.
        probe: usize,
        /// The answer.
        reply: Reply,
    },
    /// An answer came once more.
    Duplicate {
        /// The probe's place in the list.
        probe: usize,
        /// The answer.
        reply: Reply,
    },
    /// Something else came, or the request was not sent.
    Failure {
        /// The probe's place in the list.
        probe: usize,
        /// What it was.
        failure: Failure,
    },
    /// Nothing was heard by the end of the timeout.
    Silence {
        /// The probe's place in the list.
        probe: usize,
        /// The number of the request, from 1.
        sequence: u32,
    },
    /// The probe is done with. Comes once for every probe, so that counting them shows the progress.
    Finished {
        /// The probe's place in the list.
        probe: usize,
    },
}
