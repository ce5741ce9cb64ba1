//! What became of a packet of others that passed, beside what was predicted of it.

use std::collections::BTreeSet;

use nslab_kernel::nftables::Hook;
use nslab_observe::trace::listen::Packet;
use nslab_observe::trace::{Event, Role, Seen, VisitEnd, What};
use nslab_predict::{Action, Cause, Code, Hop, reason};
use nslab_snapshot::{Snapshot, Where};
use nslab_view::TraceSight as Sight;

use crate::rules;
use crate::story::{End, difference, is_difference, place};
use crate::weave::{By, Known, Only, Step, flow, weave};

#[cfg(test)]
mod tests;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It came to a namespace that takes it.
    Delivered,
    /// It was thrown away, and something says so.
    Dropped,
    /// It went out to where nobody looks.
    Left,
    /// It was seen no more, where it would have been seen.
    Lost,
}

impl Fate {
    /// Its word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Dropped => "dropped",
            Self::Left => "left",
            Self::Lost => "lost",
        }
    }
}

/// What is predicted of a packet of others.
#[derive(Debug, Default)]
pub struct Foreseen {
    /// Ways that it may take, the likeliest first; none if nothing is predicted.
    pub ways: Vec<Vec<Hop>>,
    /// Why nothing is predicted, or not for sure; a sentence's part.
    pub unknown: Option<String>,
    /// What stops it, if it is predicted to be stopped.
    pub cause: Option<Cause>,
}

/// A packet of others, with its steps and its end.
#[derive(Debug)]
pub struct Passing {
    /// What became of it.
    pub fate: Fate,
    /// Its steps.
    pub steps: Vec<Step>,
    /// In what the prediction was wrong, sentences.
    pub differences: Vec<String>,
    /// Steps that were predicted are missing, or all behind a place, and may be among what was lost on its way to the trace.
    pub is_partial: bool,
    /// Whether all was as predicted; none if nothing was predicted for sure, or too much was lost to say.
    pub agrees: Option<bool>,
    /// Where it ended, if it did not arrive; and whether that is what was predicted.
    pub end: Option<(End, bool)>,
    /// By what it was seen.
    pub evidence: BTreeSet<By>,
}

/// What is known beside the packet.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The host, but for tables of traces.
    pub snapshot: &'a Snapshot,
    /// For each place of the trace its place in the snapshot.
    pub places: &'a [usize],
    /// Of namespaces where it is not looked at all interfaces: at which it is.
    pub only: &'a Only,
    /// Some news of rules were lost, so that nothing can be missed.
    pub has_missed: bool,
    /// Some frames were lost, that of this packet may be among, so that nothing can be missed.
    pub has_lost: bool,
}

