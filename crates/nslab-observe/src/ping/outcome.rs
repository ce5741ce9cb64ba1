//! What became of a probe.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use rustix::io::Errno;

/// What became of one probe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Echo requests that were tried, those that the own kernel refused among them.
    pub sent: u32,
    /// Answers, one for each request at most.
    pub replies: Vec<Reply>,
    /// Further answers to requests that had been answered.
    pub duplicates: u32,
    /// What came instead of answers. A request without an answer and without an entry here met silence.
    pub failures: Vec<Failure>,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The number of the request, from 1.
    pub sequence: u32,
    /// The time from before the request was handed to the kernel until the kernel received the answer.
    pub rtt: Duration,
    /// The answer's remaining TTL or hop limit, where the kernel told it.
    pub ttl: Option<u8>,
    /// Who answered: the destination, unless an address translation is at fault.
    pub from: IpAddr,
    /// Bytes of ICMP in the answer, header and payload, as ping(8) counts them.
    pub bytes: usize,
}

/// What came instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The number of the request, from 1.
    pub sequence: u32,
    /// What it was.
    pub cause: Cause,
}

/// Why there is no answer, where something was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// An error message came from this address. Where that is an address of the sender, its own kernel speaks: a
    /// neighbour did not answer ARP or ND.
    Icmp {
        /// Who sent it.
        from: IpAddr,
        /// What it says.
        error: IcmpError,
    },
    /// The sender's kernel refused to send.
    Refused(SendError),
    /// Nothing was heard by the end of the timeout, and the sender still waits for the destination's answer to ARP or
    /// ND on this interface: nobody on that wire has the address, or nobody can answer.
    Unresolved {
        /// The interface's number.
        link: u32,
    },
}

/// An ICMP error message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError {
    /// What it means.
    pub kind: IcmpErrorKind,
    /// Its type (RFC 792, RFC 4443).
    pub icmp_type: u8,
    /// Its code.
    pub code: u8,
}

/// The meaning of an ICMP error, over IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IcmpErrorKind {
    /// No route leads there.
    NetworkUnreachable,
    /// The last router cannot reach the host, or the address is unreachable.
    HostUnreachable,
    /// The host does not speak the protocol.
    ProtocolUnreachable,
    /// Nothing listens on the port.
    PortUnreachable,
    /// A firewall or policy says no.
    Prohibited,
    /// Unreachable for another reason.
    Unreachable,
    /// The packet is larger than the next link's MTU and must not be fragmented.
    FragmentationNeeded {
        /// That MTU; 0 if the router is too old to tell (RFC 1191).
        mtu: u32,
    },
    /// TTL or hop limit ran out.
    TimeExceeded,
    /// Fragments were missing for too long.
    ReassemblyTimeExceeded,
    /// A header field makes no sense to somebody.
    ParameterProblem {
        /// The offset of the field.
        pointer: u32,
    },
}

/// Why the sender's own kernel did not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No route (`ENETUNREACH`).
    NetworkUnreachable,
    /// A route of type `unreachable`, or no neighbour (`EHOSTUNREACH`).
    HostUnreachable,
    /// The packet is larger than the way's MTU, and must not be fragmented (`EMSGSIZE`).
    TooBig {
        /// That MTU, where the kernel told it.
        mtu: Option<u32>,
    },
    /// A firewall rule of the sender dropped it (`EPERM`).
    Filtered,
    /// A route of type `prohibit` (`EACCES`), or a broadcast address.
    Prohibited,
    /// No memory for it; for a first packet mostly that the neighbour table, which all namespaces of the host share,
    /// is full (`ENOBUFS`; `net.ipv4.neigh.default.gc_thresh3`).
    NoBuffers,
    /// The address to send from is not on this namespace (`EADDRNOTAVAIL`), or the destination cannot be reached from
    /// any address here.
    AddressNotAvailable,
    /// The interface is down (`ENETDOWN`).
    NetworkDown,
    /// A route of type `blackhole`, or an address that makes no sense here (`EINVAL`).
    Invalid,
    /// Another error number.
    Other(i32),
}

impl SendError {
    pub(crate) fn new(errno: Errno, mtu: Option<u32>) -> Self {
        match errno {
            Errno::NETUNREACH => Self::NetworkUnreachable,
            Errno::HOSTUNREACH => Self::HostUnreachable,
            Errno::MSGSIZE => Self::TooBig { mtu },
            Errno::PERM => Self::Filtered,
            Errno::ACCESS => Self::Prohibited,
            Errno::NOBUFS | Errno::AGAIN | Errno::NOMEM => Self::NoBuffers,
            Errno::ADDRNOTAVAIL => Self::AddressNotAvailable,
            Errno::NETDOWN | Errno::NODEV | Errno::NXIO => Self::NetworkDown,
            Errno::INVAL => Self::Invalid,
            other => Self::Other(other.raw_os_error()),
        }
    }
}

