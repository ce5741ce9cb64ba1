//! Cables: pairs of veths.

use nslab_kernel::link::{IfIndex, Link};
use nslab_snapshot::Where;
use nslab_topology::impairment::Impairments;
use nslab_topology::lab::{self, End};
use nslab_topology::{Span, Spanned};

use crate::addresses::is_link_local;
use crate::draft::Draft;

impl Draft<'_> {
    /// All cables whose both ends are described.
    pub(crate) fn links(&mut self) {
        for number in 0..self.spaces.len() {
            let space = self.spaces[number].clone();
            for link in space.described().filter(|link| link.is_veth()) {
                match self.other_end(number, link.index) {
                    // It was met from there.
                    Ok((far, index)) if (far, index) < (number, link.index) => {}
                    Ok((far, index)) => {
                        let Some(other) = self.spaces[far].state.link(index) else { continue };
                        self.cable([(number, link), (far, other)]);
                    }
                    Err(why) => {
                        let addresses = space.state.network.addresses.iter();
                        let own = addresses
                            .filter(|own| own.link == link.index && !is_link_local(own.address.addr()))
                            .map(|own| own.address.to_string());
                        let own: Vec<String> = own.collect();
                        let own: Vec<&str> = own.iter().map(String::as_str).collect();
                        let object = match &own[..] {
                            [] => link.name.to_string(),
                            own => format!("{} ({})", link.name, own.join(", ")),
                        };
                        self.skip(number, object, &why);
                    }
                }
            }
        }
    }

    /// Where a veth's other end is, among the namespaces that are described.
    fn other_end(&self, number: usize, link: IfIndex) -> Result<(usize, IfIndex), String> {
        let space = &self.spaces[number];
        let peer = space.state.peer(link).ok_or("it is not known where its other end is")?;
        let Where::Namespace(place) = peer.namespace else {
            return Err("its other end is in a namespace that was not found".to_owned());
        };
        if place == space.place {
            return Err("both of its ends are in this namespace, and a link of a lab joins two".to_owned());
        }
        let namespace = &self.snapshot.namespaces[place];
        let name = namespace.name();
        let far = namespace.state().and_then(|state| state.link(peer.lower));
        let far = far.map_or_else(|| name.to_string(), |far| format!("{name}:{}", far.name));
        let found = self.spaces.iter().position(|space| space.place == place);
        let found = found.ok_or_else(|| format!("its other end is {far}, which is not described"))?;
        if self.spaces[found].link(peer.lower).is_none() {
            return Err(format!("its other end, in {name}, was not read"));
        }
        Ok((found, peer.lower))
    }

    fn cable(&mut self, both: [(usize, &Link); 2]) {
        let [(number, near), _] = both;
        let id = self.mark(number, near.name.to_string());
        let mut ends = both.map(|(number, link)| self.end(number, link, id));
        let is_switch =
            |draft: &Self, (number, link): (usize, &Link)| draft.switch_of(number, link).is_some();
        // As links are written: a node's end first.
        if is_switch(self, both[0]) && !is_switch(self, both[1]) {
            ends.reverse();
        }
        let mut cable = lab::Link { ends, mtu: None, impairments: Impairments::default() };
        if near.mtu == both[1].1.mtu {
            cable.mtu = cable.ends[0].mtu.take();
            cable.ends[1].mtu = None;
        }
        self.lab.links.push(cable);
    }

    /// The switch that a veth is a port of.
    fn switch_of(&self, number: usize, link: &Link) -> Option<&String> {
        self.spaces[number].switches.get(&link.master?)
    }

    fn end(&mut self, number: usize, link: &Link, id: Span) -> End {
        self.oddities(number, link);
        let switch = self.switch_of(number, link).cloned();
        self.port_settings(number, link, switch.is_some());
        let is_switchs = switch.is_some();
        let device = switch.or_else(|| self.spaces[number].node.clone()).unwrap_or_default();
        let mut end = End::new(Spanned::new(device, id));
        end.interface = Some(Spanned::new(self.full_name(link), id));
        self.common(number, link, &mut end);
        if is_switchs {
            end.addresses = None;
            end.vlans = self.port_vlans(number, link).map(|vlans| Spanned::new(vlans, id));
            let isolated = link.bridge_port.is_some_and(|port| port.isolated);
            end.isolated = isolated.then(|| Spanned::new(true, id));
        }
        end
    }

    /// What the end of a cable has in common with other interfaces.
    pub(crate) fn common(&mut self, number: usize, link: &Link, end: &mut End) {
        let name = &link.name;
        end.addresses = Some(self.addresses(number, link));
        end.mac = link.mac.map(|mac| Spanned::new(mac, self.mark(number, format!("{name} address {mac}"))));
        end.mtu = Some(Spanned::new(link.mtu, self.mark(number, format!("{name} mtu {}", link.mtu))));
        end.up = link.up;
        end.impairments = self.queue(number, link);
    }
}
