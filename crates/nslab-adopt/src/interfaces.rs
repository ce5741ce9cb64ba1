//! Interfaces that are no ends of cables.

use std::net::IpAddr;

use nslab_kernel::link::{IfIndex, Link, LinkKind};
use nslab_lab::kinds;
use nslab_topology::lab::{End, Interface, InterfaceKind, Node, Remote};
use nslab_topology::{Span, Spanned, Topology, model};
use nslab_types::IfName;

use crate::draft::Draft;

impl Draft<'_> {
    /// The interfaces of a node.
    pub(crate) fn interfaces(&mut self, number: usize, node: &mut Node) {
        let space = self.spaces[number].clone();
        for link in space.described().filter(|link| !link.is_veth() && !link.loopback) {
            if space.switches.contains_key(&link.index) {
                continue;
            }
            self.oddities(number, link);
            let id = self.mark(number, link.name.to_string());
            match self.kind(number, link, id) {
                Ok(kind) => {
                    let mut end = End::new(node.name.clone());
                    end.interface = Some(Spanned::new(self.full_name(link), id));
                    self.common(number, link, &mut end);
                    end.mac = end.mac.filter(|_| has_mac(link));
                    self.port_settings(number, link, false);
                    let below = link.lower.filter(|_| link.up).and_then(|below| space.link(below));
                    if below.is_some_and(|below| !below.up) {
                        let why = "is up, though what it lies on is down; in a lab it is down as well";
                        self.skip(number, link.name.to_string(), why);
                    }
                    node.interfaces.push(Interface { end, kind });
                }
                Err(why) => self.skip(number, link.name.to_string(), &why),
            }
        }
    }

    /// Tells of local addresses of tunnels that resolving the lab chose where there were none.
    pub(crate) fn chosen_ends(&mut self, topology: &Topology) {
        for number in 0..self.spaces.len() {
            let space = self.spaces[number].clone();
            let node = topology.nodes.iter().find(|node| Some(&node.name) == space.node.as_ref());
            for interface in node.into_iter().flat_map(|node| &node.interfaces) {
                let link = space.described().find(|link| link.name == interface.name);
                let had_none = match link.and_then(|link| link.kind.as_ref()) {
                    Some(LinkKind::Vxlan(vxlan)) => vxlan.local.is_none(),
                    Some(LinkKind::Tunnel(tunnel)) => tunnel.local.is_none(),
                    _ => false,
                };
                if let (true, Some(local)) = (had_none, local(&interface.kind)) {
                    let object = format!("{} local any", interface.name);
                    self.skip(
                        number,
                        object,
                        &format!("in a lab it is {local}, to which the other end sends"),
                    );
                }
            }
        }
    }

    fn kind(&mut self, number: usize, link: &Link, id: Span) -> Result<InterfaceKind, String> {
        let space = self.spaces[number].clone();
        let kind = link.kind.as_ref().ok_or("it is hardware, and a lab makes none")?;
        let name = |index: IfIndex| -> Option<IfName> { space.link(index).map(|link| link.name) };
        if link.lower_nsid.is_some() {
            let of = space.state.peer(link.index);
            let far = of.and_then(|peer| match peer.namespace {
                nslab_snapshot::Where::Namespace(place) => {
                    Some(self.snapshot.namespaces[place].name().to_string())
                }
                nslab_snapshot::Where::Unseen => None,
            });
            let far = far.unwrap_or_else(|| "another namespace".to_owned());
            return Err(format!(
                "this {} lies on a link of {far}; in a lab both are in one node",
                kind.name()
            ));
        }
        let below = link.lower.filter(|&below| space.link(below).is_none());
        if below.is_some() {
            return Err("what it lies on is not described".to_owned());
        }
        match kind {
            LinkKind::Wireguard => {
                return Err("WireGuard's keys and peers are not read; a lab makes keys of its own".to_owned());
            }
            LinkKind::Tun(tun) if !tun.persistent => {
                return Err("it is a program's, and goes with the program".to_owned());
            }
            LinkKind::Ifb | LinkKind::Other(_) => {
                return Err(format!("a lab file has no interfaces of type {}", kind.name()));
            }
            _ => {}
        }
        let Some(model) = kinds::from_kernel(link, name) else {
            return Err(format!("it is a {} of a sort that a lab file cannot say", kind.name()));
        };
        let members = space.described().filter(|member| member.master == Some(link.index));
        let members: Vec<&Link> = members.collect();
        let mut names = Vec::new();
        for member in members {
            let id = self.mark(number, format!("{} master {}", member.name, link.name));
            names.push(Spanned::new(self.full_name(member), id));
        }
        let mut kind = InterfaceKind::describing(&model, names);
        match (&mut kind, &link.kind) {
            (InterfaceKind::Vxlan { remotes, .. }, Some(LinkKind::Vxlan(vxlan))) => {
                if vxlan.remote.is_some_and(|remote| remote.is_multicast()) {
                    return Err("it sends to a multicast group, and a lab's to addresses".to_owned());
                }
                if let Some(ttl) = vxlan.ttl.filter(|&ttl| ttl != 0) {
                    self.skip(
                        number,
                        format!("{} ttl {ttl}", link.name),
                        "a lab's VXLAN has the kernel's own",
                    );
                }
                remotes.extend(self.entries_of_vxlan(number, link, vxlan.remote));
                if vxlan.remote.is_none() && remotes.len() == 1 {
                    let why = "stands in its forwarding table only; in a lab it is the VXLAN's own";
                    self.skip(number, format!("{} remote {}", link.name, remotes[0].value), why);
                }
            }
            (InterfaceKind::Geneve { .. }, Some(LinkKind::Geneve(geneve))) => {
                if let Some(ttl) = geneve.ttl.filter(|&ttl| ttl != 0) {
                    self.skip(
                        number,
                        format!("{} ttl {ttl}", link.name),
                        "a lab's Geneve has the kernel's own",
                    );
                }
            }
            (InterfaceKind::Bridge { .. }, Some(LinkKind::Bridge(bridge))) => {
                self.bridge_settings(number, link, bridge, false);
                self.addresses_of_members(number, link);
                self.entries_of_bridge(number, link);
                self.foreign_ports(number, link);
            }
            (InterfaceKind::Bond { .. }, _) => self.addresses_of_members(number, link),
            _ => {}
        }
        place(&mut kind, id);
        Ok(kind)
    }

    /// Where a VXLAN sends what is for all, besides `first`; its other entries are told of.
    fn entries_of_vxlan(
        &mut self,
        number: usize,
        link: &Link,
        first: Option<IpAddr>,
    ) -> Vec<Spanned<Remote>> {
        let state = self.spaces[number].state;
        let mut remotes = Vec::new();
        for entry in state.network.fdb.iter().filter(|entry| entry.link == link.index && entry.fixed) {
            // As one of the bridge that it is in; that is told of there.
            if entry.master.is_some() && entry.remote.is_none() {
                continue;
            }
            match entry.remote {
                Some(remote) if entry.mac.0 == [0; 6] => {
                    if first != Some(remote) {
                        remotes.push(Remote::Address(remote).into());
                    }
                }
                _ => {
                    let to = entry.remote.map_or_else(String::new, |remote| format!(" dst {remote}"));
                    let object = format!("fdb {} dev {}{to}", entry.mac, link.name);
                    self.skip(
                        number,
                        object,
                        "a lab's VXLAN has no such entries; it learns them from traffic",
                    );
                }
            }
        }
        remotes
    }

    /// What a bridge in a node cannot have.
    fn entries_of_bridge(&mut self, number: usize, bridge: &Link) {
        let space = self.spaces[number].clone();
        for entry in space.state.network.fdb.iter().filter(|entry| entry.master == Some(bridge.index)) {
            if let Some(port) =
                space.link(entry.link).filter(|_| entry.fixed && !entry.local && !entry.external)
            {
                let object = format!("fdb {} dev {}", entry.mac, port.name);
                self.skip(number, object, "only a switch of a lab has forwarding entries of its own");
            }
        }
    }
}

