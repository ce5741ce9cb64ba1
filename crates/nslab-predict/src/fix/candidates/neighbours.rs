//! A next hop that nobody answers for, or that is elsewhere.

use std::net::IpAddr;

use ipnet::IpNet;
use nslab_kernel::link::LinkKind;
use nslab_kernel::route::{NextHop, Route, RouteAction};

use super::super::change::{Change, End, free_link};
use super::{Case, Proposal};
use crate::Evidence;
use crate::l2::Port;

impl Case<'_> {
    pub(super) fn neighbour(&self) -> Vec<Proposal> {
        let Some(at) = self.at() else { return Vec::new() };
        let target = match &self.cause.evidence {
            Evidence::Neighbour { target, .. } => *target,
            _ => self.packet.ip.destination,
        };
        let owners = self.owners(target);
        let segment = |at: Port| self.network.segments.number(at);
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            owners.iter().copied().partition(|(owner, _)| segment(*owner) == segment(at));
        let mut all = Vec::new();
        for (owner, _) in &here {
            all.extend(self.speak(*owner, target));
        }
        let is_gateway = target != self.packet.ip.destination;
        for (owner, _) in &elsewhere {
            all.extend(self.by_another_interface(at, *owner, target, is_gateway));
        }
        if is_gateway {
            all.extend(self.other_gateways(at, target));
        } else {
            all.extend(self.ways_to(at.namespace, target));
        }
        if owners.is_empty() {
            all.extend(self.give_away(at, target));
        }
        for (owner, _) in &elsewhere {
            all.extend(self.new_cable(at, *owner, target, is_gateway));
        }
        all
    }

    /// Whoever owns the address is made to say so.
    fn speak(&self, owner: Port, target: IpAddr) -> Vec<Proposal> {
        let Some(link) = self.link(owner) else { return Vec::new() };
        let name = link.name.as_str().replace('.', "/");
        let set = |key: String| Change::Sysctl(owner.namespace, key, 0);
        if !link.up {
            return vec![vec![Change::Up(owner)]];
        }
        if target.is_ipv6() {
            let off = link.ipv6.is_some_and(|own| own.disabled);
            return off
                .then(|| vec![set(format!("net.ipv6.conf.{name}.disable_ipv6"))])
                .into_iter()
                .collect();
        }
        let own = set(format!("net.ipv4.conf.{name}.arp_ignore"));
        vec![vec![own.clone()], vec![set("net.ipv4.conf.all.arp_ignore".to_owned()), own]]
    }

    /// The namespace has another interface on the owner's segment.
    fn by_another_interface(&self, at: Port, owner: Port, target: IpAddr, is_gateway: bool) -> Vec<Proposal> {
        let segments = &self.network.segments;
        let near = self.links(at.namespace).into_iter().map(|(near, _)| near);
        let near = near.filter(|near| segments.number(*near) == segments.number(owner) && *near != at);
        near.map(|near| {
            let mut changes = Vec::new();
            if is_gateway {
                changes.extend(self.moved_routes(at, near, target));
            } else {
                let mut route = Route::new(target.into(), RouteAction::Forward(vec![NextHop::on(near.link)]));
                route.source = self.own_source(at.namespace, near, target);
                changes.push(Change::AddRoute(at.namespace, route));
            }
            changes
        })
        .filter(|changes| !changes.is_empty())
        .collect()
    }

    /// The source to send from by an interface that has no address of its own.
    fn own_source(&self, namespace: usize, by: Port, target: IpAddr) -> Option<IpAddr> {
        let source = self.packet.ip.source;
        let has_none = self.addresses(by, target).next().is_none();
        (has_none && target.is_ipv4() && self.has(namespace, source)).then_some(source)
    }

    /// The routes by a gateway go by another interface.
    fn moved_routes(&self, from: Port, to: Port, gateway: IpAddr) -> Vec<Change> {
        let routes = self.state(from.namespace).into_iter().flat_map(|state| &state.network.routes);
        let mut changes = Vec::new();
        for old in routes {
            let RouteAction::Forward(hops) = &old.action else { continue };
            let [hop] = &hops[..] else { continue };
            if (hop.via, hop.link) == (Some(gateway), Some(from.link)) {
                let mut new = old.clone();
                new.action = RouteAction::Forward(vec![NextHop { link: Some(to.link), ..hop.clone() }]);
                changes.push(Change::DeleteRoute(from.namespace, old.clone()));
                changes.push(Change::AddRoute(from.namespace, new));
            }
        }
        changes
    }

    /// The only other one on the segment, or the one that is meant, gets the address.
    fn give_away(&self, at: Port, target: IpAddr) -> Vec<Proposal> {
        let nets = self.addresses(at, target).map(|own| own.address);
        let Some(net) = nets.filter(|net| net.contains(&target)).max_by_key(IpNet::prefix_len) else {
            return Vec::new();
        };
        let Ok(address) = IpNet::new(target, net.prefix_len()) else { return Vec::new() };
        let others = self.others(at);
        let meant = |other: &Port| Some(other.namespace) == self.aim.destination || others.len() == 1;
        others
            .iter()
            .copied()
            .filter(meant)
            // One that has an address of the subnet is somebody else.
            .filter(|other| !self.addresses(*other, target).any(|own| net.contains(&own.address.addr())))
            .map(|other| vec![Change::AddAddress(other, address)])
            .collect()
    }

    /// A cable to the owner's segment: to a bridge of it, else to the owner itself; with routes for the two addresses alone.
    fn new_cable(&self, at: Port, owner: Port, target: IpAddr, is_gateway: bool) -> Vec<Proposal> {
        let near_source = self.packet.ip.source;
        let near = self.has(at.namespace, near_source).then_some(near_source).or_else(|| {
            let mut own = self.addresses(at, target).map(|own| own.address.addr());
            own.next()
        });
        let mut all = Vec::new();
        if let Some(bridge) = self.bridge_of(owner) {
            let there = bridge.namespace;
            let wishes = (format!("to-{}", self.short(there)), format!("to-{}", self.short(at.namespace)));
            if let Some((one, other)) = self.ends(at.namespace, there, &wishes, Some(bridge.link)) {
                let mut changes = vec![Change::Cable(one, other)];
                changes.extend(self.by_cable(at, one.port(), near, target, is_gateway));
                all.push(changes);
            }
        }
        let wishes =
            (format!("to-{}", self.short(owner.namespace)), format!("to-{}", self.short(at.namespace)));
        if let Some((one, other)) = self.ends(at.namespace, owner.namespace, &wishes, None) {
            let mut changes = vec![Change::Cable(one, other)];
            changes.extend(self.by_cable(at, one.port(), near, target, is_gateway));
            if let Some(near) = near {
                changes.extend(by_address(other.port(), target, near));
            }
            all.push(changes);
        }
        all
    }

    /// The bridge that an interface is on, or is.
    fn bridge_of(&self, owner: Port) -> Option<Port> {
        let is_bridge =
            |at: Port| self.link(at).is_some_and(|link| matches!(link.kind, Some(LinkKind::Bridge(_))));
        if is_bridge(owner) {
            return Some(owner);
        }
        let far = self.far(owner)?;
        let bridge = Port { namespace: far.namespace, link: self.link(far)?.master? };
        is_bridge(bridge).then_some(bridge)
    }

    fn ends(
        &self,
        near: usize,
        far: usize,
        wishes: &(String, String),
        bridge: Option<u32>,
    ) -> Option<(End, End)> {
        if near == far {
            return None;
        }
        let end = |namespace: usize, wish: &str, bridge| {
            let (link, name) = free_link(self.state(namespace)?, wish)?;
            Some(End { namespace, name, link, bridge })
        };
        Some((end(near, &wishes.0, None)?, end(far, &wishes.1, bridge)?))
    }

    /// What makes a namespace look for the target on a new interface.
    fn by_cable(
        &self,
        old: Port,
        new: Port,
        near: Option<IpAddr>,
        target: IpAddr,
        is_gateway: bool,
    ) -> Vec<Change> {
        let mut changes = near.map_or_else(Vec::new, |near| by_address(new, near, target));
        if is_gateway {
            changes.extend(self.moved_routes(old, new, target));
        }
        changes
    }
}

/// An interface without addresses sends from one of its namespace's to one on its link. IPv6 answers for an address at its
/// own interface only.
fn by_address(at: Port, own: IpAddr, target: IpAddr) -> Vec<Change> {
    let mut changes = Vec::new();
    if own.is_ipv6() {
        changes.push(Change::AddAddress(at, own.into()));
    }
    let mut route = Route::new(target.into(), RouteAction::Forward(vec![NextHop::on(at.link)]));
    route.source = own.is_ipv4().then_some(own);
    changes.push(Change::AddRoute(at.namespace, route));
    changes
}
