//! Changes to an interface of a lab, an end of a link or another one: addresses, MTU, up and down, what happens to what it
//! sends.

use ipnet::IpNet;

use super::{EditError, EndId};
use crate::decode::address;
use crate::diagnostic::closest;
use crate::impairment::Impairments;
use crate::lab::{End, Lab, Path, PathEnd};
use crate::model::{Device, Sent};
use crate::resolve;

/// An interface of a lab.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// `lo` of a node.
    Loopback(usize),
    /// The end of a link.
    End(EndId),
    /// One that a node has besides.
    Own { node: usize, index: usize },
}

impl Lab {
    /// Gives `NODE:INTERFACE` an address; the interface may be `lo`.
    pub fn add_address(&mut self, interface: &str, address: &str) -> Result<(), EditError> {
        let net = address::interface(address)?;
        let place = self.place(interface)?;
        self.change(|lab| match lab.end_at(place) {
            Some(end) => end.addresses.get_or_insert_default().push(net.into()),
            None => lab.loopback_at(place).push(net.into()),
        })
    }

    /// Takes an address from `NODE:INTERFACE`; the interface may be `lo`, and the prefix length may be left out.
    pub fn remove_address(&mut self, interface: &str, address: &str) -> Result<(), EditError> {
        let wanted = address::net(address);
        let alone = if wanted.is_none() { Some(address::plain(address)?) } else { None };
        let is = |net: IpNet| wanted == Some(net) || alone == Some(net.addr());
        let place = self.place(interface)?;
        let mut lab = self.clone();
        let list = match lab.end_at(place) {
            Some(end) => end.addresses.get_or_insert_default(),
            None => lab.loopback_at(place),
        };
        let before = list.len();
        list.retain(|net| !is(net.value));
        if list.len() == before {
            return Err(EditError::Absent {
                place: interface.to_owned(),
                what: format!("address {address}"),
            });
        }
        self.replace(lab)
    }

    /// Puts `NODE:INTERFACE` up or down.
    pub fn set_up(&mut self, interface: &str, up: bool) -> Result<(), EditError> {
        self.change_end(interface, |end| end.up = up)
    }

    /// Sets the MTU of `NODE:INTERFACE`.
    pub fn set_mtu(&mut self, interface: &str, mtu: u32) -> Result<(), EditError> {
        self.change_end(interface, |end| end.mtu = Some(mtu.into()))
    }

    /// Sets impairments of what `NODE:INTERFACE` sends, or sends on the path `NODE:INTERFACE -> NODE:INTERFACE` over a
    /// switch; what is not said stays as it is.
    pub fn set_impairments(&mut self, interface: &str, said: Impairments) -> Result<(), EditError> {
        if let Some(ends) = interface.split_once(" -> ") {
            let before = self.sent_on(interface, ends)?.impairment;
            return self.change_path(ends, Some(&said.or(before.into())));
        }
        self.change_end(interface, |end| end.impairments = said.or(end.impairments))
    }

    /// Takes all impairments from what `NODE:INTERFACE` sends; those of [`Path`]s stay. Or those of one path.
    pub fn clear_impairments(&mut self, interface: &str) -> Result<(), EditError> {
        if let Some(ends) = interface.split_once(" -> ") {
            return self.change_path(ends, Some(&Impairments::default()));
        }
        let place = self.place(interface)?;
        self.change(|lab| {
            if let Place::End(EndId { link, side }) = place {
                // What was said of both ends is from now on said of the other alone.
                let link = &mut lab.links[link];
                let of_both = std::mem::take(&mut link.impairments);
                let other = &mut link.ends[1 - side];
                other.impairments = other.impairments.or(of_both);
            }
            if let Some(end) = lab.end_at(place) {
                end.impairments = Impairments::default();
            }
        })
    }

    /// Has `NODE:INTERFACE`, or a path, do to what is sent exactly this.
    pub fn replace_impairments(&mut self, interface: &str, said: Impairments) -> Result<(), EditError> {
        if let Some(ends) = interface.split_once(" -> ") {
            return self.change_path(ends, Some(&said));
        }
        let mut lab = self.clone();
        lab.clear_impairments(interface)?;
        lab.set_impairments(interface, said)?;
        *self = lab;
        Ok(())
    }

    /// Has what is sent on the path `NODE:INTERFACE -> NODE:INTERFACE` be treated as all else that the first sends.
    pub fn remove_path(&mut self, path: &str) -> Result<(), EditError> {
        match path.split_once(" -> ") {
            Some(ends) => self.change_path(ends, None),
            None => Err(no_interface(path)),
        }
    }

    /// What happens on a path, or, where it is none yet, to all that the first interface sends.
    fn sent_on(&self, path: &str, (from, _): (&str, &str)) -> Result<Sent, EditError> {
        let resolved = resolve::run(self, true).topology.map(|topology| topology.sent()).unwrap_or_default();
        resolved.get(path).or_else(|| resolved.get(from)).copied().ok_or_else(|| no_interface(path))
    }

