//! Frames and packets in tunnels: VXLAN (RFC 7348; `drivers/net/vxlan/vxlan_core.c`), GRE, IPIP and SIT between two fixed
//! addresses (`net/ipv4/ip_tunnel.c`).
//!
//! Here a tunnel is a cable between those of its ends that are in the snapshot. Whether the network below carries its packets
//! is for whoever follows those.

use std::net::IpAddr;

use nslab_kernel::link::{Encapsulation, Link, LinkKind};
use nslab_snapshot::{Snapshot, State, Where};
use nslab_types::MacAddr;

use super::islands::islands;
use super::{Left, Outcome, Passage, Port, Walk};
use crate::{Packet, Transport};

/// The kernel's own default of the UDP port (`vxlan_port`).
const DEFAULT_PORT: u16 = 8472;
/// Stands for all destinations of which no more is known (`all_zeros_mac`).
const ANY: MacAddr = MacAddr([0; 6]);

/// How a tunnel carries things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Frames in UDP.
    Vxlan {
        /// The network identifier.
        vni: u32,
        /// The UDP port.
        port: u16,
    },
    /// Frames or packets in IP.
    Ip {
        /// How.
        encapsulation: Encapsulation,
        /// The key that both ends carry, for GRE.
        key: Option<u32>,
    },
}

impl Carrier {
    /// The number of the IP protocol in which it is carried, if it has one of its own: GRE, IPv4 and IPv6 in IP.
    fn protocol(self) -> Option<u8> {
        match self {
            Self::Vxlan { .. } => None,
            Self::Ip { encapsulation: Encapsulation::Ipip, .. } => Some(4),
            Self::Ip { encapsulation: Encapsulation::Sit, .. } => Some(41),
            Self::Ip { .. } => Some(47),
        }
    }

    /// Whether it carries packets of a version of IP.
    pub fn carries(self, ipv6: bool) -> bool {
        match self {
            Self::Ip { encapsulation: Encapsulation::Ipip, .. } => !ipv6,
            Self::Ip { encapsulation: Encapsulation::Sit, .. } => ipv6,
            _ => true,
        }
    }

    /// What a packet of it is to IP.
    pub fn transport(self, source: u16) -> Transport {
        match (self, self.protocol()) {
            (Self::Vxlan { port, .. }, _) => Transport::Udp { source, destination: port },
            (_, protocol) => Transport::Other(protocol.unwrap_or(0)),
        }
    }

    /// So many bytes are put before what is carried, without the outer IP header: Ethernet's header of frames, and those of
    /// VXLAN and UDP (RFC 7348, section 5) or GRE (RFC 2784, RFC 2890).
    pub fn growth(self) -> u32 {
        match self {
            Self::Vxlan { .. } => 14 + 8 + 8,
            Self::Ip { encapsulation, key } => {
                let gre = if key.is_some() { 8 } else { 4 };
                match encapsulation {
                    Encapsulation::Gretap | Encapsulation::Ip6gretap => 14 + gre,
                    Encapsulation::Gre | Encapsulation::Ip6gre => gre,
                    Encapsulation::Ipip | Encapsulation::Sit | Encapsulation::Ip6tnl => 0,
                }
            }
        }
    }
}

impl std::fmt::Display for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Vxlan { vni, .. } => write!(f, "VNI {vni}"),
            Self::Ip { encapsulation, key: None } => f.write_str(encapsulation.name()),
            Self::Ip { encapsulation, key: Some(key) } => write!(f, "{}, key {key}", encapsulation.name()),
        }
    }
}

/// An end of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelEnd {
    /// The interface.
    pub at: Port,
    /// The place of the namespace whose network carries the tunnel.
    pub below: usize,
    /// Ends on different islands are not of one tunnel: as where one network is there twice.
    pub island: usize,
    /// How it carries things.
    pub carrier: Carrier,
    /// The address that its packets are from, if that is fixed.
    pub local: Option<IpAddr>,
    /// Where frames go of which no more is known: another end, or a group.
    pub remote: Option<IpAddr>,
    /// The TTL of its packets; 0 is, for VXLAN, the namespace's own default, for others that of what is carried.
    pub ttl: u8,
}

