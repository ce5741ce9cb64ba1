//! One fault of a known code, put into a network in which everything works.

#![expect(clippy::unnecessary_wraps, reason = "all kinds of faults are made by one type of function")]

mod bridged;
mod filters;
mod inject;
mod routed;

use nslab_predict::Code;

use crate::build::Taken;
use crate::chance::Chance;
use crate::generate::Draft;
use crate::observe::Observation;
use crate::probe::Probe;

/// A healthy network, the packet that is delivered in it, and the way that it takes.
pub(crate) struct Healthy<'a> {
    pub(crate) draft: &'a Draft,
    pub(crate) probe: &'a Probe,
    /// Where the packet was seen: the namespace, the interface's name, whether it was sent there.
    pub(crate) way: Vec<(usize, String, bool)>,
    /// The namespace that it arrived in.
    pub(crate) to: usize,
}

/// A fault.
pub(crate) struct Fault {
    /// Its code.
    pub(crate) code: Code,
    /// What else may be said of it with as much right.
    pub(crate) or: &'static [Code],
    pub(crate) draft: Draft,
    pub(crate) probe: Probe,
}

impl<'a> Healthy<'a> {
    /// What is known of a packet that arrived.
    pub(crate) fn of(
        draft: &'a Draft,
        probe: &'a Probe,
        taken: &Taken,
        observed: &Observation,
    ) -> Option<Self> {
        let mut way = Vec::new();
        for sighting in observed.seen.iter().filter(|sighting| !sighting.in_tunnel) {
            let link = taken.state(sighting.space)?.link(sighting.link)?;
            // To a bridge all that it passes on is for others.
            if sighting.is_others && link.master.is_none() {
                continue;
            }
            way.push((sighting.space, link.name.to_string(), sighting.sent));
        }
        let to = way.last()?.0;
        Some(Self { draft, probe, way, to })
    }

    /// The namespaces that route it, in their order: the sender, routers, and not the one in which it arrives.
    pub(crate) fn routing(&self) -> Vec<usize> {
        let mut spaces: Vec<usize> = Vec::new();
        for (space, ..) in &self.way {
            let is_host = !self.draft.nodes[*space].ends.is_empty() && !self.bridges_only(*space);
            if is_host && !spaces.contains(space) {
                spaces.push(*space);
            }
        }
        spaces.retain(|space| *space != self.to);
        spaces
    }

    /// The routers on the way.
    pub(crate) fn routers(&self) -> Vec<usize> {
        self.routing().into_iter().filter(|space| *space != self.probe.from).collect()
    }

    /// Whether it crosses a namespace by ports of a bridge alone, though the namespace has addresses.
    fn bridges_only(&self, space: usize) -> bool {
        let ports = &self.draft.nodes[space].ports;
        space != self.probe.from
            && space != self.to
            && self
                .way
                .iter()
                .filter(|(at, ..)| *at == space)
                .all(|(_, name, _)| ports.iter().any(|(port, ..)| port == name))
    }

    /// The interface by which a namespace sends it, as its own network layer does.
    pub(crate) fn out_of(&self, space: usize) -> Option<String> {
        self.way
            .iter()
            .find(|(at, name, sent)| *at == space && *sent && self.is_end(space, name))
            .map(|(_, name, _)| name.clone())
    }

    /// The interface by which a namespace's network layer gets it.
    pub(crate) fn into(&self, space: usize) -> Option<String> {
        self.way
            .iter()
            .rfind(|(at, name, sent)| *at == space && !*sent && self.is_end(space, name))
            .map(|(_, name, _)| name.clone())
    }

    fn is_end(&self, space: usize, name: &str) -> bool {
        self.draft.nodes[space].ends.iter().any(|end| end.name == name)
    }

    /// The segment of an interface.
    pub(crate) fn segment(&self, space: usize, name: &str) -> Option<usize> {
        self.draft.nodes[space].ends.iter().find(|end| end.name == name).map(|end| end.segment)
    }

    pub(crate) fn ipv6(&self) -> bool {
        self.probe.destination.is_ipv6()
    }

    /// Destination as a prefix of its own.
    pub(crate) fn target(&self) -> String {
        format!("{}/{}", self.probe.destination, if self.ipv6() { 128 } else { 32 })
    }

    /// The address that the packet comes from.
    pub(crate) fn source(&self) -> Option<std::net::IpAddr> {
        let out = self.out_of(self.probe.from)?;
        let end = self.draft.nodes[self.probe.from].ends.iter().find(|end| end.name == out)?;
        Some(end.address(self.ipv6()))
    }

    pub(crate) fn with(&self, code: Code, change: impl FnOnce(&mut Draft)) -> Fault {
        let mut draft = self.draft.clone();
        change(&mut draft);
        Fault { code, or: &[], draft, probe: self.probe.clone() }
    }
}

impl Fault {
    pub(crate) fn or(mut self, or: &'static [Code]) -> Self {
        self.or = or;
        self
    }
}

/// A fault that this packet meets.
pub(crate) fn inject(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let kinds: Vec<inject::Kind> = inject::all();
    for _ in 0..20 {
        let kind = chance.pick(&kinds);
        if let Some(fault) = kind(chance, healthy) {
            return Some(fault);
        }
    }
    None
}
