//! What was seen of one packet, woven into what was predicted of it.

mod quiet;

use std::time::Duration;

use nslab_kernel::link::{IfIndex, LinkKind};
use nslab_observe::trace::{Event, Met, Neighbour, Role, Seen, Visit, VisitEnd, What};
use nslab_predict::{Action, Hop};
use nslab_snapshot::{Snapshot, State};
use nslab_view::TraceSight as Sight;

pub(crate) use quiet::flow;

use crate::rules;

/// Nothing takes so long but what is sent once more.
const REPEATED: Duration = Duration::from_millis(900);

/// A step of a packet's way, predicted or seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How it stands to the prediction.
    pub sight: Sight,
    /// Since the probe was sent.
    pub at: Option<Duration>,
    /// The place of the namespace in the snapshot.
    pub namespace: usize,
    /// The interface, if it is at one.
    pub link: Option<IfIndex>,
    /// What happens.
    pub action: Action,
    /// By what: a route, a rule, an interface.
    pub object: String,
    /// In words.
    pub detail: String,
    /// By what it was seen.
    pub by: Option<By>,
}

/// By what something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum By {
    /// The kernel's tracepoints.
    Tracepoints,
    /// What netfilter tells of rules.
    Rules,
    /// Packet sockets.
    Packets,
    /// What the kernel counts.
    Counters,
    /// The socket that sent it.
    Socket,
}

impl By {
    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tracepoints => "kernel tracepoints",
            Self::Rules => "nft trace",
            Self::Packets => "packet sockets",
            Self::Counters => "counters",
            Self::Socket => "the sender's socket",
        }
    }
}

/// Interfaces at which alone it is looked, by the places of their namespaces in the snapshot.
pub type Only = std::collections::BTreeMap<usize, Vec<IfIndex>>;

/// What is known beside events.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// For each place of the trace its place in the snapshot.
    pub(crate) places: &'a [usize],
    /// Of namespaces where it is not looked at all interfaces: at which it is.
    pub(crate) only: &'a Only,
    /// Places of the snapshot where rules are traced.
    pub(crate) traced: &'a [usize],
    /// The packet came to be.
    pub(crate) made: bool,
    /// The probe was answered.
    pub(crate) answered: bool,
    /// Its receiver heard of it.
    pub(crate) heard: bool,
    /// The kernel refused to send it.
    pub(crate) refused: bool,
}

impl<'a> Known<'a> {
    fn state(&self, namespace: usize) -> Option<&'a State> {
        self.snapshot.namespaces.get(namespace)?.state()
    }

    /// Whether whatever passes an interface of a namespace is seen.
    fn is_watched(&self, namespace: usize) -> bool {
        self.places.contains(&namespace) && !self.only.contains_key(&namespace)
    }

    /// Whether what passes an interface is seen.
    fn is_seen_at(&self, namespace: usize, link: Option<IfIndex>) -> bool {
        let among = |links: &Vec<IfIndex>| link.is_some_and(|link| links.contains(&link));
        self.places.contains(&namespace) && self.only.get(&namespace).is_none_or(among)
    }
}

/// The steps of one packet.
pub(crate) fn weave(known: Known<'_>, role: Role, hops: &[Hop], events: &[Event]) -> Vec<Step> {
    let own: Vec<(usize, &Event)> = events
        .iter()
        .filter(|event| event.role() == Some(role))
        .filter_map(|event| Some((*known.places.get(event.place)?, event)))
        .collect();
    let asked = events.iter().filter_map(|event| match &event.what {
        What::Neighbour(neighbour) => Some((*known.places.get(event.place)?, event.at, *neighbour)),
        _ => None,
    });
    let weaver = Weaver {
        known,
        role,
        hops,
        used: vec![false; own.len()],
        own,
        neighbours: asked.collect(),
        next: 0,
        steps: Vec::new(),
    };
    weaver.weave()
}

