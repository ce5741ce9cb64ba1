//! One packet watched through many namespaces.
//!
//! [`run`] sends a probe that nothing else looks like, and tells what is seen of it, of its answer and of errors about it:
//! at which interfaces it passes, in which order and when (packet sockets), which rules of nftables it meets and to what
//! end (nft trace), who is asked for and who answers (ARP, neighbour discovery), and what its sender hears. NAT, fragments
//! and tunnels do not hide it: it is known by a number in what it carries.
//!
//! Nothing of what becomes of packets is changed. The tables that have them traced belong to sockets of this process, and go
//! with it, however it ends.
//!
//! ```no_run
//! use nslab_observe::trace::{Kind, Options, Place, Probe, run};
//!
//! # fn main() -> nslab_observe::Result<()> {
//! let here = Place::new("host", nslab_kernel::Namespace::current()?, Default::default());
//! let probe = Probe::new(0, "127.0.0.1".parse().unwrap(), Kind::Echo { id: 7 });
//! let trace = run(&[here], &probe, &Options::default(), &mut ())?;
//! for event in &trace.events {
//!     println!("{event:?}");
//! }
//! # Ok(()) }
//! ```

mod connection;
mod count;
mod ending;
#[cfg(test)]
mod examples;
mod hear;
pub mod listen;
mod probe;
mod recognise;
mod rules;
mod run;
mod send;
mod timeline;

use std::net::IpAddr;
use std::time::Duration;

use nslab_decode::{Flow, Fragment};
use nslab_kernel::link::IfIndex;
use nslab_kernel::nftables::{Family, Hook};
use nslab_kernel::nftables::{Ruleset, TableId, trace::TraceStep};
use nslab_kernel::{Namespace, NamespaceId};
use nslab_types::MacAddr;
use rustix::io::Errno;

pub use connection::{Connection, ConnectionEnd, Passage, Segment};
pub use count::Grown;
pub use probe::{Kind, NONCE, Probe};
pub use run::{run, run_then};

/// A namespace in which the packet may be seen.
#[derive(Debug)]
pub struct Place {
    /// What it is called.
    pub name: String,
    /// The namespace.
    pub namespace: Namespace,
    /// Its rules: by them chains are known that packets meet.
    pub ruleset: Ruleset,
    /// It has bridges, whose rules see packets, too.
    pub has_bridges: bool,
    /// The interfaces at which it is looked, by their names; all if there is none here.
    pub interfaces: Vec<String>,
}

impl Place {
    /// One without bridges.
    pub fn new(name: impl Into<String>, namespace: Namespace, ruleset: Ruleset) -> Self {
        Self { name: name.into(), namespace, ruleset, has_bridges: false, interfaces: Vec::new() }
    }
}

/// How to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// At most so long something is waited for.
    pub limit: Duration,
    /// After so long without anything new, nothing more is expected, unless somebody is being asked for.
    pub quiet: Duration,
    /// UDP ports of VXLAN tunnels that may carry it.
    pub vxlan: Vec<u16>,
    /// Protocols of IP of other tunnels that may carry it: 4, 41, 47.
    pub tunnels: Vec<u8>,
    /// UDP ports that its answer may come from, as NAT changes the port that it goes to.
    pub ports: Vec<u16>,
    /// Rules are traced as well. It takes `CAP_NET_ADMIN` in the namespaces.
    pub rules: bool,
    /// Of these places is read what the kernel counts, before the probe is sent and, unless it is answered, after that.
    pub counters: Vec<usize>,
    /// A TCP connection that is made is closed, and what comes of it watched, rather than reset.
    pub connect: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limit: Duration::from_secs(1),
            quiet: Duration::from_secs(1),
            vxlan: Vec::new(),
            tunnels: Vec::new(),
            ports: Vec::new(),
            rules: true,
            counters: Vec::new(),
            connect: false,
        }
    }
}

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// In their order.
    pub events: Vec<Event>,
    /// Why the kernel refused to send it at all.
    pub refused: Option<Errno>,
    /// What its sender heard, in this order.
    pub heard: Vec<Heard>,
    /// Why rules could not be traced, by place.
    pub untraced: Vec<(usize, String)>,
    /// What the kernel counted meanwhile, where that was asked for, if no answer was heard.
    pub counters: Vec<Grown>,
    /// What became of the TCP connection, if it was made and is not to be reset.
    pub connection: Option<Connection>,
    /// Packets that packet sockets lost because there was no room for them.
    pub lost: u64,
    /// The kernel told of more rules than there was room for.
    pub missed: bool,
    /// From sending until nothing more was expected.
    pub took: Duration,
}

/// What the probe's sender heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// An answer: an echo reply, a datagram, that a connection was made.
    Answer {
        /// From whom.
        from: IpAddr,
    },
    /// An ICMP error about the probe.
    Error {
        /// From whom.
        from: IpAddr,
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// The MTU that it names.
        mtu: Option<u32>,
    },
    /// A TCP reset.
    Reset {
        /// From whom.
        from: IpAddr,
    },
}

