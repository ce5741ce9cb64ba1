//! Packets traced as `nslab trace` traces them, in place of the tester's own sockets.
//!
//! Of each packet the network is looked at anew, as it is then; it is predicted, sent and watched by
//! [`nslab_observe::trace`], and woven into a story by [`nslab_compare`]. The story must say that all was as predicted; what
//! was seen at interfaces must besides be the way that the [tester itself](crate::compare) takes for the predicted one; and
//! where the kernel's tracepoints tell why it threw the packet away, that must be what was predicted, at the same place.

mod hold;
mod programs;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use nslab_compare::{Drops, Facts, Story, Waiting};
use nslab_kernel::link::LinkKind;
use nslab_kernel::neighbour;
use nslab_observe::trace::{self, DropSource, Options, Place};
use nslab_predict::{Network as Looked, Prediction, predict};

use crate::Error;
use crate::build::{Built, Taken};
use crate::compare::Finding;
use crate::network::Network;
use crate::observe::Observation;
use crate::probe::Probe;
use crate::trial::Trial;

/// The state of a neighbour that did not answer (`NUD_FAILED`, `include/uapi/linux/neighbour.h`).
const FAILED: u16 = 0x20;

/// By what packets are seen, besides packet sockets and the socket that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// What netfilter tells of rules.
    pub rules: bool,
    /// The kernel's tracepoints.
    pub tracepoints: bool,
}

/// What traces packets, of several networks at once.
#[derive(Debug)]
pub struct Tracer {
    level: Level,
    /// Those that are loaded and not in use.
    drops: Mutex<Vec<Drops>>,
}

/// A packet that was traced.
struct Traced {
    prediction: Prediction,
    observed: Observation,
    finding: Finding,
    /// How its steps stand to the prediction, and by what it was seen.
    steps: Vec<String>,
}

impl Tracer {
    /// One that sees by these means. The error says what of them is not to be had.
    pub fn new(level: Level) -> Result<Self, Error> {
        let drops = if level.tracepoints { vec![Drops::open()?] } else { Vec::new() };
        Ok(Self { level, drops: Mutex::new(drops) })
    }

    /// Makes a network, and traces packets in it, one after the other; the network is still there.
    pub(crate) fn keep(&self, network: &Network, probes: &[Probe]) -> Result<(Built, Trial), Error> {
        let (mut built, taken) = Built::new(network)?;
        let mut drops = self.take()?;
        let ids = built.spaces.iter().map(|space| space.id);
        if let Some(drops) = &mut drops {
            drops.watch(ids)?;
        }
        let mut outcomes = Vec::with_capacity(probes.len());
        let mut steps = BTreeMap::new();
        for (number, probe) in probes.iter().enumerate() {
            let traced = self.trace(&mut built, probe, number, &mut drops)?;
            for step in traced.steps {
                *steps.entry(step).or_default() += 1;
            }
            outcomes.push((traced.prediction, traced.observed, traced.finding));
        }
        if let Some(mut drops) = drops {
            drops.clear();
            self.drops.lock().unwrap_or_else(PoisonError::into_inner).push(drops);
        }
        Ok((built, Trial { taken, outcomes, steps }))
    }

    /// Tracepoints that nobody uses.
    fn take(&self) -> Result<Option<Drops>, Error> {
        if !self.level.tracepoints {
            return Ok(None);
        }
        let known = self.drops.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Some(known.map_or_else(Drops::open, Ok)?))
    }

    fn trace(
        &self,
        built: &mut Built,
        probe: &Probe,
        number: usize,
        drops: &mut Option<Drops>,
    ) -> Result<Traced, Error> {
        let mut taken = built.look_closely()?;
        // A program that another network starts may hold on to one for a moment.
        nslab_compare::take_traces(&mut taken.snapshot);
        let looked = Looked::of(&taken.snapshot);
        let question = probe.question(&taken, number);
        let prediction = predict(&looked, &question);
        let near = nslab_compare::near(&taken.snapshot, question.namespace, None);
        let places = places(built, &taken, &near)?;
        let sent = trace::Probe {
            source: probe.source,
            link: question.link,
            size: probe.size,
            ttl: Some(probe.ttl),
            dont_fragment: probe.dont_fragment,
            mark: probe.mark,
            // The sender is the first of those that are near it.
            ..trace::Probe::new(0, probe.destination, nslab_compare::kind(question.packet.transport))
        };
        let options = Options {
            rules: self.level.rules,
            ..nslab_compare::options(&taken.snapshot, &near, &prediction, Waiting::default())
        };
        let source: &mut dyn DropSource = match drops {
            Some(drops) => drops,
            None => &mut (),
        };
        let seen = programs::answering(&built.programs, || trace::run(&places, &sent, &options, source))?;
        let gave_up = gave_up(built)?;
        let facts = Facts {
            snapshot: &taken.snapshot,
            places: &near,
            probe: &sent,
            prediction: &prediction,
            trace: &seen,
        };
        let story = Story::of(facts);
        let observed = hold::observation(&taken, probe, &near, &story, &seen, gave_up);
        let finding = hold::finding(&taken, probe, facts, &story, &observed);
        let steps = hold::steps(&story);
        Ok(Traced { prediction, observed, finding, steps })
    }
}

/// The namespaces to watch in.
fn places(built: &Built, taken: &Taken, near: &[usize]) -> Result<Vec<Place>, Error> {
    let mut places = Vec::with_capacity(near.len());
    for &number in near {
        let space = taken.space(number).and_then(|space| built.spaces.get(space));
        let (Some(space), Some(state)) = (space, taken.snapshot.namespaces[number].state()) else { continue };
        let is_bridge = |link: &nslab_kernel::link::Link| matches!(link.kind, Some(LinkKind::Bridge(_)));
        places.push(Place {
            name: taken.snapshot.namespaces[number].name().to_string(),
            namespace: space.namespace.duplicate()?,
            ruleset: state.nftables.clone(),
            has_bridges: state.network.links.iter().any(is_bridge),
            interfaces: Vec::new(),
        });
    }
    Ok(places)
}

/// The namespaces in which somebody was asked for who did not answer.
fn gave_up(built: &mut Built) -> nslab_kernel::Result<Vec<usize>> {
    let mut spaces = Vec::new();
    for (number, space) in built.spaces.iter_mut().enumerate() {
        if neighbour::list(&mut space.socket)?.iter().any(|entry| entry.state & FAILED != 0) {
            spaces.push(number);
        }
    }
    Ok(spaces)
}