/// Round-trip times of several answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundTrip {
    /// The shortest.
    pub min: Duration,
    /// The mean.
    pub avg: Duration,
    /// The longest.
    pub max: Duration,
    /// The standard deviation, as ping(8) defines it: the root of the mean of squares less the square of the mean.
    pub mdev: Duration,
}

impl Outcome {
    /// How many requests were answered.
    pub fn received(&self) -> u32 {
        u32::try_from(self.replies.len()).unwrap_or(u32::MAX)
    }

    /// How many requests were not answered.
    pub fn lost(&self) -> u32 {
        self.sent.saturating_sub(self.received())
    }

    /// The round-trip times; none without an answer.
    pub fn round_trip(&self) -> Option<RoundTrip> {
        let times = || self.replies.iter().map(|reply| reply.rtt);
        let (min, max, count) = (times().min()?, times().max()?, self.received());
        let avg = times().sum::<Duration>() / count;
        let deviations = times().map(|time| (time.as_secs_f64() - avg.as_secs_f64()).powi(2));
        let mdev = (deviations.sum::<f64>() / f64::from(count)).sqrt();
        Some(RoundTrip { min, avg, max, mdev: Duration::try_from_secs_f64(mdev).unwrap_or_default() })
    }
}

impl fmt::Display for IcmpError {
    /// In the words of ping(8).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            IcmpErrorKind::NetworkUnreachable => f.write_str("Destination Net Unreachable"),
            IcmpErrorKind::HostUnreachable => f.write_str("Destination Host Unreachable"),
            IcmpErrorKind::ProtocolUnreachable => f.write_str("Destination Protocol Unreachable"),
            IcmpErrorKind::PortUnreachable => f.write_str("Destination Port Unreachable"),
            IcmpErrorKind::Prohibited => f.write_str("Packet filtered"),
            IcmpErrorKind::Unreachable => write!(f, "Destination Unreachable, code {}", self.code),
            IcmpErrorKind::FragmentationNeeded { mtu } => write!(f, "Frag needed and DF set (mtu = {mtu})"),
            IcmpErrorKind::TimeExceeded => f.write_str("Time to live exceeded"),
            IcmpErrorKind::ReassemblyTimeExceeded => f.write_str("Frag reassembly time exceeded"),
            IcmpErrorKind::ParameterProblem { pointer } => {
                write!(f, "Parameter problem: pointer = {pointer}")
            }
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NetworkUnreachable => f.write_str("Network is unreachable"),
            Self::HostUnreachable => f.write_str("No route to host"),
            Self::TooBig { mtu: Some(mtu) } => write!(f, "Message too long, mtu={mtu}"),
            Self::TooBig { mtu: None } => f.write_str("Message too long"),
            Self::Filtered => {
                f.write_str("Operation not permitted (a firewall rule of the sender dropped it)")
            }
            Self::Prohibited => {
                f.write_str("Permission denied (a route of type prohibit, or a broadcast address)")
            }
            Self::NoBuffers => f.write_str(
                "No buffer space available (the host's neighbour table may be full: its limit is gc_thresh3 of \
                 net.ipv4.neigh.default or net.ipv6.neigh.default)",
            ),
            Self::AddressNotAvailable => f.write_str("Cannot assign requested address"),
            Self::NetworkDown => f.write_str("Network is down"),
            Self::Invalid => f.write_str("Invalid argument (a blackhole route, or no address to send to)"),
            Self::Other(errno) => write!(f, "{}", std::io::Error::from_raw_os_error(*errno)),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Icmp { from, error } => write!(f, "From {from}: {error}"),
            Self::Refused(error) => error.fmt(f),
            Self::Unresolved { link } => write!(f, "no answer to ARP or ND on interface {link}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_those_of_ping() {
        let reply = |sequence, micros| Reply {
            sequence,
            rtt: Duration::from_micros(micros),
            ttl: Some(64),
            from: IpAddr::from([10, 0, 0, 2]),
            bytes: 64,
        };
        let outcome = Outcome { sent: 3, replies: vec![reply(1, 10), reply(2, 20)], ..Outcome::default() };
        let times = outcome.round_trip().unwrap();
        assert_eq!(
            [times.min, times.avg, times.max, times.mdev].map(|time| time.as_micros()),
            [10, 15, 20, 5]
        );
        assert_eq!((outcome.received(), outcome.lost()), (2, 1));
        assert_eq!(Outcome::default().round_trip(), None);
    }
}