struct Weaver<'a> {
    known: Known<'a>,
    role: Role,
    hops: &'a [Hop],
    /// The packet's events with their places in the snapshot.
    own: Vec<(usize, &'a Event)>,
    used: Vec<bool>,
    neighbours: Vec<(usize, Option<Duration>, Neighbour)>,
    /// What was seen before this is dealt with.
    next: usize,
    steps: Vec<Step>,
}

impl<'a> Weaver<'a> {
    fn weave(mut self) -> Vec<Step> {
        let hops = self.hops;
        for (number, hop) in hops.iter().enumerate() {
            match hop.action {
                Action::Send | Action::Receive => self.at_interface(hop),
                Action::Filter => self.filter(hop),
                Action::Stop => self.stop(hop),
                _ => {
                    let (sight, at, by) = self.quiet(number, hop);
                    self.push(hop, sight, at, by);
                }
            }
        }
        self.surplus(self.own.len());
        self.follow_on();
        self.steps
    }

    fn push(&mut self, hop: &Hop, sight: Sight, at: Option<Duration>, by: Option<By>) {
        let Hop { namespace, link, action, ref object, ref detail } = *hop;
        let (object, detail) = (object.clone(), detail.clone());
        self.steps.push(Step { sight, at, namespace, link, action, object, detail, by });
    }

    fn seen(&self, number: usize) -> Option<(usize, &'a Seen, Option<Duration>)> {
        let (namespace, event) = self.own[number];
        match &event.what {
            What::Seen(seen) => Some((namespace, seen, event.at)),
            _ => None,
        }
    }

    fn visit(&self, number: usize) -> Option<(usize, &'a Visit)> {
        let (namespace, event) = self.own[number];
        match &event.what {
            What::Hook(visit) => Some((namespace, visit)),
            _ => None,
        }
    }

    /// A packet at an interface.
    fn at_interface(&mut self, hop: &Hop) {
        let sent = hop.action == Action::Send;
        let is_it = |number: &usize, sent: bool| {
            !self.used[*number]
                && self.seen(*number).is_some_and(|(namespace, seen, _)| {
                    namespace == hop.namespace && Some(seen.link) == hop.link && seen.sent == sent
                })
        };
        let all = self.next..self.own.len();
        if let Some(found) = all.clone().find(|number| is_it(number, sent)) {
            self.surplus(found);
            self.used[found] = true;
            self.next = found + 1;
            let at = self.own[found].1.at;
            // Its other pieces pass there, too.
            self.pieces(found);
            return self.push(hop, Sight::Seen, at, Some(By::Packets));
        }
        // What goes out by lo is seen as it comes in again.
        let state = self.known.state(hop.namespace);
        let is_lo = hop.link.and_then(|link| state?.link(link)).is_some_and(|link| link.loopback);
        if sent && is_lo && all.into_iter().any(|number| is_it(&number, false)) {
            return self.push(hop, Sight::Seen, None, Some(By::Packets));
        }
        let is_seen = self.known.is_seen_at(hop.namespace, hop.link);
        self.push(hop, if is_seen { Sight::Missing } else { Sight::Silent }, None, None);
    }

    /// Other fragments of what was seen. If it goes round, those that come by later have another TTL.
    fn pieces(&mut self, of: usize) {
        let Some((namespace, first, _)) = self.seen(of) else { return };
        let Some(fragment) = first.fragment else { return };
        for number in 0..self.own.len() {
            if let Some((other, seen, _)) = self.seen(number)
                && other == namespace
                && (seen.link, seen.sent, seen.ttl) == (first.link, first.sent, first.ttl)
                && seen.fragment.is_some_and(|one| one.id == fragment.id)
            {
                self.used[number] = true;
            }
        }
    }

    /// Rules let it pass, or change it.
    fn filter(&mut self, hop: &Hop) {
        let found = (0..self.own.len()).find(|&number| {
            !self.used[number]
                && self.visit(number).is_some_and(|(namespace, visit)| {
                    namespace == hop.namespace
                        && visit.steps.iter().any(|met| rules::object(met) == hop.object)
                })
        });
        let Some(found) = found else {
            let is_rule = hop.object != "connection tracking";
            // Pieces that are put together again are not traced any more.
            let looked = is_rule && self.known.traced.contains(&hop.namespace) && !self.is_cut();
            return self.push(hop, if looked { Sight::Missing } else { Sight::Silent }, None, None);
        };
        self.used[found] = true;
        self.details(found, Some(&hop.object));
        self.push(hop, Sight::Seen, None, Some(By::Rules));
    }

