//! Prediction and observation held against each other.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nslab_decode::{Frame, Link, Transport, decode};
use nslab_kernel::nftables::{Family, Hook};
use nslab_observe::trace::{Captured, Heard, Kind, Probe, Role, Trace, VisitEnd, What};
use nslab_predict::{Action, Code, Evidence, Hop, Prediction, Verdict, reason};
use nslab_snapshot::Snapshot;
use nslab_view::TraceSight as Sight;

use crate::counts::{self, Count};
use crate::rules;
use crate::weave::{By, Known, Only, Step, flow, weave};

#[cfg(test)]
mod tests;
mod withheld;

/// What became of the packet, beside what was predicted.
#[derive(Debug)]
pub struct Story {
    /// What really became of it.
    pub verdict: Verdict,
    /// The ways of the packet, its answer and the error about it, as far as there are such.
    pub ways: Vec<(Role, Vec<Step>)>,
    /// In what the prediction was wrong, sentences.
    pub differences: Vec<String>,
    /// Steps that were predicted are missing, and may be among what was lost on its way to the trace: whether all was as predicted
    /// is not known. Or an error [was withheld](Self::is_error_withheld).
    pub is_partial: bool,
    /// The kernel did not send the ICMP error that was predicted, as it does with those that follow on others: whether it would have been
    /// as predicted is not known.
    pub is_error_withheld: bool,
    /// Where it ended, if that is not where it was predicted to, or it took another way.
    pub end: Option<End>,
    /// By what it was seen.
    pub evidence: BTreeSet<By>,
    /// What the kernel counted, by this packet or by others, if it did not arrive.
    pub counts: Vec<Count>,
    /// It arrived, and nobody needs to answer.
    pub is_unanswered: bool,
    /// Which of [`Prediction::others`] it took, if not the way that the prediction tells of. What comes back of that is not foretold.
    pub other: Option<usize>,
}

/// Where a packet was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// What stopped it; [`Code::Unmodelled`] if only the place is known.
    pub code: Code,
    /// The place of the namespace in the snapshot.
    pub namespace: usize,
    /// The interface.
    pub link: Option<u32>,
    /// The object to blame, if one is known: a rule, say; else what it was last seen at.
    pub object: String,
    /// In words.
    pub text: String,
}

/// All that is known.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What the prediction is of.
    pub snapshot: &'a Snapshot,
    /// For each place of the trace its place in the snapshot.
    pub places: &'a [usize],
    /// What was sent.
    pub probe: &'a Probe,
    /// What was to become of it.
    pub prediction: &'a Prediction,
    /// What was seen of it.
    pub trace: &'a Trace,
}

impl Story {
    /// Holds one against the other.
    pub fn of(facts: Facts<'_>) -> Self {
        let Facts { prediction, trace, .. } = facts;
        let arrived = facts.has_arrived();
        let (verdict, is_unanswered) = facts.verdict(arrived);
        let (other, request) = facts.request();
        let mut ways = vec![(Role::Request, request)];
        let has = |role: Role| trace.events.iter().any(|event| event.role() == Some(role));
        let none: &[Hop] = &[];
        // Of an answer that nobody owed there is nothing to say.
        if has(Role::Answer) || (prediction.answer.is_some() && arrived && !is_unanswered) {
            let hops = prediction.answer.as_deref();
            let steps = facts.weave(Role::Answer, hops.unwrap_or(none));
            ways.push((Role::Answer, if hops.is_none() { untold(other, steps) } else { steps }));
        }
        let is_told = !matches!(trace.heard.first(), None | Some(Heard::Answer { .. }));
        let error = prediction.error.as_deref().filter(|_| other.is_none());
        // Of a word that nobody counts on nothing was predicted.
        let is_given_up =
            verdict == Verdict::Dropped && error.is_none() && (is_told || facts.tells_of_neighbours());
        let is_owed = error.is_some() && verdict != Verdict::Delivered && is_told;
        if !is_given_up && (has(Role::Error) || is_owed) {
            let steps = facts.weave(Role::Error, error.unwrap_or(none));
            ways.push((Role::Error, untold(other, steps)));
        }
        let is_error_withheld = facts.is_error_withheld(&ways[0].1);
        let differences =
            if is_error_withheld { Vec::new() } else { facts.differences(verdict, is_unanswered, &ways) };
        let mut steps = ways.iter().flat_map(|(_, steps)| steps);
        let is_partial =
            is_error_withheld || facts.is_lossy() && steps.any(|step| step.sight == Sight::Missing);
        // Of another way it is foretold that it ends alike, but not by what.
        let is_blamed = differences.is_empty() && other.is_none() && prediction.verdict != Verdict::Unknown;
        let end = (verdict != Verdict::Delivered && !is_blamed).then(|| facts.end());
        let mut counts = Vec::new();
        if verdict != Verdict::Delivered {
            let blamed = prediction.cause.as_ref().filter(|_| end.is_none());
            counts = counts::counts(facts, blamed);
            if let Some(cause) = blamed {
                counts::show(facts.snapshot, &counts, cause, &mut ways);
            }
        }
        let mut evidence: BTreeSet<By> =
            ways.iter().flat_map(|(_, steps)| steps).filter_map(|step| step.by).collect();
        evidence.insert(By::Packets);
        Self {
            verdict,
            ways,
            differences,
            is_partial,
            is_error_withheld,
            end,
            evidence,
            counts,
            is_unanswered,
            other,
        }
    }
}