impl Passing {
    /// Weaves what was seen into what was foreseen.
    pub fn of(around: Around<'_>, seen: &Packet, foreseen: &Foreseen) -> Self {
        let traced = around.traced(seen);
        let known = Known {
            snapshot: around.snapshot,
            places: around.places,
            only: around.only,
            traced: &traced,
            answered: false,
            made: true,
            heard: false,
            refused: false,
        };
        let none = [Vec::new()];
        let ways: &[Vec<Hop>] = if foreseen.ways.is_empty() { &none } else { &foreseen.ways };
        let woven = ways.iter().map(|hops| (hops, weave(known, Role::Request, hops, &seen.events)));
        let wrong =
            |(_, steps): &(&Vec<Hop>, Vec<Step>)| steps.iter().filter(|step| is_difference(step)).count();
        let (hops, mut steps) = woven.min_by_key(wrong).unwrap_or((&none[0], Vec::new()));
        for step in &mut steps {
            if step.by == Some(By::Socket) {
                step.by = Some(By::Packets);
            }
        }
        let is_predicted = foreseen.unknown.is_none() && !hops.is_empty();
        if hops.is_empty() || foreseen.unknown.is_some() {
            // Nothing is unforeseen where nothing is foreseen.
            for step in steps.iter_mut().filter(|step| step.sight == Sight::Unforeseen) {
                step.sight = Sight::Detail;
            }
            steps.retain(|step| step.sight != Sight::Missing);
        }
        let last = hops.last().map(|hop| hop.action);
        let stopped = last == Some(Action::Stop)
            && steps.iter().any(|step| step.action == Action::Stop && step.sight == Sight::Seen);
        let (fate, end) = around.end(seen, &traced);
        let (fate, end) = match (&foreseen.cause, fate) {
            (Some(cause), Fate::Dropped | Fate::Lost | Fate::Delivered) if stopped && is_predicted => {
                (Fate::Dropped, Some((predicted(cause), true)))
            }
            _ => (fate, end.map(|end| (end, false))),
        };
        let is_lossy = around.has_missed || around.has_lost;
        let may_be_lost = |step: &Step| is_lossy && step.sight == Sight::Missing;
        let is_partial = is_predicted && (is_lossy && fate == Fate::Lost || steps.iter().any(may_be_lost));
        let mut differences = Vec::new();
        if is_predicted {
            if let Some(step) = steps.iter().find(|step| is_difference(step) && !may_be_lost(step)) {
                differences.push(difference(around.snapshot, step));
            } else if last == Some(Action::Deliver)
                && (fate == Fate::Dropped || fate == Fate::Lost && !is_lossy)
            {
                differences.push(format!("it was predicted to be delivered, and was {}", fate.as_str()));
            } else if last == Some(Action::Stop) && !stopped && fate == Fate::Delivered {
                differences.push("it was predicted to be dropped, and was delivered".to_owned());
            }
        }
        let mut evidence: BTreeSet<By> = steps.iter().filter_map(|step| step.by).collect();
        for event in &seen.events {
            evidence.extend(match event.what {
                What::Seen(_) => Some(By::Packets),
                What::Hook(_) => Some(By::Rules),
                What::Dropped { .. } => Some(By::Tracepoints),
                What::Neighbour(_) => None,
            });
        }
        let is_known = is_predicted && !(is_partial && differences.is_empty());
        let agrees = is_known.then_some(differences.is_empty());
        Self { fate, steps, differences, is_partial, agrees, end, evidence }
    }
}

fn predicted(cause: &Cause) -> End {
    End {
        code: cause.code,
        namespace: cause.namespace,
        link: cause.link,
        object: cause.object.clone(),
        text: nslab_view::without_counts(&cause.text),
    }
}

