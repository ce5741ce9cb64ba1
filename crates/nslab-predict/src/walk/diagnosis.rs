//! Why nobody answers for a next hop, or a frame is lost.

use std::net::IpAddr;

use nslab_snapshot::Name;

use super::Walk;
use crate::fib::{self, DropReason, Fate, Flow};
use crate::l2::{self, End, Frame, Left, Lost, Outcome, Port};
use crate::{Cause, Code, Evidence, neighbour};

impl Walk<'_> {
    /// Why nobody answers for `target` at an interface; none if that cannot be known, as the segment goes on where nothing
    /// is seen.
    pub(super) fn diagnose(
        &self,
        at: Port,
        source: IpAddr,
        target: IpAddr,
        is_gateway: bool,
        unanswered: &[End],
    ) -> Option<Cause> {
        let segments = &self.network.segments;
        let segment = segments.number(at);
        let owners: Vec<Port> = self
            .owners(target)
            .into_iter()
            .filter(|owner| owner.namespace != at.namespace || owner.link == at.link)
            .collect();
        let name = self.port(at);
        let here: Vec<Port> = owners
            .iter()
            .copied()
            .filter(|&owner| owner != at && segments.number(owner) == segment)
            .collect();
        let left = unanswered.iter().any(|end| {
            matches!(end.outcome, Outcome::Left(Left::Hardware | Left::Unseen | Left::Program | Left::Tunnel))
        });
        if here.is_empty() && (left || segment.is_some_and(|segment| segments.is_open(segment))) {
            return None;
        }
        for &owner in &here {
            let heard = unanswered.iter().any(|end| end.at == owner && end.outcome == Outcome::Taken);
            if heard {
                return Some(self.silent(at, owner, source, target));
            }
            let expected = Some(owner);
            if let Some((cause, _)) = self.obstacle(at, expected, unanswered) {
                return Some(cause);
            }
        }
        let evidence = Evidence::Neighbour { target, owners: owners.clone() };
        if let Some(owner) = here.first() {
            let text =
                format!("{} has {target} and does not get the question that {name} asks", self.port(*owner));
            return Some(
                Cause::new(Code::NeighbourFailed, at.namespace, self.link_name(at), text)
                    .at(at.link)
                    .with(evidence),
            );
        }
        let elsewhere: Vec<Port> = owners.iter().copied().filter(|&owner| owner != at).collect();
        if let Some(&owner) = elsewhere.first() {
            if let Some(cause) = self.parted_by_vlans(at, owner, target) {
                return Some(cause);
            }
            let text = format!(
                "{target} is looked for on {}, and {} has it, which is on another segment ({})",
                self.segment_name(at),
                self.port(owner),
                self.segment_name(owner)
            );
            return Some(
                Cause::new(Code::WrongSegment, at.namespace, self.link_name(at), text)
                    .at(at.link)
                    .with(evidence),
            );
        }
        if target.is_ipv6()
            && let Some(cause) = self.forgotten(at, target, unanswered)
        {
            return Some(cause);
        }
        let state = self.state(at.namespace)?;
        let is_near =
            state.network.addresses.iter().any(|own| own.link == at.link && own.address.contains(&target));
        let (code, text) = if is_gateway && !is_near {
            (
                Code::GatewayUnreachable,
                format!("the gateway {target} is in no subnet of {name}, and nobody there answers for it"),
            )
        } else {
            (
                Code::NeighbourFailed,
                format!("nobody on the segment of {name} answers for {target}, and nobody elsewhere has it"),
            )
        };
        Some(Cause::new(code, at.namespace, self.link_name(at), text).at(at.link).with(evidence))
    }

    /// Nobody has an IPv6 address, and somebody on the segment is down: what goes down forgets its addresses
    /// (`addrconf_ifdown`, `net/ipv6/addrconf.c`), so that it may well have been this one's.
    fn forgotten(&self, at: Port, target: IpAddr, unanswered: &[End]) -> Option<Cause> {
        let mut causes = unanswered.iter().filter_map(|end| match &end.outcome {
            Outcome::Lost(why @ (Lost::Down | Lost::NoCarrier | Lost::Stp(_))) => {
                let cause = self.lost(at, end, why)?;
                matches!(cause.code, Code::LinkDown | Code::NoCarrier).then_some(cause)
            }
            _ => None,
        });
        // A macvlan that is down is not even looked at.
        let segments = &self.network.segments;
        let members = segments.number(at).map_or(&[][..], |segment| segments.members(segment));
        let is_down = |port: &&Port| **port != at && self.link(**port).is_some_and(|link| !link.up);
        let down = || {
            let port = *members.iter().find(is_down)?;
            let name = self.link_name(port);
            let text = format!("{name} is down");
            Some(Cause::new(Code::LinkDown, port.namespace, name, text).at(port.link))
        };
        let cause = causes.next().or_else(down)?;
        let text = format!("{}; nobody has {target} now, which may have been an address there", cause.text);
        Some(Cause { text, ..cause })
    }

    /// Why one that has an address and gets the question does not answer, or its answer is lost.
    fn silent(&self, at: Port, owner: Port, source: IpAddr, target: IpAddr) -> Cause {
        let name = self.port(owner);
        let evidence = Evidence::Neighbour { target, owners: vec![owner] };
        let plain = |text: String| {
            Cause::new(Code::NeighbourFailed, owner.namespace, self.link_name(owner), text)
                .at(owner.link)
                .with(evidence.clone())
        };
        let (Some(state), Some(link)) = (self.state(owner.namespace), self.link(owner)) else {
            return plain(format!("{name} does not answer for {target}"));
        };
        let asks = self.state(at.namespace).zip(self.link(at));
        if asks.is_some_and(|(state, link)| neighbour::has(state, link, target)) {
            let text = format!("{} has {target} itself, and so does not believe {name}", self.port(at));
            return Cause::new(Code::DuplicateAddress, at.namespace, self.link_name(at), text)
                .at(at.link)
                .with(evidence);
        }
        if target.is_ipv4() && !source.is_unspecified() {
            let flow = Flow { source: Some(source), iif: Some(owner.link), ..Flow::to(target) };
            let decision = fib::input(state, &flow, owner.link);
            if let Some(arrival) = decision.only() {
                match arrival.fate {
                    Fate::Drop(DropReason::ReversePath { .. }) => {
                        let object = format!("net.ipv4.conf.{}.rp_filter", link.name);
                        let text = format!(
                            "{name} does not answer for {target}: its way back to {source} does not lead by {} (rp_filter)",
                            link.name
                        );
                        return Cause::new(Code::RpFilter, owner.namespace, object.clone(), text)
                            .at(owner.link)
                            .with(Evidence::Sysctl(object));
                    }
                    Fate::Drop(DropReason::UnusableSource) => {
                        let text = format!(
                            "{name} does not answer for {target}: its way back to {source} is none by which packets are sent"
                        );
                        return Cause::new(Code::Martian, owner.namespace, self.link_name(owner), text)
                            .at(owner.link);
                    }
                    Fate::Drop(DropReason::OwnSource) => {
                        let object = format!("net.ipv4.conf.{}.accept_local", link.name);
                        let text = format!(
                            "{name} does not answer for {target}: it has {source}, which asks, itself (accept_local is off)"
                        );
                        return Cause::new(Code::Martian, owner.namespace, object.clone(), text)
                            .at(owner.link)
                            .with(Evidence::Sysctl(object));
                    }
                    _ => {}
                }
            }
            let ignore = link.ipv4.map_or(0, |own| own.arp_ignore);
            if ignore.max(state.settings.ipv4_all.arp_ignore) != 0 {
                let object = format!("net.ipv4.conf.{}.arp_ignore", link.name);
                return plain(format!("{name} keeps quiet about {target} ({object} is on)"))
                    .with(Evidence::Sysctl(object));
            }
        }
        // It answers, and that gets lost.
        let (Some(from), Some(to)) = (link.mac, self.link(at).and_then(|link| link.mac)) else {
            return plain(format!("{name} does not answer for {target}"));
        };
        let frame = Frame { source: from, destination: to, vlan: None, size: 28, target: Some(source) };
        let mut learned = l2::Learned::default();
        let ends = l2::send(self.network.snapshot, &self.network.wiring, &mut learned, owner, frame);
        match self.obstacle(owner, Some(at), &ends) {
            Some((cause, _)) => cause,
            None => plain(format!("{name} does not answer for {target}")),
        }
    }

    /// The lab that a namespace is of.
    fn lab(&self, namespace: usize) -> Option<&str> {
        let names = &self.network.snapshot.namespaces.get(namespace)?.names;
        names.iter().find_map(|name| match name {
            Name::Node { lab, .. } => Some(&lab[..]),
            _ => None,
        })
    }

    /// A segment in words: its bridge, or its cable.
    fn segment_name(&self, at: Port) -> String {
        if let Some(bridge) = self.bridge_of(at) {
            return format!("the bridge {}", self.port(bridge));
        }
        match self.peer(at) {
            Some(peer) => format!("the cable {} – {}", self.port(at), self.port(peer)),
            None => format!("the segment of {}", self.port(at)),
        }
    }

    /// The bridge that an interface is plugged into, by a veth, or that it is.
    fn bridge_of(&self, at: Port) -> Option<Port> {
        let is_bridge = |port: Port| self.link(port).is_some_and(|link| link.as_bridge().is_some());
        if is_bridge(at) {
            return Some(at);
        }
        let far = self.peer(at)?;
        let master = self.link(far)?.master?;
        let port = Port { namespace: far.namespace, link: master };
        is_bridge(port).then_some(port)
    }

    /// Both are on one bridge, whose VLANs keep them apart.
    fn parted_by_vlans(&self, at: Port, owner: Port, target: IpAddr) -> Option<Cause> {
        let bridge = self.bridge_of(owner).filter(|&bridge| self.bridge_of(at) == Some(bridge))?;
        let port = if owner == bridge { bridge } else { self.peer(owner)? };
        let name = self.link_name(port);
        let own = self.state(port.namespace)?.network.vlans.iter();
        let own: Vec<String> =
            own.filter(|vlan| vlan.link == port.link).map(|vlan| vlan.vlan.to_string()).collect();
        let own = if own.is_empty() { "no VLAN".to_owned() } else { format!("VLAN {}", own.join(", ")) };
        let text = format!(
            "{} has {target} and is in no VLAN of {} on the bridge {}: its port {name} is in {own}",
            self.port(owner),
            self.port(at),
            self.port(bridge)
        );
        let cause = Cause::new(Code::BridgeVlan, port.namespace, name, text);
        Some(cause.at(port.link).with(Evidence::BridgePort(port)))
    }

    /// Who has an address, of those that somebody may have meant: of one lab, or all that are of none.
    fn owners(&self, address: IpAddr) -> Vec<Port> {
        let mut owners = Vec::new();
        let lab = self.lab(self.sender);
        for (namespace, seen) in self.network.snapshot.namespaces.iter().enumerate() {
            let Some(state) = seen.state() else { continue };
            if self.lab(namespace) != lab {
                continue;
            }
            let own = state.network.addresses.iter().filter(|own| own.address.addr() == address);
            owners.extend(own.map(|own| Port { namespace, link: own.link }));
        }
        owners
    }
}
