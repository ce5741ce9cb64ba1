//! One fault of a known code, put into a network in which everything works.

#![expect(clippy::unnecessary_wraps, reason = "all kinds of faults are made by one type of function")]

mod bridged;
mod filters;
mod kinds;
mod links;
mod mend;
mod neighbours;
mod programs;
mod routed;
mod sizes;
mod tally;

use nslab_predict::{Cause, Code};

use crate::build::Taken;
use crate::chance::Chance;
use crate::generate::Draft;
use crate::observe::Observation;
use crate::probe::Probe;

pub(crate) use mend::{Mended, mend};
pub use tally::{Fault as Tally, table};

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
    /// The object that it is of. Where there are several, each is as good, as of two interfaces that have one address.
    pub(crate) places: Vec<Place>,
    /// What else may be said of it with as much right.
    pub(crate) also: Vec<Also>,
    pub(crate) draft: Draft,
    pub(crate) probe: Probe,
    /// The namespace that the packet is meant for; none if there is none that has the address.
    pub(crate) meant: Option<usize>,
}

/// An object of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) space: usize,
    /// What its name begins with, whole words; of any object nothing.
    pub(crate) object: String,
}

/// Another code that says the same of a fault.
#[derive(Debug, Clone)]
pub(crate) struct Also {
    pub(crate) code: Code,
    pub(crate) places: Vec<Place>,
    /// Why it is the same.
    pub(crate) why: &'static str,
}

/// How a fault was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// By its code, and whether at its object.
    Right(bool),
    /// By another that says the same, for this reason, and whether at its object.
    Also(Code, &'static str, bool),
    /// It is not known what becomes of the packet.
    Unknown,
    /// By another code, or none.
    Other(Option<Code>),
}

impl Place {
    pub(crate) fn at(space: usize, object: impl Into<String>) -> Self {
        Self { space, object: object.into() }
    }

    /// Whichever object of a namespace.
    pub(crate) fn within(space: usize) -> Self {
        Self::at(space, "")
    }

    fn is(&self, cause: &Cause, taken: &Taken) -> bool {
        let rest = cause.object.strip_prefix(&self.object);
        taken.space(cause.namespace) == Some(self.space)
            && rest.is_some_and(|rest| rest.is_empty() || self.object.is_empty() || rest.starts_with(' '))
    }
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

    /// Whether a namespace is on a segment.
    pub(crate) fn is_on(&self, space: usize, segment: usize) -> bool {
        self.draft.nodes[space].ends.iter().any(|end| end.segment == segment)
    }

    /// The interface that has the destination's address.
    pub(crate) fn owner_end(&self) -> Option<String> {
        let owns = |end: &&crate::generate::End| end.address(self.ipv6()) == self.probe.destination;
        self.draft.nodes[self.to].ends.iter().find(owns).map(|end| end.name.clone())
    }

    /// The destination's segment.
    pub(crate) fn last_segment(&self) -> Option<usize> {
        self.segment(self.to, &self.owner_end()?)
    }

    /// The sender's segment by which it leaves.
    pub(crate) fn first_segment(&self) -> Option<usize> {
        self.segment(self.probe.from, &self.out_of(self.probe.from)?)
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

    /// The fault that a change makes, of the object at a place.
    pub(crate) fn with(&self, code: Code, place: Place, change: impl FnOnce(&mut Draft)) -> Fault {
        let mut draft = self.draft.clone();
        change(&mut draft);
        Fault {
            code,
            places: vec![place],
            also: Vec::new(),
            draft,
            probe: self.probe.clone(),
            meant: Some(self.to),
        }
    }
}

impl Fault {
    /// Another place that is as good.
    pub(crate) fn or_at(mut self, place: Place) -> Self {
        self.places.push(place);
        self
    }

    /// Another code that says the same.
    pub(crate) fn also(mut self, code: Code, place: Place, why: &'static str) -> Self {
        self.also.push(Also { code, places: vec![place], why });
        self
    }

    /// Which of several gets a packet is chance: it may arrive.
    pub(crate) fn is_by_chance(&self) -> bool {
        matches!(self.code, Code::DuplicateAddress | Code::DuplicateMac)
    }

    /// Whether what mends it is no matter of the network's: which program is to listen, how far a packet may go, who is to
    /// have an address.
    pub(crate) fn is_for_people(&self) -> bool {
        self.meant.is_none() || matches!(self.code, Code::NoListener | Code::ListenerOtherAddress)
    }

    /// How a cause names it.
    pub(crate) fn named(&self, cause: Option<&Cause>, taken: &Taken) -> Named {
        let Some(cause) = cause else { return Named::Other(None) };
        let is_one_of = |places: &[Place]| places.iter().any(|place| place.is(cause, taken));
        if cause.code == self.code {
            return Named::Right(is_one_of(&self.places));
        }
        match self.also.iter().find(|also| also.code == cause.code) {
            Some(also) => Named::Also(also.code, also.why, is_one_of(&also.places)),
            None if cause.code == Code::Unmodelled => Named::Unknown,
            None => Named::Other(Some(cause.code)),
        }
    }
}

/// So many faults are put into one healthy network, each alone.
const EACH: usize = 4;

/// Faults that this packet meets.
pub(crate) fn inject(chance: &mut Chance, healthy: &Healthy<'_>) -> Vec<Fault> {
    let mut possible: Vec<(usize, Fault)> =
        kinds::ALL.iter().filter_map(|(weight, kind)| Some((*weight, kind(chance, healthy)?))).collect();
    let mut faults = Vec::new();
    while faults.len() < EACH && !possible.is_empty() {
        let mut dice = chance.below(possible.iter().map(|(weight, _)| weight).sum());
        let place = possible.iter().position(|(weight, _)| {
            let is_it = dice < *weight;
            dice = dice.saturating_sub(*weight);
            is_it
        });
        faults.push(possible.swap_remove(place.unwrap_or(0)).1);
    }
    faults
}
