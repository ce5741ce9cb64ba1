//! A trace held against what was predicted.

use std::fmt::Write as _;

use nslab_compare::{By, Facts, Step, Story};
use nslab_observe::trace::{Event, Heard, Role, Seen, Trace, What};
use nslab_predict::{Action, Code, Error as Refusal, Prediction, Told, Verdict, reason};
use nslab_snapshot::Snapshot;
use nslab_view::TraceSight;

use crate::build::Taken;
use crate::compare::{Contradiction, Finding, Part, compare, stops_asking};
use crate::observe::{Observation, Sighting};
use crate::probe::Probe;

/// What a trace saw, in the words of the tester's own sockets.
pub(super) fn observation(
    taken: &Taken,
    probe: &Probe,
    near: &[usize],
    story: &Story,
    trace: &Trace,
    gave_up: Vec<usize>,
) -> Observation {
    let sightings = |event: &Event| -> Vec<Sighting> {
        let What::Seen(seen) = &event.what else { return Vec::new() };
        // What is cut is one packet.
        let is_it = seen.role == Role::Request && seen.fragment.is_none_or(|piece| piece.offset == 0);
        let Some(space) = near.get(event.place).and_then(|&place| taken.space(place)).filter(|_| is_it)
        else {
            return Vec::new();
        };
        let Seen { link, sent, for_others: is_others, in_tunnel, .. } = *seen;
        let own = Sighting { space, link, sent, is_others, in_tunnel };
        let is_lo = taken.state(space).and_then(|state| state.link(link)).is_some_and(|link| link.loopback);
        // What goes out by lo is looked at only as it comes in again.
        if is_lo && !sent { vec![Sighting { sent: true, ..own }, own] } else { vec![own] }
    };
    let told = |heard: &Heard| match *heard {
        Heard::Answer { .. } => None,
        Heard::Reset { from } => Some(Told { from, what: Refusal::Reset }),
        Heard::Error { from, kind, code, mtu } => {
            Some(Told { from, what: Refusal::Icmp { kind, code, mtu } })
        }
    };
    Observation {
        refused: trace.refused.map(rustix::io::Errno::raw_os_error),
        seen: trace.events.iter().flat_map(sightings).collect(),
        arrived: story.verdict == Verdict::Delivered,
        answer: trace.heard.iter().find_map(|heard| match *heard {
            Heard::Answer { from } if from == probe.destination => Some(from),
            _ => None,
        }),
        told: trace.heard.iter().filter_map(told).collect(),
        gave_up,
    }
}

/// How a prediction stands beside a trace.
pub(super) fn finding(
    taken: &Taken,
    probe: &Probe,
    facts: Facts<'_>,
    story: &Story,
    observed: &Observation,
) -> Finding {
    let Facts { prediction, trace, .. } = facts;
    if trace.lost > 0 || trace.missed {
        return Finding::Unsent("not all of what was seen could be looked at");
    }
    let own = compare(taken, probe, prediction, observed);
    if matches!(own, Finding::Unknown(_) | Finding::Unsent(_)) {
        return own;
    }
    let contradicts = |part, kind, text: String| {
        let text = format!(
            "{text}
{}",
            told(taken, story)
        );
        Finding::Contradicts(Contradiction { part, kind, text })
    };
    if story.verdict != prediction.verdict
        && let Some(difference) = story.differences.first()
    {
        return contradicts(Part::Verdict, "as traced".to_owned(), difference.clone());
    }
    if let Some(difference) = story.differences.first() {
        return match first(story) {
            Some(kind) => contradicts(Part::Step, kind, difference.clone()),
            None => contradicts(Part::Told, "as traced".to_owned(), difference.clone()),
        };
    }
    // Of another way the cause is not told.
    if story.other.is_none()
        && let Some((reason, text)) = reason(facts)
    {
        return contradicts(Part::Reason, reason, text);
    }
    match own {
        Finding::Contradicts(Contradiction { part, kind, text }) => contradicts(part, kind, text),
        own => own,
    }
}

