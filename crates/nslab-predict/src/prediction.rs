//! What is predicted of a packet.

use std::net::IpAddr;

use nslab_kernel::link::IfIndex;
use serde::Serialize;

use crate::l2::Port;
use crate::nft::Step;
use crate::{Code, Doubt, Packet};

/// A packet that somebody might send.
#[derive(Debug, Clone)]
pub struct Question {
    /// The sender: the place of its namespace in [`Snapshot::namespaces`](nslab_snapshot::Snapshot).
    pub namespace: usize,
    /// What it sends. An unspecified source is chosen as the kernel does.
    pub packet: Packet,
    /// The packet belongs to a connection that exists already, rather than to begin one: firewalls have seen it both ways.
    pub established: bool,
    /// Next hops are asked for anew, whatever neighbour tables have of them but what is fixed: the answer does not hang on who
    /// spoke to whom of late.
    pub fresh: bool,
    /// The interface that it is to leave by (`IP_PKTINFO`), as an IPv6 destination of one link needs.
    pub link: Option<IfIndex>,
}

/// What becomes of a packet and of its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prediction {
    /// The outcome.
    pub verdict: Verdict,
    /// What stops it; none if it is delivered.
    pub cause: Option<Cause>,
    /// The packet as it leaves the program, with the source that was chosen.
    pub packet: Packet,
    /// The ports of the destinations that NAT sends it on to, in this order: an answer comes from one of these until it is changed back.
    #[serde(skip)]
    pub ports: Vec<u16>,
    /// Its way.
    pub hops: Vec<Hop>,
    /// Other ways that it may take, all to the same verdict: which one is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Vec<Hop>>,
    /// The way of the answer: none if there is none, as the packet does not arrive or nobody answers such.
    pub answer: Option<Vec<Hop>>,
    /// The way of the ICMP error or reset that tells the sender why; none if there is none.
    pub error: Option<Vec<Hop>>,
    /// What the sender hears if it is told.
    pub told: Option<Told>,
    /// What was taken for granted, sentences.
    pub assumptions: Vec<String>,
}

/// The outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It arrives, and where it is answered, the answer comes back.
    Delivered,
    /// It does not arrive, or its answer does not come back, and nobody says so to the sender over the network. That nobody
    /// answers for the next hop is no word of anybody's, though the host that asked tells it to the sender in the end.
    Dropped,
    /// It is refused, and the sender hears of it: by an ICMP error or a TCP reset that gets to it.
    Rejected,
    /// What it hangs on is not known.
    Unknown,
}

/// The object that stops a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Which kind of cause.
    pub code: Code,
    /// The place of the namespace in the snapshot.
    pub namespace: usize,
    /// The interface, if it is at one.
    pub link: Option<IfIndex>,
    /// The object, in words: `eth0`, `net.ipv4.ip_forward`, `inet filter input handle 4`.
    pub object: String,
    /// Why, a sentence.
    pub text: String,
    /// What else is known of it.
    pub evidence: Evidence,
    /// The packet as it was where it stopped: the answer, or the ICMP error, if that is what is stopped.
    pub packet: Option<Packet>,
    /// Where the answer is dropped ([`Code::ReturnDropped`]) or the ICMP error ([`Code::PmtuBlackhole`]): why it is.
    pub inner: Option<Code>,
}

/// By what a cause can be mended, or understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The object says it all.
    None,
    /// A route of the namespace, by its place in the state's list.
    Route(usize),
    /// A policy rule of the namespace, by its place in the state's list.
    PolicyRule(usize),
    /// No route to this address.
    NoRoute(IpAddr),
    /// A rule or policy of the namespace's nftables.
    Firewall(Step),
    /// A sysctl of the namespace, by its key.
    Sysctl(String),
    /// A next hop for which nobody answers at the interface.
    Neighbour {
        /// The address that is asked for.
        target: IpAddr,
        /// Who has it, elsewhere or in the way of the question.
        owners: Vec<Port>,
    },
    /// A bridge's port.
    BridgePort(Port),
    /// Sizes, in bytes.
    Mtu {
        /// The packet's.
        size: u32,
        /// What may pass.
        mtu: u32,
    },
    /// Addresses that something listens on instead.
    Listeners(Vec<IpAddr>),
    /// What is not known; all of it matters.
    Doubts(Vec<Doubt>),
}

/// A step on the way of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// The place of the namespace in the snapshot.
    pub namespace: usize,
    /// The interface, if it is at one.
    pub link: Option<IfIndex>,
    /// What is done.
    pub action: Action,
    /// By what, in words: `eth0`, `rule table 100`, `inet filter forward`.
    pub object: String,
    /// Why, or how it changes: `10.0.0.0/24 via 10.0.1.1`, `10.0.0.2 → 192.0.2.1`.
    pub detail: String,
}

/// What is done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A program or the kernel makes it.
    Make,
    /// A route is chosen.
    Route,
    /// The rules of nftables let it pass a hook.
    Filter,
    /// The rules of nftables change it.
    Change,
    /// Somebody answers for the next hop.
    Resolve,
    /// An interface sends it. At a link of a namespace.
    Send,
    /// An interface gets it. At a link of a namespace.
    Receive,
    /// A bridge passes it on.
    Bridge,
    /// It is cut into fragments.
    Fragment,
    /// A tunnel wraps it up.
    Encapsulate,
    /// A tunnel unwraps it.
    Decapsulate,
    /// It is delivered.
    Deliver,
    /// It ends here.
    Stop,
}

/// What the sender of a packet hears that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Told {
    /// From whom.
    pub from: IpAddr,
    /// What.
    #[serde(flatten)]
    pub what: Error,
}

/// A refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum Error {
    /// An ICMP or `ICMPv6` error.
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// The MTU that it names, in bytes, if it names one.
        mtu: Option<u32>,
    },
    /// A TCP reset.
    Reset,
}

impl Prediction {
    /// By which interfaces the packet itself goes, in this order: each with whether it is sent there (or received).
    pub fn sightings(&self) -> impl Iterator<Item = (Port, bool)> + '_ {
        sightings(&self.hops)
    }

    /// The same for each of the ways that it may take, the one that is told of first.
    pub fn ways(&self) -> impl Iterator<Item = Vec<(Port, bool)>> + '_ {
        std::iter::once(&self.hops).chain(&self.others).map(|hops| sightings(hops).collect())
    }
}

/// The interfaces of a way.
pub(crate) fn sightings(hops: &[Hop]) -> impl Iterator<Item = (Port, bool)> + '_ {
    hops.iter().filter_map(|hop| {
        let at = Port { namespace: hop.namespace, link: hop.link? };
        match hop.action {
            Action::Send => Some((at, true)),
            Action::Receive => Some((at, false)),
            _ => None,
        }
    })
}
