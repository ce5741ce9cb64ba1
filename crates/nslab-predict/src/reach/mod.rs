//! Who reaches whom: all pairs of hosts, by classes of hosts that are alike.

mod classes;
mod constants;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nslab_snapshot::State;
use serde::Serialize;

use crate::walk::{Network, predict};
use crate::{Cause, Ip, Packet, Question, Tcp, Transport, Verdict};

/// The port that connections are taken to be made from.
const SOURCE_PORT: u16 = 40000;
/// The identifier of echo requests.
const ECHO_ID: u16 = 4711;

/// Something that a host may offer to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// It answers echo requests.
    Echo,
    /// A TCP port.
    Tcp(u16),
    /// A UDP port.
    Udp(u16),
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo => f.write_str("icmp"),
            Self::Tcp(port) => write!(f, "tcp/{port}"),
            Self::Udp(port) => write!(f, "udp/{port}"),
        }
    }
}

impl FromStr for Service {
    type Err = String;

    /// `icmp`, `tcp/80`, `80/tcp`, `udp/53`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no service: write icmp, tcp/PORT or udp/PORT");
        if text == "icmp" {
            return Ok(Self::Echo);
        }
        let (one, other) = text.split_once('/').ok_or_else(wrong)?;
        let (protocol, port) = if one.parse::<u16>().is_ok() { (other, one) } else { (one, other) };
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        match protocol {
            "tcp" => Ok(Self::Tcp(port)),
            "udp" => Ok(Self::Udp(port)),
            _ => Err(wrong()),
        }
    }
}

impl Serialize for Service {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv4 where both have it, else IPv6.
    #[default]
    Any,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Ipv4 => address.is_ipv4(),
            Self::Ipv6 => address.is_ipv6(),
        }
    }
}

/// What becomes of packets from one host to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The address that was asked for; none if the host has none of the family.
    pub address: Option<IpAddr>,
    /// The outcome.
    pub verdict: Verdict,
    /// What stops them.
    pub cause: Option<Cause>,
}

/// Who reaches whom.
#[derive(Debug, Clone)]
pub struct Reach {
    hosts: Vec<usize>,
    services: Vec<Service>,
    class: Vec<usize>,
    /// By classes of sender and receiver, and service.
    cells: HashMap<(usize, usize, usize), Cell>,
}