impl Around<'_> {
    fn namespace(&self, place: usize) -> usize {
        self.places.get(place).copied().unwrap_or(0)
    }

    /// Where its rules were told of: others may be left out by the limit.
    fn traced(&self, seen: &Packet) -> Vec<usize> {
        let hooks = seen.events.iter().filter(|event| matches!(event.what, What::Hook(_)));
        let mut all: Vec<usize> = hooks.map(|event| self.namespace(event.place)).collect();
        all.dedup();
        if self.has_missed { Vec::new() } else { all }
    }

    fn place(&self, namespace: usize, link: Option<u32>) -> String {
        place(self.snapshot, namespace, link)
    }

    /// What was seen of its end.
    fn end(&self, seen: &Packet, traced: &[usize]) -> (Fate, Option<End>) {
        for event in seen.events.iter().rev() {
            if let What::Hook(visit) = &event.what
                && visit.end == VisitEnd::Dropped
                && let Some(met) = visit.steps.last()
            {
                let namespace = self.namespace(event.place);
                let state = self.snapshot.namespaces[namespace].state();
                let text = format!("it is dropped by a rule, {}", rules::detail(state, visit.hook, met));
                let (code, object) = (Code::FirewallDrop, rules::object(met));
                return (Fate::Dropped, Some(End { code, namespace, link: None, object, text }));
            }
        }
        if self.has_arrived(seen, traced) {
            return (Fate::Delivered, None);
        }
        for event in seen.events.iter().rev() {
            if let What::Dropped { reason, location, .. } = &event.what
                && reason != "OTHERHOST"
            {
                let namespace = self.namespace(event.place);
                let place = location.as_ref().map_or_else(String::new, |place| format!(" in {place}"));
                let text = format!("it is thrown away by the kernel{place}: {reason}");
                let (code, object) = (Code::Unmodelled, reason.clone());
                return (Fate::Dropped, Some(End { code, namespace, link: None, object, text }));
            }
        }
        let last = seen.events.iter().rev().find_map(|event| match &event.what {
            What::Seen(seen) if !seen.for_others => Some((event.place, seen)),
            _ => None,
        });
        let Some((place, last)) = last else {
            let place =
                seen.events.iter().rev().find(|event| event.role().is_some()).map_or(0, |event| event.place);
            let text = asked(seen).map_or_else(
                || "it is not seen at any interface".to_owned(),
                |asked| {
                    format!("it is not seen at any interface; {asked} was asked for, and nobody answered")
                },
            );
            let object = seen.flow.destination.to_string();
            let end =
                End { code: Code::Unmodelled, namespace: self.namespace(place), link: None, object, text };
            return (Fate::Lost, Some(end));
        };
        let namespace = self.namespace(place);
        // It may have gone on by an interface at which nobody looks.
        let is_unseen = !last.sent && self.only.contains_key(&namespace);
        if is_unseen || last.sent && !self.is_seen_behind(namespace, last) {
            return (Fate::Left, None);
        }
        let did = if last.sent { "goes out" } else { "comes in" };
        let at = self.place(namespace, Some(last.link));
        let text = format!("it ({}) {did} at {at} and is seen nowhere after that", flow(&last.flow));
        let (code, object) = (Code::Unmodelled, last.name.clone());
        (Fate::Lost, Some(End { code, namespace, link: Some(last.link), object, text }))
    }

    /// Whether the other end of an interface is watched.
    fn is_seen_behind(&self, namespace: usize, seen: &Seen) -> bool {
        let Some(state) = self.snapshot.namespaces[namespace].state() else { return false };
        state.peers.iter().any(|peer| {
            let watched = |other: &usize| {
                let among = |links: &Vec<u32>| links.contains(&peer.lower);
                self.places.contains(other) && self.only.get(other).is_none_or(among)
            };
            peer.link == seen.link && matches!(&peer.namespace, Where::Namespace(other) if watched(other))
        })
    }

    /// Whether it came to a namespace that takes it.
    fn has_arrived(&self, seen: &Packet, traced: &[usize]) -> bool {
        seen.events.iter().any(|event| match &event.what {
            What::Hook(visit) => visit.hook == Some(Hook::Input) && visit.end == VisitEnd::Passed,
            What::Seen(sight) => self.takes(seen, (event, sight), traced),
            _ => false,
        })
    }

    /// Whether a namespace takes what comes in there, as far as rules do not tell.
    fn takes(&self, seen: &Packet, (event, sight): (&Event, &Seen), traced: &[usize]) -> bool {
        let namespace = self.namespace(event.place);
        if sight.sent || sight.for_others {
            return false;
        }
        let to = sight.flow.destination;
        let is_for_many = to.is_multicast() || to == std::net::IpAddr::from([255, 255, 255, 255]);
        let state = self.snapshot.namespaces[namespace].state();
        let own =
            state.is_some_and(|state| state.network.addresses.iter().any(|one| one.address.addr() == to));
        let is_dropped = seen.events.iter().any(|other| {
            other.place == event.place
                && matches!(&other.what, What::Dropped { reason, .. } if reason::is_before_arrival(reason))
        });
        (is_for_many || own || to.is_loopback()) && !traced.contains(&namespace) && !is_dropped
    }
}

/// Who was asked for in vain.
fn asked(seen: &Packet) -> Option<std::net::IpAddr> {
    let news = || {
        seen.events.iter().filter_map(|event| match event.what {
            What::Neighbour(one) => Some((event.place, one)),
            _ => None,
        })
    };
    news().find_map(|(place, one)| {
        let answered = news()
            .any(|(other, answer)| other == place && answer.target == one.target && answer.mac.is_some());
        (one.sent && one.mac.is_none() && !answered).then_some(one.target)
    })
}