/// A story's steps, one a line.
fn told(taken: &Taken, story: &Story) -> String {
    let mut text = String::new();
    for (role, step) in story.ways.iter().flat_map(|(role, steps)| steps.iter().map(move |step| (role, step)))
    {
        let Step { sight, namespace, action, object, detail, .. } = step;
        let space = taken.space(*namespace).unwrap_or(usize::MAX);
        let by = step.by.map_or("", By::as_str);
        let _ = writeln!(text, "  {role:?} {}: n{space} {action:?} {object} {detail} ({by})", sight.as_str());
    }
    text
}

/// Of which packet, how and what the first step is that is at odds with the prediction.
fn first(story: &Story) -> Option<String> {
    let is_odd = |step: &&Step| matches!(step.sight, TraceSight::Missing | TraceSight::Unforeseen);
    story.ways.iter().find_map(|(role, steps)| {
        let step = steps.iter().find(is_odd)?;
        Some(format!("{role:?} {:?} {:?}", step.sight, step.action))
    })
}

/// In what the kernel's reason for throwing the packet away differs from the cause that was predicted.
fn reason(facts: Facts<'_>) -> Option<(String, String)> {
    let Facts { snapshot, places, prediction, trace, .. } = facts;
    let (role, hops) = stopped(prediction)?;
    let end = hops.last().filter(|hop| hop.action == Action::Stop)?;
    let cause = prediction.cause.as_ref()?;
    let code = match cause.inner.unwrap_or(cause.code) {
        // To the kernel it is a link as others are.
        Code::LoopbackDown => Code::LinkDown,
        code => code,
    };
    let drops = trace.events.iter().filter_map(|event| match &event.what {
        What::Dropped { role: whose, reason, location } if *whose == role => {
            Some((*places.get(event.place)?, &**reason, location.as_deref()))
        }
        _ => None,
    });
    let causes = |reason: &str| reason::causes(reason, prediction.packet.is_ipv6());
    // Of what a bridge floods some ports' copies are dropped, wherever the packet itself goes.
    let is_copy = |place: usize, reason: &str| place != end.namespace && reason == "NO_TX_TARGET";
    let telling: Vec<_> =
        drops.filter(|&(place, reason, _)| !causes(reason).is_empty() && !is_copy(place, reason)).collect();
    let is_so = |&(place, reason, _): &(usize, &str, Option<&str>)| {
        // That somebody was asked for in vain may be by anything on the way of the question.
        let is_meant = causes(reason).contains(&code) || reason::is_of_segment(reason) && stops_asking(hops);
        place == end.namespace && is_meant
    };
    if telling.is_empty() || telling.iter().any(is_so) {
        return None;
    }
    let (place, reason, location) = telling.last()?;
    let text = format!(
        "{code} at {} was predicted, and the kernel threw it away at {} for {reason}{}",
        name(snapshot, end.namespace),
        name(snapshot, *place),
        location.map_or_else(String::new, |location| format!(" in {location}"))
    );
    Some(((*reason).to_owned(), text))
}

/// Which packet it is that stops, and its way.
fn stopped(prediction: &Prediction) -> Option<(Role, &[nslab_predict::Hop])> {
    let cause = prediction.cause.as_ref()?;
    match cause.code {
        Code::NoReturnRoute | Code::ReturnDropped | Code::NatMissing => {
            Some((Role::Answer, prediction.answer.as_deref()?))
        }
        // The packet is dropped, and so is the word about it.
        Code::PmtuBlackhole => None,
        _ => Some((Role::Request, &prediction.hops)),
    }
}

fn name(snapshot: &Snapshot, place: usize) -> String {
    snapshot.namespaces[place].name().to_string()
}

/// How many steps of a story stand how to the prediction, and by what they were seen.
pub(super) fn steps(story: &Story) -> Vec<String> {
    let all = story.ways.iter().flat_map(|(_, steps)| steps);
    all.map(|step| match step.by {
        Some(by) => format!("{} by {}", step.sight.as_str(), by.as_str()),
        None => step.sight.as_str().to_owned(),
    })
    .collect()
}
