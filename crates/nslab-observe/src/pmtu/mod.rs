//! Path MTU, measured: packets of chosen sizes that nobody may cut in pieces, sent from inside a namespace, and what becomes of
//! each on its way (RFC 1191, RFC 8201; RFC 4821 for how it is looked for).
//!
//! [`Prober`] sends a few sizes side by side and watches, with packet sockets in every namespace that it is given, where they
//! pass, who says that they are too big, and whether that word gets back. [`search`] asks it for sizes until it is known
//! which is the largest that gets through.

mod probe;
mod read;
mod search;
mod watch;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use nslab_kernel::link::IfIndex;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::route::{Lookup, PathMtu};

pub use search::{Measured, search};

use crate::Result;
use crate::capture::{Capture, Options, Source};
use crate::ping::SendError;
use probe::{Discover, Sender};
use watch::Watcher;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Echo requests of ICMP or `ICMPv6`.
    Echo,
    /// Datagrams to a port. That nobody listens there is an answer as well.
    Udp(u16),
    /// Segments with SYN and data to a port: whoever has it answers with SYN or RST, and makes nothing of the data
    /// (`tcp_conn_request`, `net/ipv4/tcp_input.c`, without a cookie of Fast Open).
    Tcp(u16),
}

/// To whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The address.
    pub destination: IpAddr,
    /// The address to send from; none if the kernel is to choose.
    pub source: Option<IpAddr>,
    /// The interface that an address of one link is behind; else 0.
    pub scope: IfIndex,
    /// What is sent there.
    pub kind: Kind,
}

impl Target {
    /// The least size of a probe in bytes, IP header and all: what every link of IPv4 takes (RFC 791), and of IPv6 room for what tells
    /// probes apart.
    pub fn least(&self) -> u32 {
        if self.destination.is_ipv6() { 88 } else { 68 }
    }

    /// The largest size, which is what the IP header can say, in bytes.
    pub fn most(&self) -> u32 {
        if self.destination.is_ipv6() { 65_575 } else { 65_535 }
    }

    /// Bytes of the IP header and of what comes before a probe's payload.
    fn headers(&self) -> u32 {
        let ip = if self.destination.is_ipv6() { 40 } else { 20 };
        ip + if matches!(self.kind, Kind::Tcp(_)) { 20 } else { 8 }
    }
}

/// What became of packets of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes, IP header and all.
    pub size: u32,
    /// The outcome.
    pub fate: Fate,
    /// It got through.
    pub passes: bool,
    /// How often it was sent.
    pub sent: u32,
    /// Where it, what is said of it, and its answer were seen, in the order of time.
    pub seen: Vec<Seen>,
}

/// What became of a packet, as its sender sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing was heard of it.
    Silent,
    /// It came to the destination's namespace, and no answer came back.
    Arrived,
    /// An answer came, after this time.
    Answered(Duration),
    /// The word came that it is too big.
    TooBig {
        /// Whose.
        from: IpAddr,
        /// What would get through, in bytes; 0 of routers before RFC 1191.
        mtu: u32,
    },
    /// Another ICMP error came.
    Refused {
        /// Whose.
        from: IpAddr,
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
    },
    /// The sender's own kernel did not send it.
    NotSent(SendError),
}

/// Something that was seen at an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The namespace, by its place among those that are watched.
    pub place: usize,
    /// The interface's number.
    pub link: IfIndex,
    /// The interface's name.
    pub interface: String,
    /// It goes out there, rather than comes in.
    pub outgoing: bool,
    /// What.
    pub what: What,
    /// When, in nanoseconds since 1970.
    pub time: u64,
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A probe.
    Probe {
        /// It was cut in pieces all the same, of which this is the first.
        in_pieces: bool,
    },
    /// Its answer.
    Answer,
    /// The word that it is too big.
    TooBig {
        /// Whose.
        from: IpAddr,
        /// What would get through.
        mtu: u32,
    },
    /// Another ICMP error about it.
    Refusal {
        /// Whose.
        from: IpAddr,
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
    },
}

/// What the sender's kernel does with a packet of a program that obeys path MTU discovery (`IP_PMTUDISC_DO`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It refuses to send it: it knows that it is too big.
    Refuses,
    /// It sends it.
    Sends,
    /// It refuses it for another reason.
    Fails(SendError),
}

/// Where to watch, and how.
#[derive(Debug)]
pub struct Plan {
    /// The namespaces to watch, in any order.
    pub places: Vec<Source>,
    /// The sender's place among them.
    pub source: usize,
    /// The place of the namespace that the destination is in, if it is among them.
    pub destination: Option<usize>,
    /// To whom.
    pub target: Target,
    /// The packets to look at, as a program that the kernel runs; all if it is empty.
    pub filter: Vec<nslab_kernel::packet::Instruction>,
    /// So long an answer is waited for as long as nobody has answered; later it follows from how long answers take.
    pub patience: Duration,
}

