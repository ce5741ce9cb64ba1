//! A lab that is being imported: what will be written, each thing with where it comes from.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use nslab_types::MacAddr;

use crate::{Place, Skipped};

/// A lab that is being imported.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) prefix: Option<String>,
    /// Lines of comment at the top of the lab file.
    pub(crate) header: Vec<String>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) switches: Vec<Switch>,
    pub(crate) links: Vec<Link>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) notes: Vec<String>,
    /// Link and side by node and interface.
    ends: HashMap<(String, String), (usize, usize)>,
}

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) place: Place,
    /// What it was, for the comment behind its name.
    pub(crate) comment: String,
    /// Forwards, and why or since where.
    pub(crate) forward: Option<String>,
    pub(crate) sysctls: Vec<Line<(String, String)>>,
    /// Addresses on `lo`.
    pub(crate) addresses: Vec<Line<IpNet>>,
    pub(crate) routes: Vec<Line<Route>>,
    /// In the words of a lab file.
    pub(crate) rules: Vec<Line<String>>,
    pub(crate) neighbours: Vec<Line<Neighbour>>,
    pub(crate) env: Vec<Line<(String, String)>>,
    /// Interfaces that are no ends of links.
    pub(crate) interfaces: Vec<Interface>,
    /// Files of its own: where they are in the node, and what they are copies of, as the lab file has it.
    pub(crate) files: Vec<Line<OwnFile>>,
    /// Files that a container would have and the node has not: where they would be, and what they would be copies of.
    pub(crate) elsewhere: Vec<(String, String)>,
    /// It has a way out, and why or since where.
    pub(crate) way_out: Option<String>,
    /// Ports of the host that lead to it, in the words of a lab file.
    pub(crate) publish: Vec<Line<String>>,
    /// Name servers.
    pub(crate) dns: Vec<Line<String>>,
    /// Commands that are run one after the other when the network is complete.
    pub(crate) setup: Vec<Line<String>>,
    /// Programs that go on running.
    pub(crate) programs: Vec<Line<String>>,
}

/// An interface that is no end of a link.
#[derive(Debug)]
pub(crate) struct Interface {
    /// What it has in common with the end of a link.
    pub(crate) end: End,
    /// Its type and the keys of that type, in the words of a lab file.
    pub(crate) keys: Vec<(&'static str, String)>,
    pub(crate) place: Place,
    /// As it was written.
    pub(crate) text: String,
}

impl Interface {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.end.interface.as_deref().unwrap_or_default()
    }
}

/// A file of a node's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnFile {
    /// Where it is in the node.
    pub(crate) path: String,
    /// What it is a copy of, as who reads files knows it.
    pub(crate) source: String,
    /// The same as it stands in the lab file.
    pub(crate) written: String,
}

/// Something with its place.
#[derive(Debug, Clone)]
pub(crate) struct Line<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
    /// As it was written, to be told if it cannot be used after all.
    pub(crate) text: String,
}

/// A static route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Route {
    /// `-4`/`-6` where nothing else says it, then the destination.
    pub(crate) ipv6: bool,
    /// `blackhole` and the like.
    pub(crate) kind: Option<&'static str>,
    /// `None` is the default route.
    pub(crate) to: Option<IpNet>,
    /// The ways; without any there must be a kind.
    pub(crate) hops: Vec<Hop>,
    /// `metric`, `table`, `src`, `mtu` with their values.
    pub(crate) rest: Vec<(&'static str, String)>,
}

/// A way out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) via: Option<IpAddr>,
    pub(crate) dev: Option<String>,
    pub(crate) weight: Option<u16>,
    pub(crate) onlink: bool,
}

/// A permanent neighbour entry.
#[derive(Debug, Clone)]
pub(crate) struct Neighbour {
    pub(crate) address: IpAddr,
    pub(crate) mac: MacAddr,
    pub(crate) dev: Option<String>,
}

/// A switch.
#[derive(Debug)]
pub(crate) struct Switch {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) comment: String,
}

/// A link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) ends: [End; 2],
    pub(crate) mtu: Option<u32>,
    pub(crate) place: Place,
    pub(crate) comment: String,
}

/// An end of a link.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) device: String,
    pub(crate) interface: Option<String>,
    pub(crate) addresses: Vec<Line<IpNet>>,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) mtu: Option<u32>,
    pub(crate) up: bool,
}

impl End {
    pub(crate) fn new(device: &str, interface: Option<String>) -> Self {
        Self { device: device.to_owned(), interface, addresses: Vec::new(), mac: None, mtu: None, up: true }
    }
}

