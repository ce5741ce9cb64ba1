//! What was found out, in words.

#![allow(clippy::format_push_string, reason = "texts grow word by word, none of them in a hurry")]

use std::time::Duration;

use nslab_kernel::route;
use nslab_observe::pmtu::{Fate, Next, Outcome, What};
use nslab_predict::{Code, Evidence, Prediction, Verdict as Predicted, pmtu};
use nslab_snapshot::Snapshot;
use nslab_view::{MtuHop, PathMtu};

use super::measure::Measurement;
use super::verdict::Verdict;
use super::{Findings, path, report};
use crate::cli::output::{self, Output};

pub(super) fn of<'a>(findings: &'a Findings<'_>, output: Output) -> PathMtu<'a> {
    let Findings { network, question, predicted, measured, verdict, .. } = findings;
    let snapshot = network.snapshot;
    let arrow = if output.style().unicode { "→" } else { "->" };
    let packet = &predicted.least.packet;
    let name = nslab_view::namespace_name(snapshot, question.namespace);
    let headline = format!(
        "{name} {} {arrow} {}: packets of {} of up to {} bytes",
        packet.ip.source,
        packet.ip.destination,
        report::protocol(findings.kind),
        predicted.full
    );
    let hops = path::stages(network, predicted).into_iter().map(|stage| MtuHop {
        place: port(snapshot, stage.at.namespace, stage.at.link),
        mtu: stage.mtu,
        overhead: stage.overhead,
        narrow: stage.narrow,
    });
    let cause = findings.cause.as_ref().and_then(|prediction| prediction.cause.as_ref());
    let proved = match cause.map(|cause| cause.code) {
        Some(Code::PmtuBlackhole) => "with it the sender is told, or the packet arrives",
        _ => "with it the packet arrives",
    };
    PathMtu {
        headline,
        hops: hops.collect(),
        rows: rows(findings, arrow),
        measured: measured.is_some(),
        verdict: verdict.word().to_owned(),
        good: (*verdict != Verdict::Unknown).then(|| verdict.is_good()),
        at: cause.map_or_else(String::new, |cause| at(snapshot, cause)),
        sentences: sentences(findings),
        fix: findings.fix.as_ref().zip(cause).map(|(fix, cause)| (fix, cause, proved)),
        differences: findings.differences.clone(),
    }
}

fn port(snapshot: &Snapshot, namespace: usize, link: u32) -> String {
    let space = nslab_view::namespace_name(snapshot, namespace);
    match nslab_view::link_name(snapshot, namespace, link) {
        Some(link) => format!("{space}:{link}"),
        None => space,
    }
}

/// The code of a cause, and where it is.
fn at(snapshot: &Snapshot, cause: &nslab_predict::Cause) -> String {
    let space = nslab_view::namespace_name(snapshot, cause.namespace);
    let link = cause.link.and_then(|link| nslab_view::link_name(snapshot, cause.namespace, link));
    let object = nslab_view::short_object(&cause.object, &space);
    let inner = cause.inner.map_or_else(String::new, |inner| format!(" ({inner})"));
    match link {
        Some(link) if link == object || object.is_empty() => {
            format!(": {}{inner} at {space}:{link}", cause.code)
        }
        Some(link) => format!(": {}{inner} at {space}:{link}, {object}", cause.code),
        None => format!(": {}{inner} at {space}, {object}", cause.code),
    }
}