/// Silence counts when a packet was lost so often.
const TRIES: u32 = 2;
/// Memory of each ring, in bytes.
const RING: u64 = 1 << 20;
/// Headers of a tunnel, of a packet and of what it quotes, and what tells probes apart.
const LENGTH: u32 = 384;
/// An answer may take so much longer than the first one did before it counts as lost.
const SLOWER: u32 = 6;
/// The same at least, with what the watching itself takes.
const SLACK: Duration = Duration::from_millis(100);
/// The most that is waited for at once.
const GLANCE: Duration = Duration::from_millis(5);

/// Sends packets of chosen sizes and sees what becomes of them.
#[derive(Debug)]
pub struct Prober {
    namespace: Namespace,
    target: Target,
    sender: Sender,
    capture: Capture,
    watcher: Watcher,
    patience: Duration,
}

impl Prober {
    /// Begins to watch; nothing is sent yet. Takes `CAP_NET_RAW` in all of the namespaces.
    pub fn open(plan: Plan) -> Result<Self> {
        let Plan { places, source, destination, target, filter, patience } = plan;
        let namespace = places[source].namespace.duplicate()?;
        let options =
            Options { filter, length: LENGTH, memory: Some(RING), at_once: true, ..Options::default() };
        let sender = namespace.run(|| Sender::open(target, Discover::Probe))??;
        let mut capture = Capture::open(places, options)?;
        capture.start()?;
        let watcher = Watcher::new(target, source, destination, sender.nonce());
        Ok(Self { namespace, target, sender, capture, watcher, patience })
    }

    /// What is asked.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Sends a packet of each of the sizes, waits for what comes of it, and sends those once more of which nothing was heard.
    pub fn round(&mut self, sizes: &[u32]) -> Result<Vec<Outcome>> {
        for _ in 0..TRIES {
            let open: Vec<u32> =
                sizes.iter().copied().filter(|&size| !self.watcher.is_settled(size)).collect();
            if open.is_empty() {
                break;
            }
            for size in open {
                let sent = self.namespace.run(|| self.sender.send(size))?;
                self.watcher.sent(size, sent);
            }
            let begun = Instant::now();
            while !sizes.iter().all(|&size| self.watcher.is_settled(size)) && begun.elapsed() < self.wait() {
                self.turn(GLANCE)?;
            }
        }
        Ok(sizes.iter().map(|&size| self.watcher.outcome(size)).collect())
    }

    /// Ends watching, and tells of all sizes that were sent, smallest first.
    pub fn finish(mut self) -> Result<Vec<Outcome>> {
        let watcher = &mut self.watcher;
        self.capture.finish(&mut |sighting| watcher.take(sighting))?;
        Ok(self.watcher.outcomes())
    }

    /// What the sender's kernel takes the way to carry, beside the MTU of its interface.
    pub fn known(&self) -> Result<PathMtu> {
        known(&self.namespace, &self.target)
    }

    /// What the sender's kernel does now with a packet of this size whose program obeys what it is told.
    pub fn next(&mut self, size: u32) -> Result<Next> {
        let (target, nonce) = (self.target, self.sender.nonce());
        let sent = self.namespace.run(|| {
            let mut sender = Sender::open(target, Discover::Obey)?;
            Ok::<_, crate::Error>(sender.with_nonce(nonce).send(size))
        })??;
        Ok(match sent {
            Ok(_) => Next::Sends,
            Err(SendError::TooBig { .. }) => Next::Refuses,
            Err(error) => Next::Fails(error),
        })
    }

    fn turn(&mut self, most: Duration) -> Result<()> {
        let watcher = &mut self.watcher;
        self.capture.turn(most, &mut |sighting| watcher.take(sighting))?;
        Ok(())
    }

    /// So long after it was sent the silence about a packet counts.
    fn wait(&self) -> Duration {
        match self.watcher.slowest() {
            Some(time) => (time * SLOWER + SLACK).min(self.patience.max(SLACK)),
            None => self.patience,
        }
    }
}

/// What a namespace takes the way to a target to carry, beside the MTU of its interface. The error of a way that there is not is
/// the kernel's.
pub fn known(namespace: &Namespace, target: &Target) -> Result<PathMtu> {
    let (protocol, port) = match target.kind {
        Kind::Echo if target.destination.is_ipv6() => (58, 0),
        Kind::Echo => (1, 0),
        Kind::Udp(port) => (17, port),
        Kind::Tcp(port) => (6, port),
    };
    let lookup = Lookup {
        from: target.source,
        oif: (target.scope != 0).then_some(target.scope),
        protocol,
        ports: (0, port),
        ..Lookup::new(target.destination)
    };
    let mut socket = namespace.run(|| Socket::open(Protocol::Route))??;
    Ok(lookup.path_mtu(&mut socket)?)
}