impl Node {
    pub(crate) fn new(name: String, place: Place, comment: String) -> Self {
        Self {
            name,
            place,
            comment,
            forward: None,
            sysctls: Vec::new(),
            addresses: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            neighbours: Vec::new(),
            env: Vec::new(),
            interfaces: Vec::new(),
            files: Vec::new(),
            elsewhere: Vec::new(),
            way_out: None,
            publish: Vec::new(),
            dns: Vec::new(),
            setup: Vec::new(),
            programs: Vec::new(),
        }
    }

    /// A file of its own by its path in the node.
    pub(crate) fn file(&self, path: &str) -> Option<&OwnFile> {
        self.files.iter().map(|line| &line.value).find(|file| file.path == path)
    }

    /// What a file of the container's is a copy of, whether the node has it or not.
    pub(crate) fn source(&self, path: &str) -> Option<&str> {
        let elsewhere =
            || self.elsewhere.iter().rfind(|(known, _)| known == path).map(|(_, source)| &source[..]);
        self.file(path).map(|file| &file.source[..]).or_else(elsewhere)
    }

    /// Gives it a file; the last one wins.
    pub(crate) fn add_file(&mut self, file: OwnFile, place: &Place, text: &str) {
        self.files.retain(|line| line.value.path != file.path);
        self.files.push(Line { value: file, place: place.clone(), text: text.to_owned() });
    }

    /// Sets a sysctl, the last one wins. Forwarding is the lab file's own word for a router.
    pub(crate) fn sysctl(&mut self, key: &str, value: &str, place: &Place, text: &str) {
        let key = key.replace('/', ".");
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        if matches!(
            &key[..],
            "net.ipv4.ip_forward" | "net.ipv4.conf.all.forwarding" | "net.ipv6.conf.all.forwarding"
        ) {
            if value == "1" {
                self.forward.get_or_insert_with(|| format!("{place}"));
                return;
            }
            if self.forward.is_none() {
                return;
            }
        }
        let entry = Line { value: (key, value), place: place.clone(), text: text.to_owned() };
        match self.sysctls.iter_mut().find(|line| line.value.0 == entry.value.0) {
            Some(known) => *known = entry,
            None => self.sysctls.push(entry),
        }
    }
}

impl Draft {
    /// Notes what is not carried over.
    pub(crate) fn skip(&mut self, place: &Place, what: impl Into<String>, why: impl Into<String>) {
        self.skipped.push(Skipped { place: place.clone(), what: what.into(), why: why.into() });
    }

    /// Adds a link.
    pub(crate) fn link(&mut self, link: Link) {
        for (side, end) in link.ends.iter().enumerate() {
            if let Some(interface) = &end.interface {
                self.ends.insert((end.device.clone(), interface.clone()), (self.links.len(), side));
            }
        }
        self.links.push(link);
    }

    /// The interface of a node, be it the end of a link or not.
    pub(crate) fn end(&mut self, node: &str, interface: &str) -> Option<&mut End> {
        if let Some(&(link, side)) = self.ends.get(&(node.to_owned(), interface.to_owned())) {
            return Some(&mut self.links[link].ends[side]);
        }
        let node = self.nodes.iter_mut().find(|one| one.name == node)?;
        let ends = node.interfaces.iter_mut().map(|one| &mut one.end);
        ends.into_iter().find(|end| end.interface.as_deref() == Some(interface))
    }

    /// Whether a node has an interface.
    pub(crate) fn has_interface(&self, node: &str, interface: &str) -> bool {
        let is_other = || {
            let node = self.nodes.iter().find(|one| one.name == node);
            let mut others = node.into_iter().flat_map(|node| &node.interfaces);
            others.any(|one| one.end.interface.as_deref() == Some(interface))
        };
        interface == "lo" || self.ends.contains_key(&(node.to_owned(), interface.to_owned())) || is_other()
    }

    /// The addresses of a node, with their interfaces.
    pub(crate) fn addresses_of(&self, node: &str) -> Vec<(String, IpNet)> {
        let others = self.nodes.iter().flat_map(|one| &one.interfaces).map(|one| &one.end);
        let ends = self.links.iter().flat_map(|link| &link.ends).chain(others);
        let ends = ends.filter(|end| end.device == node);
        ends.flat_map(|end| {
            let name = end.interface.clone().unwrap_or_default();
            end.addresses.iter().map(move |address| (name.clone(), address.value))
        })
        .collect()
    }
}
