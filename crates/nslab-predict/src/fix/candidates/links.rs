//! Interfaces: up, with carrier, large enough, with an address.

use std::net::IpAddr;

use nslab_kernel::link::LinkKind;
use nslab_kernel::qdisc::{Handle, QdiscKind};
use nslab_types::MacAddr;

use super::super::change::{Change, free_address};
use super::{Case, Proposal};
use crate::l2::Port;
use crate::{Action, Evidence};

impl Case<'_> {
    pub(super) fn link_up(&self) -> Vec<Proposal> {
        let lo = || {
            let links = &self.state(self.cause.namespace)?.network.links;
            let lo = links.iter().find(|link| link.loopback)?;
            Some(Port { namespace: self.cause.namespace, link: lo.index })
        };
        self.at().or_else(lo).map(|at| vec![Change::Up(at)]).into_iter().collect()
    }

    /// What is at the other end, below, or a port of a bridge, is set up.
    pub(super) fn carrier(&self) -> Vec<Proposal> {
        let Some(at) = self.at() else { return Vec::new() };
        let mut downs: Vec<Port> = self.far(at).into_iter().collect();
        if self.link(at).is_some_and(|link| matches!(link.kind, Some(LinkKind::Bridge(_)))) {
            let links = self.state(at.namespace).into_iter().flat_map(|state| &state.network.links);
            for port in links.filter(|port| port.master == Some(at.link)) {
                let port = Port { namespace: at.namespace, link: port.index };
                downs.push(port);
                downs.extend(self.far(port));
            }
        }
        downs.push(at);
        downs.retain(|&at| self.link(at).is_some_and(|link| !link.up));
        downs.into_iter().map(|at| vec![Change::Up(at)]).collect()
    }

    /// An address of a subnet of somebody on one of the segments; one in which the destination is too before others.
    pub(super) fn source_address(&self) -> Vec<Proposal> {
        let to = self.packet.ip.destination;
        let mut all = Vec::new();
        for (at, _) in self.links(self.cause.namespace) {
            for other in self.others(at) {
                for known in self.addresses(other, to) {
                    let near = known.address.contains(&to);
                    let free = free_address(self.snapshot(), known.address);
                    all.extend(free.map(|free| (!near, vec![Change::AddAddress(at, free)])));
                }
            }
        }
        all.sort_by_key(|(far, _)| *far);
        all.into_iter().map(|(_, proposal)| proposal).collect()
    }

    /// Both ends of what is too small take packets as large.
    pub(super) fn mtu(&self) -> Vec<Proposal> {
        let Evidence::Mtu { size, .. } = self.cause.evidence else { return Vec::new() };
        let Some(at) = self.at() else { return Vec::new() };
        let mtu = |at: Port| self.link(at).map(|link| link.mtu);
        let far = self.far(at).filter(|_| self.link(at).is_some_and(nslab_kernel::link::Link::is_veth));
        // What the other end takes, or what the sender's own link does, before a number that nobody else has.
        let first = self.prediction.hops.iter().find(|hop| hop.action == Action::Send);
        let first = first.and_then(|hop| Some(Port { namespace: hop.namespace, link: hop.link? }));
        let known = [far.and_then(mtu), first.and_then(mtu)];
        let wanted = known.into_iter().flatten().find(|&mtu| mtu >= size).unwrap_or(size);
        let small =
            [Some(at), far].into_iter().flatten().filter(|&at| mtu(at).is_some_and(|mtu| mtu < wanted));
        let mut all: Vec<Proposal> = vec![small.map(|at| Change::Mtu(at, wanted)).collect()];
        // A route may say less than its interface.
        for route in self.state(self.cause.namespace).into_iter().flat_map(|state| &state.network.routes) {
            if route.mtu.is_some_and(|mtu| mtu < size) {
                let mut larger = route.clone();
                larger.mtu = None;
                all.push(vec![
                    Change::DeleteRoute(self.cause.namespace, route.clone()),
                    Change::AddRoute(self.cause.namespace, larger),
                ]);
            }
        }
        all.retain(|proposal| !proposal.is_empty());
        all
    }

    /// Who has the address beside whom it is meant for gets another one of the subnet.
    pub(super) fn duplicate_address(&self) -> Vec<Proposal> {
        let target = match &self.cause.evidence {
            Evidence::Neighbour { target, .. } => *target,
            _ => self.packet.ip.destination,
        };
        let wrong = |at: &Port| Some(at.namespace) != self.aim.destination;
        let mut hops = self.prediction.hops.iter();
        let asks = hops.find(|hop| hop.action == Action::Resolve && hop.object == target.to_string());
        let asker = asks.and_then(|hop| Some(Port { namespace: hop.namespace, link: hop.link? }));
        let owners = self.owners(target).into_iter().rev().filter(|(at, _)| wrong(at));
        let instead = |(at, net)| {
            let other = free_address(self.snapshot(), net)?;
            let mut changes = vec![Change::AddAddress(at, other), Change::DeleteAddress(at, net)];
            // Who has heard the wrong one believes it for a while.
            changes.extend(asker.map(|asker| Change::Forget(asker, target)));
            Some(changes)
        };
        owners.filter_map(instead).collect()
    }

    /// Who takes the sender's address for one of its own loses it.
    pub(super) fn martian(&self) -> Vec<Proposal> {
        let namespace = self.cause.namespace;
        let source = self.packet.ip.source;
        let all = self.state(namespace).into_iter().flat_map(|state| &state.network.addresses);
        let own = all.filter(|known| known.address.addr() == source);
        own.map(|known| vec![Change::DeleteAddress(Port { namespace, link: known.link }, known.address)])
            .collect()
    }

    /// All but one of those with one MAC get another: others before the one that the packet is meant for.
    pub(super) fn duplicate_mac(&self) -> Vec<Proposal> {
        let mut owners = match &self.cause.evidence {
            Evidence::Neighbour { owners, .. } => owners.clone(),
            _ => Vec::new(),
        };
        owners.reverse();
        owners.sort_by_key(|owner| Some(owner.namespace) == self.aim.destination);
        // Who sends to that MAC has heard of it, and asks anew.
        let at = self.at();
        let mut hops = self.prediction.hops.iter().rev();
        let asks = hops.find(|hop| {
            let here = hop.link.map(|link| Port { namespace: hop.namespace, link });
            hop.action == Action::Resolve && here == at
        });
        let target = asks.and_then(|hop| hop.object.parse().ok());
        let forget = at.zip(target).map(|(at, target)| Change::Forget(at, target));
        let change = |&at: &Port| {
            let link = self.link(at)?;
            let is_used = |mac: MacAddr| {
                self.states().flat_map(|(_, state)| &state.network.links).any(|link| link.mac == Some(mac))
            };
            let mut fresh = (0..100).map(|try_| MacAddr::from_seed(&format!("{at:?}/{}/{try_}", link.name)));
            let mut changes = vec![Change::Mac(at, fresh.find(|&mac| !is_used(mac))?)];
            changes.extend(forget.clone());
            Some(changes)
        };
        owners.iter().filter_map(change).collect()
    }

    /// What hangs at the interface and is not the kernel's own goes.
    pub(super) fn queues(&self) -> Vec<Proposal> {
        let Some((at, state)) = self.at().and_then(|at| Some((at, self.state(at.namespace)?))) else {
            return Vec::new();
        };
        let own = state.network.queues.qdiscs.iter().filter(|qdisc| qdisc.link == at.link);
        own.filter_map(|qdisc| {
            let place = match (&qdisc.kind, qdisc.parent) {
                (QdiscKind::Clsact, _) => "clsact",
                (QdiscKind::Ingress, _) => "ingress",
                (QdiscKind::Noqueue | QdiscKind::PfifoFast, _) => return None,
                (_, Handle::ROOT) => "root",
                _ => return None,
            };
            Some(vec![Change::DeleteQdisc(at, qdisc.parent, place.to_owned())])
        })
        .collect()
    }

    /// Whether an address is one of a namespace's.
    pub(super) fn has(&self, place: usize, address: IpAddr) -> bool {
        let all = self.state(place).into_iter().flat_map(|state| &state.network.addresses);
        all.into_iter().any(|known| known.address.addr() == address)
    }
}