    /// The rules of a hook, but the one that is told of by itself.
    fn details(&mut self, number: usize, but: Option<&str>) {
        let Some((namespace, visit)) = self.visit(number) else { return };
        let last = visit.steps.iter().rposition(|met| Some(&*rules::object(met)) == but);
        for (place, met) in visit.steps.iter().enumerate() {
            if Some(place) == last || !rules::is_telling(met) {
                continue;
            }
            let sight = if but.is_some() { Sight::Detail } else { Sight::Unforeseen };
            let step = self.met(namespace, visit, met, sight);
            self.steps.push(step);
        }
    }

    fn met(&self, namespace: usize, visit: &Visit, met: &Met, sight: Sight) -> Step {
        let state = self.known.state(namespace);
        Step {
            sight,
            at: None,
            namespace,
            link: None,
            action: if rules::drops(met) { Action::Stop } else { Action::Filter },
            object: rules::object(met),
            detail: rules::detail(state, visit.hook, met),
            by: Some(By::Rules),
        }
    }

    /// Where it is predicted to end.
    fn stop(&mut self, hop: &Hop) {
        self.neighbours_asked(hop);
        let by_rule = (0..self.own.len()).find(|&number| {
            !self.used[number]
                && self.visit(number).is_some_and(|(namespace, visit)| {
                    namespace == hop.namespace
                        && visit.end == VisitEnd::Dropped
                        && visit.steps.last().is_some_and(|met| rules::object(met) == hop.object)
                })
        });
        if let Some(found) = by_rule {
            self.surplus(found);
            self.used[found] = true;
            self.next = self.next.max(found + 1);
            self.details(found, Some(&hop.object));
            self.dropped(hop.namespace);
            return self.push(hop, Sight::Seen, None, Some(By::Rules));
        }
        if let Some((at, reason)) = self.dropped(hop.namespace) {
            self.steps.push(Step {
                sight: Sight::Detail,
                at,
                namespace: hop.namespace,
                link: None,
                action: Action::Stop,
                object: "the kernel".to_owned(),
                detail: reason,
                by: Some(By::Tracepoints),
            });
            return self.push(hop, Sight::Seen, None, Some(By::Tracepoints));
        }
        if self.known.refused && self.role == Role::Request {
            return self.push(hop, Sight::Seen, None, Some(By::Socket));
        }
        // That nothing more is seen shows it, where more would be seen.
        let more = (self.next..self.own.len()).any(|number| !self.is_excused(number));
        let (sight, by) = match (more || self.known.heard, self.known.is_watched(hop.namespace)) {
            (true, _) => (Sight::Missing, None),
            (false, true) => (Sight::Seen, Some(By::Packets)),
            (false, false) => (Sight::Silent, None),
        };
        self.push(hop, sight, None, by);
    }

    /// Takes note of what the kernel's tracepoints say of its end in a namespace.
    fn dropped(&mut self, namespace: usize) -> Option<(Option<Duration>, String)> {
        let found = (0..self.own.len()).find(|&number| {
            let (other, event) = self.own[number];
            !self.used[number] && other == namespace && matches!(event.what, What::Dropped { .. })
        })?;
        self.used[found] = true;
        let (_, event) = self.own[found];
        let What::Dropped { reason, location, .. } = &event.what else { return None };
        let place = location.as_ref().map_or_else(String::new, |place| format!(" in {place}"));
        Some((event.at, format!("{reason}{place}")))
    }