/// What a packet is to the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The probe itself.
    Request,
    /// What answers it.
    Answer,
    /// An ICMP error or reset about one of these.
    Error,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where, by the places' order.
    pub place: usize,
    /// Since the probe was sent; none of what has no time of its own and stands where it must have happened.
    pub at: Option<Duration>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A packet passed an interface.
    Seen(Seen),
    /// It passed a hook of netfilter, or did not.
    Hook(Visit),
    /// A neighbour was asked for, or said that it is there.
    Neighbour(Neighbour),
    /// The kernel threw a packet away.
    Dropped {
        /// What it is.
        role: Role,
        /// The kernel's word for why, as `NETFILTER_DROP`.
        reason: String,
        /// The function in which.
        location: Option<String>,
    },
}

/// A packet at an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it is.
    pub role: Role,
    /// The interface.
    pub link: IfIndex,
    /// Its name.
    pub name: String,
    /// It goes out there, rather than in.
    pub sent: bool,
    /// It is for another host's MAC: a copy of what a switch floods.
    pub for_others: bool,
    /// It is inside a tunnel's packet.
    pub in_tunnel: bool,
    /// Between whom.
    pub flow: Flow,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Which piece of it this is.
    pub fragment: Option<Fragment>,
    /// The frame.
    pub frame: Captured,
}

/// A frame as a packet socket gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// How long it was, in bytes.
    pub length: u32,
    /// What there is of it.
    pub bytes: Vec<u8>,
    /// See [`nslab_kernel::packet::Frame`].
    pub network: usize,
    /// See [`nslab_kernel::packet::Frame`].
    pub kind: nslab_kernel::packet::PacketKind,
    /// See [`nslab_kernel::packet::Frame`].
    pub hardware: u16,
    /// See [`nslab_kernel::packet::Frame`].
    pub protocol: u16,
    /// See [`nslab_kernel::packet::Frame`].
    pub vlan: Option<nslab_kernel::packet::Vlan>,
    /// See [`nslab_kernel::packet::Frame`].
    pub checksum_pending: bool,
}

/// A packet at a hook of netfilter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// What it is.
    pub role: Role,
    /// Whose hook: [`Family::Inet`] or [`Family::Bridge`].
    pub family: Family,
    /// Which; none if it stopped in a chain that nobody knows.
    pub hook: Option<Hook>,
    /// The interface that it came in by.
    pub input: Option<IfIndex>,
    /// The interface that it is to leave by.
    pub output: Option<IfIndex>,
    /// Between whom, before the hook.
    pub flow: Flow,
    /// What was met, in this order.
    pub steps: Vec<Met>,
    /// How it ended.
    pub end: VisitEnd,
}

/// How a hook was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisitEnd {
    /// The packet passed it.
    Passed,
    /// The last step dropped it.
    Dropped,
    /// Something else became of it, or nothing more was told.
    Unknown,
}

/// A rule or policy that was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// The table.
    pub table: TableId,
    /// The chain.
    pub chain: String,
    /// What happened there.
    pub step: TraceStep,
}

/// ARP or neighbour discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// The interface.
    pub link: IfIndex,
    /// It is sent there.
    pub sent: bool,
    /// Whom it is about.
    pub target: IpAddr,
    /// The target's MAC if it answers; none if it is asked for.
    pub mac: Option<MacAddr>,
}

/// What else tells of packets that are thrown away, if anything does: the kernel's tracepoints.
pub trait DropSource {
    /// Called before the probe is sent, once all else is ready: from here on it sees.
    fn begin(&mut self) {}

    /// Gives what happened since it was last asked.
    fn drain(&mut self, each: &mut dyn FnMut(Dropped<'_>));

    /// The function that an address of the kernel's code is in.
    fn function(&mut self, address: u64) -> Option<String> {
        let _ = address;
        None
    }
}

/// Nothing tells of them.
impl DropSource for () {
    fn drain(&mut self, _: &mut dyn FnMut(Dropped<'_>)) {}
}

/// A packet that was thrown away.
#[derive(Debug, Clone, Copy)]
pub struct Dropped<'a> {
    /// In which namespace.
    pub namespace: NamespaceId,
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// Its bytes from the IP header on, or the beginning of them.
    pub packet: &'a [u8],
    /// The kernel's word for why.
    pub reason: &'a str,
    /// Where in the kernel's code.
    pub location: Option<u64>,
}

impl Event {
    /// What the packet is that it is about; none of neighbours.
    pub fn role(&self) -> Option<Role> {
        match &self.what {
            What::Seen(Seen { role, .. }) | What::Hook(Visit { role, .. }) | What::Dropped { role, .. } => {
                Some(*role)
            }
            What::Neighbour(_) => None,
        }
    }
}
