//! Frames in VXLAN tunnels (RFC 7348; `drivers/net/vxlan/vxlan_core.c`).
//!
//! Here a tunnel is a cable between those of its ends that are in the snapshot. Whether the network below carries its packets
//! is for whoever follows those.

use std::net::IpAddr;

use nslab_kernel::link::LinkKind;
use nslab_snapshot::{Snapshot, State, Where};
use nslab_types::MacAddr;

use super::{Left, Outcome, Passage, Port, Walk};

/// The kernel's own default of the UDP port (`vxlan_port`).
const DEFAULT_PORT: u16 = 8472;
/// Stands for all destinations of which no more is known (`all_zeros_mac`).
const ANY: MacAddr = MacAddr([0; 6]);

/// An end of a VXLAN tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vtep {
    /// The interface.
    pub at: Port,
    /// The place of the namespace whose network carries the tunnel.
    pub below: usize,
    /// The network identifier.
    pub vni: u32,
    /// The UDP port.
    pub port: u16,
    /// The address that its packets are from, if that is fixed.
    pub local: Option<IpAddr>,
    /// Where frames go of which no more is known: another end, or a group.
    pub remote: Option<IpAddr>,
    /// The TTL of its packets; 0 is the namespace's own default.
    pub ttl: u8,
}

impl Vtep {
    /// All that a snapshot has.
    pub(super) fn all(snapshot: &Snapshot) -> Vec<Self> {
        let mut all = Vec::new();
        for (namespace, seen) in snapshot.namespaces.iter().enumerate() {
            let Some(state) = seen.state() else { continue };
            for link in &state.network.links {
                let Some(LinkKind::Vxlan(vxlan)) = &link.kind else { continue };
                let below = match state.peer(link.index).map(|peer| peer.namespace) {
                    Some(Where::Namespace(below)) => below,
                    Some(Where::Unseen) => continue,
                    None => namespace,
                };
                all.push(Self {
                    at: Port { namespace, link: link.index },
                    below,
                    vni: vxlan.vni,
                    port: vxlan.port.unwrap_or(DEFAULT_PORT),
                    local: vxlan.local,
                    remote: vxlan.remote,
                    ttl: vxlan.ttl.unwrap_or(0),
                });
            }
        }
        all
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
            let same = other.at != self.at && other.vni == self.vni && other.port == self.port;
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
    pub(super) fn through_vxlan(&mut self, at: Port, state: &State, passage: &Passage) {
        let vteps = self.wiring.vteps();
        let Some(own) = vteps.iter().find(|vtep| vtep.at == at) else {
            return self.end(at, Outcome::Left(Left::Tunnel), passage);
        };
        for remote in own.remotes(state, passage.frame.destination) {
            let far: Vec<Port> = own.far(self.snapshot, vteps, remote).map(|far| far.at).collect();
            if far.is_empty() {
                self.end(at, Outcome::Left(Left::Tunnel), passage);
            }
            for there in far {
                self.receive(there, passage);
            }
        }
    }
}