/// Steps of what comes back of a packet that took another way than the one told of: nobody said that there would be none.
fn untold(other: Option<usize>, mut steps: Vec<Step>) -> Vec<Step> {
    let unforeseen = steps.iter_mut().filter(|step| other.is_some() && step.sight == Sight::Unforeseen);
    unforeseen.for_each(|step| step.sight = Sight::Detail);
    steps
}

impl Facts<'_> {
    /// Whether something was lost on its way to the trace, so that nothing can be missed.
    fn is_lossy(&self) -> bool {
        self.trace.lost > 0 || self.trace.missed
    }

    /// Where rules are traced.
    fn traced(&self) -> Vec<usize> {
        let untraced = |number: usize| self.trace.untraced.iter().any(|(place, _)| *place == number);
        let places = self.places.iter().enumerate();
        places.filter(|(number, _)| !untraced(*number)).map(|(_, place)| *place).collect()
    }

    fn weave(&self, role: Role, hops: &[Hop]) -> Vec<Step> {
        let heard = self.trace.heard.iter().any(|heard| match role {
            Role::Request => false,
            Role::Answer => self.is_answer(heard),
            Role::Error => !matches!(heard, Heard::Answer { .. }),
        });
        let known = Known {
            snapshot: self.snapshot,
            places: self.places,
            only: &Only::new(),
            traced: &self.traced(),
            answered: self.trace.events.iter().any(|event| event.role() == Some(Role::Answer)),
            made: self.trace.events.iter().any(|event| event.role() == Some(role)),
            heard,
            refused: self.trace.refused.is_some(),
        };
        weave(known, role, hops, &self.trace.events)
    }

    /// The packet's own way: of several that it may take, that which it took, and which of the others that is.
    fn request(&self) -> (Option<usize>, Vec<Step>) {
        let ways = std::iter::once(&self.prediction.hops).chain(&self.prediction.others);
        let woven = ways.map(|hops| self.weave(Role::Request, hops)).enumerate();
        let best = woven.min_by_key(|(_, steps)| steps.iter().filter(|step| is_difference(step)).count());
        best.map(|(number, steps)| (number.checked_sub(1), steps)).unwrap_or_default()
    }

    /// Whether it came to a namespace that takes it.
    fn has_arrived(&self) -> bool {
        let passed_input = self.trace.events.iter().any(|event| match &event.what {
            What::Hook(visit) => {
                visit.role == Role::Request
                    && visit.family != Family::Bridge
                    && visit.hook == Some(Hook::Input)
                    && visit.end == VisitEnd::Passed
            }
            _ => false,
        });
        if passed_input {
            return true;
        }
        // Without rules that are traced: that it is answered, or was seen where somebody has its address.
        let answered = self.trace.events.iter().any(|event| event.role() == Some(Role::Answer));
        answered
            || self.trace.events.iter().any(|event| match &event.what {
                What::Seen(seen) => {
                    let state = self
                        .places
                        .get(event.place)
                        .and_then(|place| self.snapshot.namespaces[*place].state());
                    let untraced = self.trace.untraced.iter().any(|(place, _)| *place == event.place);
                    untraced
                        && seen.role == Role::Request
                        && !seen.sent
                        && !seen.for_others
                        && state.is_some_and(|state| has(state, seen.flow.destination))
                }
                _ => false,
            })
    }

    /// What became of it; and whether it arrived without an answer, as it may.
    fn verdict(&self, arrived: bool) -> (Verdict, bool) {
        match self.trace.heard.first() {
            Some(heard @ Heard::Answer { .. }) if self.is_answer(heard) => {
                return (Verdict::Delivered, false);
            }
            // No word of anybody's, either.
            Some(Heard::Answer { .. }) => return (Verdict::Dropped, false),
            Some(_) if self.is_given_up() => return (Verdict::Dropped, false),
            Some(_) => return (Verdict::Rejected, false),
            None => {}
        }
        let may_be_silent =
            matches!(self.probe.kind, Kind::Udp { .. } | Kind::Other(_)) && !self.is_lost_behind_input();
        let has = |role: Role| self.trace.events.iter().any(|event| event.role() == Some(role));
        if arrived && may_be_silent && self.trace.refused.is_none() && !has(Role::Answer) && !has(Role::Error)
        {
            return (Verdict::Delivered, true);
        }
        (Verdict::Dropped, false)
    }

    /// Whether it is an answer to a program that asks one address. From another it is none, unless many were asked.
    fn is_answer(&self, heard: &Heard) -> bool {
        let Heard::Answer { from } = heard else { return false };
        let asks_one = matches!(self.prediction.verdict, Verdict::Dropped | Verdict::Rejected);
        *from == self.probe.destination || !asks_one
    }

    /// Whether it came to its host, and silence means that it or its answer was lost there or later: the kernel says that nobody
    /// listens; or that is what was predicted, and nothing else is to be seen of it.
    fn is_lost_behind_input(&self) -> bool {
        let says_so = self.trace.events.iter().any(|event| match &event.what {
            What::Dropped { role: Role::Request, reason, .. } => {
                reason::by_itself(reason) == Some(Code::NoListener)
            }
            _ => false,
        });
        let code = self.prediction.cause.as_ref().map(|cause| cause.code);
        let is_predicted = self.prediction.verdict == Verdict::Dropped
            && (self.prediction.answer.is_some()
                || matches!(code, Some(Code::NoListener | Code::ListenerOtherAddress)));
        says_so || is_predicted
    }

    /// Whether all that the sender heard is that somebody was asked for in vain, which the kernel tells after seconds: that is no
    /// word of anybody's ([`Verdict::Dropped`]). Another packet may have asked before this one.
    fn is_given_up(&self) -> bool {
        let predicted = self.prediction.verdict == Verdict::Dropped;
        let told = self.prediction.told;
        // "Host unreachable", "address unreachable".
        let is_host = |heard: &Heard| match *heard {
            Heard::Error { from, kind, code, .. } if from.is_ipv6() => (kind, code) == (1, 3),
            Heard::Error { kind, code, .. } => (kind, code) == (3, 1),
            Heard::Answer { .. } | Heard::Reset { .. } => false,
        };
        // A router tells it, too, and then who does is known.
        let is_foreseen = |heard: &Heard| told.is_none_or(|told| is_told(*heard, told));
        predicted && self.trace.heard.iter().all(|heard| is_host(heard) && is_foreseen(heard))
    }

    /// Whether all errors that were seen and that nobody heard say that somebody was asked for in vain. They may be dropped as well.
    fn tells_of_neighbours(&self) -> bool {
        let mut errors = self.trace.events.iter().filter_map(|event| match &event.what {
            What::Seen(seen) if seen.role == Role::Error => Some(seen),
            _ => None,
        });
        let predicted = self.prediction.verdict == Verdict::Dropped;
        predicted && self.trace.heard.is_empty() && errors.all(|seen| is_of_host(&seen.frame))
    }

    /// Whether it is not known if the error gets to the sender: one way on which it does is told of, and no word foretold.
    fn is_error_unsure(&self) -> bool {
        let last = self.prediction.error.as_ref().and_then(|hops| hops.last());
        self.prediction.told.is_none() && last.is_some_and(|hop| hop.action == Action::Deliver)
    }

    fn differences(&self, verdict: Verdict, is_unanswered: bool, ways: &[(Role, Vec<Step>)]) -> Vec<String> {
        let predicted = self.prediction.verdict;
        if predicted == Verdict::Unknown {
            return Vec::new();
        }
        let mut all = Vec::new();
        let word = nslab_view::verdict_word;
        if verdict != predicted {
            all.push(format!("it was predicted to be {}, and was {}", word(predicted), word(verdict)));
        }
        for (role, steps) in ways {
            if *role == Role::Answer && is_unanswered || *role == Role::Error && self.is_error_unsure() {
                continue;
            }
            let whose = match role {
                Role::Request => "",
                Role::Answer => "the answer: ",
                Role::Error => "the error: ",
            };
            // One leads to the next.
            let counts =
                |step: &&Step| is_difference(step) && !(self.is_lossy() && step.sight == Sight::Missing);
            if let Some(step) = steps.iter().find(counts) {
                all.push(format!("{whose}{}", difference(self.snapshot, step)));
            }
        }
        if let (Verdict::Rejected, Some(told), Some(heard)) =
            (verdict, self.prediction.told, self.trace.heard.first())
            && !is_told(*heard, told)
        {
            all.push("the sender was told something else than was predicted".to_owned());
        }
        all
    }

    fn place(&self, namespace: usize, link: Option<u32>) -> String {
        place(self.snapshot, namespace, link)
    }

    /// Where what was seen last, of the packet or of what came back, ended.
    fn end(&self) -> End {
        let role = [Role::Error, Role::Answer, Role::Request]
            .into_iter()
            .find(|role| self.trace.events.iter().any(|event| event.role() == Some(*role)))
            .unwrap_or(Role::Request);
        let (whose, code_of_rule) = match role {
            Role::Request => ("it", Code::FirewallDrop),
            Role::Answer => ("the answer", Code::ReturnDropped),
            Role::Error => ("the error", Code::ReturnDropped),
        };
        let own = || self.trace.events.iter().filter(|event| event.role() == Some(role)).rev();
        let namespace = |place: usize| self.places.get(place).copied().unwrap_or(0);
        for event in own() {
            if let What::Hook(visit) = &event.what
                && visit.end == VisitEnd::Dropped
                && let Some(met) = visit.steps.last()
            {
                let namespace = namespace(event.place);
                let state = self.snapshot.namespaces[namespace].state();
                let detail = rules::detail(state, visit.hook, met);
                let (link, object) = (None, rules::object(met));
                let text = format!("{whose} is dropped by a rule, {detail}");
                return End { code: code_of_rule, namespace, link, object, text };
            }
        }
        if let Some(errno) = self.trace.refused {
            let namespace = namespace(self.probe.place);
            let words = std::io::Error::from(errno).to_string();
            let words = words.split_once(" (os error").map_or(&*words, |(words, _)| words).to_lowercase();
            let text = format!("the sender's kernel does not send it: {words}");
            let object = self.probe.destination.to_string();
            return End { code: Code::Unmodelled, namespace, link: None, object, text };
        }
        for event in own() {
            if let What::Dropped { reason, location, .. } = &event.what
                && reason != "OTHERHOST"
            {
                let namespace = namespace(event.place);
                let place = location.as_ref().map_or_else(String::new, |place| format!(" in {place}"));
                let text = format!("{whose} is thrown away by the kernel{place}: {reason}");
                return End { code: Code::Unmodelled, namespace, link: None, object: reason.clone(), text };
            }
        }
        let last = own().find_map(|event| match &event.what {
            What::Seen(seen) if !seen.for_others => Some((event.place, seen)),
            _ => None,
        });
        let Some((place, seen)) = last else {
            let namespace = namespace(self.probe.place);
            let object = self.probe.destination.to_string();
            let text = "it is not seen at any interface".to_owned();
            return End { code: Code::Unmodelled, namespace, link: None, object, text };
        };
        let namespace = namespace(place);
        let did = if seen.sent { "goes out" } else { "comes in" };
        let text = format!(
            "{whose} ({}) {did} at {} and is seen nowhere after that",
            flow(&seen.flow),
            self.place(namespace, Some(seen.link))
        );
        End { code: Code::Unmodelled, namespace, link: Some(seen.link), object: seen.name.clone(), text }
    }
}