impl TunnelEnd {
    /// All that a snapshot has.
    pub(super) fn all(snapshot: &Snapshot) -> Vec<Self> {
        let mut all = Vec::new();
        let islands = islands(snapshot);
        for (namespace, seen) in snapshot.namespaces.iter().enumerate() {
            let Some(state) = seen.state() else { continue };
            for link in &state.network.links {
                let below = match state.peer(link.index).map(|peer| peer.namespace) {
                    Some(Where::Namespace(below)) => below,
                    Some(Where::Unseen) => continue,
                    None => namespace,
                };
                let Some(&island) = islands.get(below) else { continue };
                all.extend(Self::of(link, Port { namespace, link: link.index }, below, island));
            }
        }
        all
    }

    fn of(link: &Link, at: Port, below: usize, island: usize) -> Option<Self> {
        match &link.kind {
            Some(LinkKind::Vxlan(vxlan)) => Some(Self {
                at,
                below,
                island,
                carrier: Carrier::Vxlan { vni: vxlan.vni, port: vxlan.port.unwrap_or(DEFAULT_PORT) },
                local: vxlan.local,
                remote: vxlan.remote,
                ttl: vxlan.ttl.unwrap_or(0),
            }),
            // Over IPv6, or without fixed ends, is for others to find out.
            Some(LinkKind::Tunnel(tunnel))
                if tunnel.local.is_some_and(|local| local.is_ipv4())
                    && tunnel.remote.is_some_and(|remote| remote.is_ipv4() && !remote.is_multicast()) =>
            {
                let carrier = Carrier::Ip { encapsulation: tunnel.encapsulation, key: tunnel.key };
                let ttl = tunnel.ttl.unwrap_or(0);
                Some(Self { at, below, island, carrier, local: tunnel.local, remote: tunnel.remote, ttl })
            }
            _ => None,
        }
    }

    /// Whether a packet that a namespace gets is for it.
    pub fn takes(&self, namespace: usize, packet: &Packet) -> bool {
        namespace == self.below
            && match (self.carrier, packet.transport) {
                (Carrier::Vxlan { port, .. }, Transport::Udp { destination, .. }) => destination == port,
                (carrier, Transport::Other(protocol)) => carrier.protocol() == Some(protocol),
                _ => false,
            }
    }

    /// To which addresses a frame is sent.
    pub fn remotes(&self, state: &State, to: MacAddr) -> Vec<IpAddr> {
        let entries = |mac: MacAddr| {
            let own =
                state.network.fdb.iter().filter(move |entry| entry.link == self.at.link && entry.mac == mac);
            own.filter_map(|entry| entry.remote)
        };
        let mut remotes: Vec<IpAddr> = entries(to).collect();
        if remotes.is_empty() {
            remotes.extend(entries(ANY));
            remotes.extend(self.remote);
        }
        remotes.sort();
        remotes.dedup();
        remotes
    }

    /// Whether another end is the one at an address.
    fn is_at(&self, snapshot: &Snapshot, remote: IpAddr) -> bool {
        let below = snapshot.namespaces.get(self.below).and_then(|below| below.state());
        let owns = || {
            below.is_some_and(|state| state.network.addresses.iter().any(|own| own.address.addr() == remote))
        };
        self.local.is_none_or(|local| local == remote) && owns()
    }

    /// The other ends that a frame may get to that is sent to an address.
    pub fn far<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        all: &'a [Self],
        remote: IpAddr,
    ) -> impl Iterator<Item = &'a Self> {
        all.iter().filter(move |other| {
            let same = other.at != self.at
                && other.carrier == self.carrier
                && other.island == self.island
                // Of the others each is for one sender (`ip_tunnel_lookup`).
                && (matches!(self.carrier, Carrier::Vxlan { .. }) || other.remote == self.local);
            let there = if remote.is_multicast() {
                other.remote == Some(remote)
            } else {
                other.is_at(snapshot, remote)
            };
            same && there
        })
    }
}

impl Walk<'_> {
    /// Into a tunnel, and out of its other ends.
    pub(super) fn through_tunnel(&mut self, at: Port, state: &State, passage: &Passage) {
        let tunnel_ends = self.wiring.tunnel_ends();
        let Some(own) = tunnel_ends.iter().find(|one| one.at == at) else {
            return self.end(at, Outcome::Left(Left::Tunnel), passage);
        };
        for remote in own.remotes(state, passage.frame.destination) {
            let far: Vec<Port> = own.far(self.snapshot, tunnel_ends, remote).map(|far| far.at).collect();
            if far.is_empty() {
                self.end(at, Outcome::Left(Left::Tunnel), passage);
            }
            for there in far {
                self.receive(there, passage);
            }
        }
    }
}