    /// Who was asked for in vain where it ends.
    fn neighbours_asked(&mut self, hop: &Hop) {
        let in_place = |(namespace, _, one): &&(usize, Option<Duration>, Neighbour)| {
            *namespace == hop.namespace && hop.link.is_none_or(|link| one.link == link)
        };
        let mut told = Vec::new();
        for (namespace, at, one) in self.neighbours.iter().filter(in_place) {
            let answered = self.neighbours.iter().any(|(other, _, answer)| {
                other == namespace && answer.target == one.target && answer.mac.is_some()
            });
            if !one.sent
                || one.mac.is_some()
                || answered
                || told.iter().any(|(_, target)| *target == one.target)
            {
                continue;
            }
            told.push((*at, one.target));
        }
        // Others ask for others.
        for (at, target) in told {
            self.steps.push(Step {
                sight: Sight::Detail,
                at,
                namespace: hop.namespace,
                link: hop.link,
                action: Action::Resolve,
                object: target.to_string(),
                detail: "asked for, and nobody answers".to_owned(),
                by: Some(By::Packets),
            });
        }
    }

    /// What was seen before `until` and was not predicted.
    fn surplus(&mut self, until: usize) {
        for number in 0..until {
            if self.used[number] || self.is_excused(number) {
                continue;
            }
            self.used[number] = true;
            if let Some((namespace, seen, at)) = self.seen(number) {
                let (link, object) = (Some(seen.link), seen.name.clone());
                let action = if seen.sent { Action::Send } else { Action::Receive };
                let detail = flow(&seen.flow);
                let (sight, by) = (Sight::Unforeseen, Some(By::Packets));
                self.steps.push(Step { sight, at, namespace, link, action, object, detail, by });
            } else if self.visit(number).is_some() {
                self.details(number, None);
            }
        }
        self.next = self.next.max(until);
    }

    /// Whether it says nothing about the prediction: copies that bridges and tunnels make for others.
    fn is_excused(&self, number: usize) -> bool {
        if self.used[number] {
            return true;
        }
        if let Some((_, visit)) = self.visit(number) {
            return !visit.steps.iter().any(rules::is_telling);
        }
        // The kernel also drops copies for others, and what a program has got a copy of: where it is told of, it is no contradiction.
        if let What::Dropped { .. } = &self.own[number].1.what {
            return true;
        }
        let Some((namespace, seen, _)) = self.seen(number) else { return false };
        let link = self.known.state(namespace).and_then(|state| state.link(seen.link));
        seen.for_others
            || seen.in_tunnel
            || self.is_repeated(number)
            // Where one piece is lost the others go on.
            || seen.fragment.is_some_and(|piece| piece.offset > 0)
            || link.is_some_and(|link| {
                link.master.is_some() || matches!(link.kind, Some(LinkKind::Bridge(_))) && seen.sent
            })
    }

    /// Whether it is what the kernel sends once more as no answer comes: after a second first (`TCP_TIMEOUT_INIT`,
    /// `include/net/tcp.h`). What goes round comes again far sooner.
    fn is_repeated(&self, number: usize) -> bool {
        let Some((namespace, seen, Some(at))) = self.seen(number) else { return false };
        (0..number).any(|earlier| {
            self.seen(earlier).is_some_and(|(other, first, before)| {
                (other, first.link, first.sent, first.flow) == (namespace, seen.link, seen.sent, seen.flow)
                    && before.is_some_and(|before| at.saturating_sub(before) >= REPEATED)
            })
        })
    }

    /// What happens between two interfaces is shown by the one after it.
    fn follow_on(&mut self) {
        for number in 0..self.steps.len() {
            let step = &self.steps[number];
            let between = matches!(
                step.action,
                Action::Bridge | Action::Fragment | Action::Encapsulate | Action::Decapsulate
            );
            if !between || step.sight != Sight::Silent {
                continue;
            }
            let is_interface = |step: &&Step| matches!(step.action, Action::Send | Action::Receive);
            if self.steps[number + 1..]
                .iter()
                .find(is_interface)
                .is_some_and(|next| next.sight == Sight::Seen)
            {
                self.steps[number].sight = Sight::Seen;
                self.steps[number].by = Some(By::Packets);
            }
        }
    }
}