fn local(kind: &model::InterfaceKind) -> Option<IpAddr> {
    match kind {
        model::InterfaceKind::Vxlan { local, .. } | model::InterfaceKind::Tunnel { local, .. } => *local,
        _ => None,
    }
}

/// Whether its MAC can be said.
fn has_mac(link: &Link) -> bool {
    match &link.kind {
        Some(LinkKind::Ipvlan(_) | LinkKind::Wireguard) => false,
        Some(LinkKind::Tun(tun)) => tun.mode == nslab_kernel::link::TunMode::Tap,
        _ => link.mac.is_some(),
    }
}

/// Gives what an interface says of others its own place, so that it goes with them.
fn place(kind: &mut InterfaceKind, id: Span) {
    let at = |one: &mut Spanned<String>| one.span = Some(id);
    match kind {
        InterfaceKind::Vlan { link, id: vlan, .. } => {
            at(link);
            vlan.span = Some(id);
        }
        InterfaceKind::Macvlan { link, .. } | InterfaceKind::Ipvlan { link, .. } => at(link),
        InterfaceKind::Vxlan { id: vni, local, remotes, link, .. } => {
            vni.span = Some(id);
            if let Some(local) = local {
                local.span = Some(id);
            }
            for remote in remotes {
                remote.span = Some(id);
            }
            link.iter_mut().for_each(at);
        }
        InterfaceKind::Geneve { id: vni, remote, .. } => {
            vni.span = Some(id);
            remote.span = Some(id);
        }
        InterfaceKind::Tunnel { local, remote, link, .. } => {
            if let Some(local) = local {
                local.span = Some(id);
            }
            remote.span = Some(id);
            link.iter_mut().for_each(at);
        }
        InterfaceKind::Bond { primary, .. } => primary.iter_mut().for_each(at),
        InterfaceKind::Vrf { table, .. } => table.span = Some(id),
        _ => {}
    }
}