/// What is wrong with a step, a sentence.
pub(crate) fn difference(snapshot: &Snapshot, step: &Step) -> String {
    let place = place(snapshot, step.namespace, step.link);
    let action = nslab_view::action_word(step.action);
    let what = match (step.object.is_empty() || step.link.is_some(), step.detail.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!(" ({})", step.detail),
        (false, true) => format!(" ({})", step.object),
        (false, false) => format!(" ({}: {})", step.object, step.detail),
    };
    match step.sight {
        Sight::Missing => format!("`{action}` at {place} was predicted, and was not seen{what}"),
        _ => format!("`{action}` at {place} was seen, and was not predicted{what}"),
    }
}

/// Where something is, as people say it.
pub(crate) fn place(snapshot: &Snapshot, namespace: usize, link: Option<u32>) -> String {
    let name = nslab_view::namespace_name(snapshot, namespace);
    match link.and_then(|link| nslab_view::link_name(snapshot, namespace, link)) {
        Some(link) => format!("{name}:{link}"),
        None => name,
    }
}

/// Whether a step says that the prediction was wrong.
pub(crate) fn is_difference(step: &Step) -> bool {
    matches!(step.sight, Sight::Missing | Sight::Unforeseen)
}

fn has(state: &nslab_snapshot::State, address: IpAddr) -> bool {
    state.network.addresses.iter().any(|own| own.address.addr() == address)
}