/// All pairs of `hosts` (places of namespaces in the snapshot), for each service.
pub fn reach(network: &Network<'_>, hosts: &[usize], services: &[Service], family: Family) -> Reach {
    let class = classes::of(network.snapshot, hosts);
    // Of each class the first two: one to ask about others, and one to be asked about by its like.
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (&host, &class) in hosts.iter().zip(&class) {
        if members.len() <= class {
            members.resize(class + 1, Vec::new());
        }
        if members[class].len() < 2 {
            members[class].push(host);
        }
    }
    let mut asked: Vec<(usize, usize, usize)> = Vec::new();
    for from in 0..members.len() {
        for to in (0..members.len()).filter(|&to| to != from || members[from].len() > 1) {
            asked.extend((0..services.len()).map(|service| (from, to, service)));
        }
    }
    let cells = Mutex::new(HashMap::with_capacity(asked.len()));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut own = Vec::new();
        while let Some(&(from, to, service)) = asked.get(next.fetch_add(1, Ordering::Relaxed)) {
            let sender = members[from][0];
            let receiver = if from == to { members[to][1] } else { members[to][0] };
            own.push(((from, to, service), ask(network, sender, receiver, services[service], family)));
        }
        match cells.lock() {
            Ok(mut cells) => cells.extend(own),
            Err(poisoned) => poisoned.into_inner().extend(own),
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(asked.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let cells = cells.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Reach { hosts: hosts.to_vec(), services: services.to_vec(), class, cells }
}

impl Reach {
    /// The hosts, as places of their namespaces in the snapshot.
    pub fn hosts(&self) -> &[usize] {
        &self.hosts
    }

    /// The services.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// How many classes of hosts there are.
    pub fn class_count(&self) -> usize {
        self.class.iter().max().map_or(0, |most| most + 1)
    }

    /// The number of a host's class, by the host's place in [`Reach::hosts`]. Hosts of one class reach the same, and are
    /// reached by the same.
    pub fn class(&self, host: usize) -> Option<usize> {
        self.class.get(host).copied()
    }

    /// What becomes of packets between classes: the classes of sender and receiver, and the place of the service.
    pub fn cells(&self) -> impl Iterator<Item = ((usize, usize, usize), &Cell)> {
        let mut cells: Vec<_> = self.cells.iter().map(|(key, cell)| (*key, cell)).collect();
        cells.sort_by_key(|(key, _)| *key);
        cells.into_iter()
    }

    /// What becomes of packets from one host to another, by their places in [`Reach::hosts`] and that of the service; none of
    /// a host to itself.
    ///
    /// Where the pair is one of several that are alike, the interfaces and addresses that the cause names are those of one of
    /// these pairs.
    pub fn cell(&self, from: usize, to: usize, service: usize) -> Option<&Cell> {
        if from == to {
            return None;
        }
        self.cells.get(&(self.class(from)?, self.class(to)?, service))
    }
}

/// What becomes of a packet from one namespace to another.
pub fn ask(network: &Network<'_>, from: usize, to: usize, service: Service, family: Family) -> Cell {
    let state = |place: usize| network.snapshot.namespaces.get(place)?.state();
    match state(to).and_then(|there| address(state(from), there, family)) {
        Some(address) => ask_address(network, from, address, service),
        None => Cell { address: None, verdict: Verdict::Unknown, cause: None },
    }
}

/// What becomes of a packet from a namespace to an address.
pub fn ask_address(network: &Network<'_>, from: usize, address: IpAddr, service: Service) -> Cell {
    let prediction = predict(network, &question(network, from, address, service));
    Cell { address: Some(address), verdict: prediction.verdict, cause: prediction.cause }
}

/// What is asked of a packet from a namespace to an address.
pub fn question(network: &Network<'_>, from: usize, address: IpAddr, service: Service) -> Question {
    let state = network.snapshot.namespaces.get(from).and_then(|space| space.state());
    let packet = packet(state, address, service);
    // Hosts that are alike may have spoken with different others.
    Question { namespace: from, packet, established: false, fresh: true, link: None }
}

/// The address by which a host is best asked for by another: one of a subnet that both are on, else its first; IPv4 before
/// IPv6. None if it has none but those of loopback and of single links.
pub fn address(from: Option<&State>, to: &State, family: Family) -> Option<IpAddr> {
    let is_usable = |address: IpAddr| match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    };
    let mut all: Vec<IpAddr> = to
        .network
        .addresses
        .iter()
        .filter(|own| !own.tentative && !own.duplicate)
        .map(|own| own.address.addr())
        .filter(|&address| is_usable(address) && family.has(address))
        .collect();
    let is_near = |address: IpAddr| {
        from.is_some_and(|from| from.network.addresses.iter().any(|own| own.address.contains(&address)))
    };
    // Of a family that the sender has nothing of, nothing can be sent.
    let speaks = |address: IpAddr| {
        from.is_none_or(|from| {
            let mut own = from.network.addresses.iter().map(|own| own.address.addr());
            own.any(|own| own.is_ipv6() == address.is_ipv6() && is_usable(own))
        })
    };
    all.sort_by_key(|&address| (!speaks(address), address.is_ipv6(), !is_near(address)));
    all.first().copied()
}

fn packet(from: Option<&State>, destination: IpAddr, service: Service) -> Packet {
    let ipv6 = destination.is_ipv6();
    let source: IpAddr =
        if ipv6 { std::net::Ipv6Addr::UNSPECIFIED.into() } else { std::net::Ipv4Addr::UNSPECIFIED.into() };
    let transport = match service {
        Service::Echo => Transport::Icmp { kind: if ipv6 { 128 } else { 8 }, code: 0, id: ECHO_ID },
        Service::Tcp(port) => Transport::Tcp(Tcp { source: SOURCE_PORT, destination: port, flags: Tcp::SYN }),
        Service::Udp(port) => Transport::Udp { source: SOURCE_PORT, destination: port },
    };
    let ttl = from.map_or(64, |state| if ipv6 { 64 } else { state.settings.ttl });
    let ip = Ip { source, destination, ttl, tos: 0, dont_fragment: false, size: if ipv6 { 104 } else { 84 } };
    Packet { ip, transport, mark: 0 }
}