/// Prediction and measurement, side by side.
fn rows(findings: &Findings<'_>, arrow: &str) -> Vec<[String; 3]> {
    let Findings { network, predicted, measured, .. } = findings;
    let row = |label: String, one: String, other: String| [label, one, other];
    let bytes = |size: Option<u32>| size.map_or_else(|| "none".to_owned(), |size| size.to_string());
    let mut rows = vec![row(
        "largest that gets through".to_owned(),
        if predicted.least.verdict == Predicted::Unknown {
            "not known".into()
        } else {
            bytes(predicted.mtu())
        },
        measured.as_ref().map_or_else(String::new, |measured| bytes(measured.measured.largest)),
    )];
    let mut sizes: Vec<u32> = predicted.rungs.iter().map(|rung| rung.packet.ip.size).collect();
    if let Some(measured) = measured {
        sizes.extend(measured.measured.discovery(measured.start()).iter().map(|step| step.size));
    }
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    sizes.dedup();
    for &size in &sizes {
        let foreseen = predicted.rungs.iter().find(|rung| rung.packet.ip.size == size);
        let found = measured.as_ref().and_then(|measured| measured.measured.at(size));
        rows.push(row(
            format!("{size} bytes"),
            foreseen.map_or_else(String::new, |rung| foretold(predicted, rung)),
            found.map_or_else(String::new, told),
        ));
    }
    if let Some(measurement) = measured {
        for &size in &sizes {
            let Some(outcome) = measurement.measured.at(size).filter(|outcome| !outcome.passes) else {
                continue;
            };
            let seen = |what: fn(What) -> bool| way(network.snapshot, measurement, outcome, what, arrow);
            let last = seen(|what| matches!(what, What::Probe { .. }));
            let named = |names: String| if names.is_empty() { "nowhere".to_owned() } else { names };
            rows.push(row(format!("  {size} seen at"), String::new(), named(last)));
            let errors = seen(|what| matches!(what, What::TooBig { .. }));
            // Where nothing gets through, nothing is too big.
            if measurement.measured.largest.is_some() {
                rows.push(row("  word of it seen at".to_owned(), String::new(), named(errors)));
            }
        }
        rows.push(row(
            "the sender's route says".to_owned(),
            predicted.route.map_or_else(String::new, |route| route.to_string()),
            route_says(measurement),
        ));
        if let Some(next) = measurement.next {
            let text = match next {
                Next::Refuses => "the sender refuses, and so obeys".to_owned(),
                Next::Sends => "the sender sends it again".to_owned(),
                Next::Fails(error) => error.to_string(),
            };
            rows.push(row(format!("the next of {}", predicted.full), String::new(), text));
        }
    }
    rows
}

/// What is predicted of a size.
fn foretold(predicted: &pmtu::PathMtu, rung: &Prediction) -> String {
    if predicted.gets_through(rung) {
        return "gets through".to_owned();
    }
    match (rung.told.map(|told| told.from), pmtu::told(rung), rung.verdict) {
        (Some(from), Some(mtu), _) => format!("{from} says: {mtu}"),
        (.., Predicted::Unknown) => "not known".to_owned(),
        (.., Predicted::Rejected) => "is refused".to_owned(),
        _ => "silence".to_owned(),
    }
}

/// What became of a size.
fn told(outcome: &Outcome) -> String {
    match outcome.fate {
        Fate::Answered(time) => {
            let pieces = outcome.seen.iter().any(|one| one.what == What::Probe { in_pieces: true });
            let how = if pieces { ", in pieces" } else { "" };
            format!("gets through{how}{}", took(time))
        }
        Fate::Arrived if outcome.passes => "gets through".to_owned(),
        Fate::Arrived => "arrives, and no answer comes".to_owned(),
        Fate::TooBig { from, mtu } => format!("{from} says: {mtu}"),
        Fate::Refused { from, kind, code } => format!("{from} says: ICMP type {kind} code {code}"),
        Fate::NotSent(error) => format!("is not sent: {error}"),
        Fate::Silent => "silence".to_owned(),
    }
}

/// How long an answer took; nothing of what the clock does not tell.
fn took(time: Duration) -> String {
    match time.as_micros() {
        0 => String::new(),
        micros @ 1..1000 => format!(" ({micros} µs)"),
        _ => format!(" ({})", output::duration(time)),
    }
}