    /// Sets the path between two interfaces, or takes it away.
    fn change_path(&mut self, (from, to): (&str, &str), said: Option<&Impairments>) -> Result<(), EditError> {
        let start = self.place(from)?;
        self.place(to)?;
        let switch = self.switch_at(start).ok_or_else(|| EditError::Invalid {
            message: format!("{from} is on no switch"),
            help: Vec::new(),
        })?;
        let [from, to] = [from, to].map(path_end);
        self.change(|lab| {
            for switch in &mut lab.switches {
                let same = |one: &PathEnd, other: &PathEnd| one.to_string() == other.to_string();
                switch.paths.retain(|path| path.both || !same(&path.from, &from) || !same(&path.to, &to));
            }
            if let Some(&impairments) = said {
                lab.switches[switch].paths.push(Path { from, to, both: false, impairments });
            }
        })
    }

    /// The switch that an interface reaches, perhaps by one that it is on.
    fn switch_at(&self, place: Place) -> Option<usize> {
        let names: Vec<&str> = self.switches.iter().map(|switch| switch.name.as_str()).collect();
        let mut place = place;
        // As many steps as one interface can be on another.
        for _ in 0..=self.nodes.iter().map(|node| node.interfaces.len()).max().unwrap_or(0) {
            match place {
                Place::Loopback(_) => return None,
                Place::End(EndId { link, side }) => {
                    let far = self.links[link].ends[1 - side].device.as_str();
                    return names.iter().position(|name| *name == far);
                }
                Place::Own { node, index } => {
                    let node = &self.nodes[node];
                    let kind = &node.interfaces[index].kind;
                    let below = kind.link().or_else(|| kind.members().first())?;
                    place = self.place(&format!("{}:{}", node.name.value, below.value)).ok()?;
                }
            }
        }
        None
    }

    fn change_end(&mut self, interface: &str, change: impl FnOnce(&mut End)) -> Result<(), EditError> {
        let place = self.place(interface)?;
        if let Place::Loopback(_) = place {
            return Err(EditError::Invalid {
                message: format!("`{interface}` is always as it is"),
                help: vec!["only addresses can be given to it".to_owned()],
            });
        }
        self.change(|lab| {
            if let Some(end) = lab.end_at(place) {
                change(end);
            }
        })
    }

    /// The end of a link, or another interface; none for `lo`.
    fn end_at(&mut self, place: Place) -> Option<&mut End> {
        match place {
            Place::Loopback(_) => None,
            Place::End(EndId { link, side }) => Some(&mut self.links[link].ends[side]),
            Place::Own { node, index } => Some(&mut self.nodes[node].interfaces[index].end),
        }
    }

    fn loopback_at(&mut self, place: Place) -> &mut Vec<crate::Spanned<IpNet>> {
        let node = match place {
            Place::Loopback(node) | Place::Own { node, .. } => node,
            // Never asked for: an end is no loopback.
            Place::End(_) => 0,
        };
        &mut self.nodes[node].addresses
    }

    fn place(&self, text: &str) -> Result<Place, EditError> {
        let (device, interface) = text.split_once(':').ok_or_else(|| no_interface(text))?;
        if interface == "lo" {
            return self.node_index(device).map(Place::Loopback);
        }
        let at = self.device_named(device)?;
        let is_it = |name: &str| {
            let short = nslab_types::IfName::shortened(name);
            name == interface || short.is_ok_and(|short| short.as_str() == interface)
        };
        let mut known: Vec<String> = Vec::new();
        if let Device::Node(node) = at {
            for (index, own) in self.nodes[node].interfaces.iter().enumerate() {
                let Some(name) = &own.end.interface else { continue };
                if is_it(&name.value) {
                    return Ok(Place::Own { node, index });
                }
                known.push(name.value.clone());
            }
        }
        for (link, names) in self.interface_names().into_iter().enumerate() {
            for (side, name) in names.into_iter().enumerate() {
                if self.links[link].ends[side].device.value == device {
                    if is_it(&name) {
                        return Ok(Place::End(EndId { link, side }));
                    }
                    known.push(name);
                }
            }
        }
        let close = closest(interface, known.iter().map(String::as_str));
        let suggestion = close.map(|name| format!("{device}:{name}"));
        Err(EditError::Unknown { kind: "interface", name: text.to_owned(), suggestion })
    }
}

fn path_end(label: &str) -> PathEnd {
    let (node, interface) = match label.split_once(':') {
        Some((node, interface)) => (node, Some(interface.to_owned().into())),
        None => (label, None),
    };
    PathEnd { node: node.to_owned().into(), interface }
}

fn no_interface(text: &str) -> EditError {
    EditError::Invalid {
        message: format!("`{text}` names no interface"),
        help: vec!["write NODE:INTERFACE".to_owned()],
    }
}