/// Whether a frame is the word that a host cannot be reached (RFC 792, RFC 4443).
fn is_of_host(frame: &Captured) -> bool {
    let bytes = frame.bytes.get(frame.network..).unwrap_or_default();
    let decoded = decode(&Frame::new(bytes).on(Link::Ip));
    match decoded.transport() {
        Some(Transport::Icmp(icmp)) => (icmp.kind, icmp.code) == (3, 1),
        Some(Transport::Icmpv6(icmp)) => (icmp.kind, icmp.code) == (1, 3),
        _ => false,
    }
}

/// Whether what was heard is what was predicted.
fn is_told(heard: Heard, told: nslab_predict::Told) -> bool {
    use nslab_predict::Error;
    match (heard, told.what) {
        (Heard::Reset { .. }, Error::Reset) => true,
        (Heard::Error { from, kind, code, mtu }, Error::Icmp { kind: other, code: same, mtu: room }) => {
            (from, kind, code) == (told.from, other, same) && (mtu == room || room.is_none())
        }
        _ => false,
    }
}

/// Why a verdict was not predicted.
pub fn unknown(prediction: &Prediction) -> Option<String> {
    let cause = prediction.cause.as_ref().filter(|_| prediction.verdict == Verdict::Unknown)?;
    match &cause.evidence {
        Evidence::Doubts(doubts) if !doubts.is_empty() => {
            let all: BTreeSet<&str> = doubts.iter().map(|doubt| &*doubt.what).collect();
            Some(all.into_iter().collect::<Vec<_>>().join("; "))
        }
        _ => Some(cause.text.clone()),
    }
}

/// What a probe of a packet is.
pub fn kind(transport: nslab_predict::Transport) -> Kind {
    use nslab_predict::Transport;
    match transport {
        Transport::Icmp { id, .. } => Kind::Echo { id },
        Transport::Udp { source, destination } => Kind::Udp { source, destination },
        Transport::Tcp(tcp) => Kind::Tcp { source: tcp.source, destination: tcp.destination },
        Transport::Other(number) => Kind::Other(number),
    }
}

/// What was predicted and is left out, as nothing of it was seen: all behind the first step that is missing.
pub fn shown(steps: &[Step]) -> (&[Step], usize) {
    let missing = steps.iter().position(|step| step.sight == Sight::Missing);
    let Some(missing) = missing else { return (steps, 0) };
    let later = |step: &Step| matches!(step.sight, Sight::Seen | Sight::Unforeseen | Sight::Detail);
    let last = steps.iter().rposition(later).map_or(0, |last| last + 1);
    let until = last.max(missing + 1);
    (&steps[..until], steps.len() - until)
}