/// The interfaces at which something was seen, in the order of time.
fn way(
    snapshot: &Snapshot,
    measurement: &Measurement,
    outcome: &Outcome,
    what: fn(What) -> bool,
    arrow: &str,
) -> String {
    let mut names: Vec<String> = Vec::new();
    for seen in outcome.seen.iter().filter(|seen| what(seen.what)) {
        let place = measurement.places.get(seen.place).copied().unwrap_or_default();
        let name = format!("{}:{}", nslab_view::namespace_name(snapshot, place), seen.interface);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(&format!(" {arrow} "))
}

/// What the sender's kernel took the way to carry before, and now.
fn route_says(measurement: &Measurement) -> String {
    let words = |known: &route::PathMtu| match (known.mtu, known.expires) {
        (None, _) => "nothing".to_owned(),
        (Some(mtu), None) => mtu.to_string(),
        (Some(mtu), Some(left)) => format!("{mtu}, for {}", seconds(left)),
    };
    let (before, after) = (words(&measurement.before), words(&measurement.after));
    let learned = measurement.before.mtu != measurement.after.mtu;
    if learned { format!("{after} (before: {before})") } else { after }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64().round())
}

/// What it means.
fn sentences(findings: &Findings<'_>) -> Vec<String> {
    let Findings { predicted, measured, verdict, .. } = findings;
    let cause = findings.cause.as_ref().and_then(|prediction| prediction.cause.as_ref());
    let mut all = Vec::new();
    match cause.map(|cause| &cause.evidence) {
        Some(Evidence::Doubts(doubts)) if !doubts.is_empty() => {
            for doubt in doubts {
                all.push(format!("not known: {}; to settle it: {}", doubt.what, doubt.settle));
            }
        }
        _ => all.extend(cause.map(|cause| cause.text.clone())),
    }
    all.extend(unheard(findings));
    let heard = |step: &&Outcome| matches!(step.fate, Fate::TooBig { .. });
    match (verdict, measured) {
        (Verdict::Whole, _) => {
            all.push(format!("{} bytes get through, which is all that the sender's interface takes", predicted.full));
        }
        (Verdict::Discovered, _) if cause.is_none() && predicted.route.is_some() => {
            let route = predicted.route.unwrap_or_default();
            all.push(format!("the sender's own route says {route}, so that it sends no larger packets"));
        }
        (Verdict::Discovered, _) => {
            all.push("the sender learns it and sends smaller packets".to_owned());
        }
        (Verdict::Lost, Some(measured)) if measured.next == Some(Next::Sends) => all.push(
            "the word gets to the sender, which does not obey it: look at its firewall and at ip_no_pmtu_disc".to_owned(),
        ),
        (Verdict::Lost, Some(measured)) => {
            let steps = measured.measured.discovery(measured.start());
            let then = if steps.iter().any(heard) { "then " } else { "" };
            if let Some(last) = steps.last() {
                all.push(format!("{then}{} bytes are lost, and the sender goes on sending them", last.size));
            }
        }
        (Verdict::Lost, None) => all.push("the sender is not told, and goes on sending them".to_owned()),
        (Verdict::Unreachable, _) => {
            all.push("the smallest packet does not get through: this is not a matter of size".to_owned());
        }
        (Verdict::Unknown, _) => {}
    }
    all
}

/// Who makes the word that a packet is too big, where it does not come, and how far it was seen.
fn unheard(findings: &Findings<'_>) -> Option<String> {
    let Findings { network, cause, measured, .. } = findings;
    let prediction = cause.as_ref()?;
    if prediction.cause.as_ref()?.code != Code::PmtuBlackhole {
        return None;
    }
    let narrow = path::narrow(network, prediction)?;
    let maker = nslab_view::namespace_name(network.snapshot, narrow.namespace);
    let what = if prediction.packet.is_ipv6() { "\"packet too big\"" } else { "\"fragmentation needed\"" };
    let mut text = format!("{maker} makes {what}, which the sender never gets");
    let outcome = measured.as_ref().and_then(|one| Some((one, one.measured.at(prediction.packet.ip.size)?)));
    if let Some((measurement, outcome)) = outcome {
        let mut seen = outcome.seen.iter().rev().filter(|one| matches!(one.what, What::TooBig { .. }));
        match seen.next() {
            Some(last) => {
                let place = measurement.places.get(last.place).copied().unwrap_or_default();
                let space = nslab_view::namespace_name(network.snapshot, place);
                text += &format!(": it was last seen at {space}:{}", last.interface);
            }
            None => text += ": no interface saw it",
        }
    }
    Some(text)
}
