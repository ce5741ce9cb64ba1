//! `trace` as text.

#![allow(clippy::format_push_string, reason = "texts grow word by word, none of them in a hurry")]

use std::time::Duration;

use nslab_compare::{By, Step, Story};
use nslab_observe::trace::{Heard, Role, Trace};
use nslab_predict::Verdict;
use nslab_snapshot::Snapshot;
use nslab_view::{Explanation, Style, TraceRow, TraceSection, trace_sections};

use crate::cli::output::duration;

/// The ways step by step, then what became of it, and how that stands to the prediction.
pub(super) fn text(
    story: &Story,
    explanation: &Explanation<'_>,
    trace: &Trace,
    places: &[usize],
    no_tracepoints: Option<&str>,
    style: &Style,
) -> String {
    let snapshot = explanation.snapshot;
    let mut last = Duration::ZERO;
    let mut sections: Vec<TraceSection> = story
        .ways
        .iter()
        .map(|(role, steps)| {
            let (steps, left) = nslab_compare::shown(steps);
            let title = match role {
                Role::Request => None,
                Role::Answer => Some("the answer".to_owned()),
                Role::Error => Some(match trace.heard.first() {
                    Some(Heard::Reset { .. }) => "the TCP reset".to_owned(),
                    _ => "the error".to_owned(),
                }),
            };
            let rows = steps.iter().map(|step| row(step, explanation.snapshot, &mut last)).collect();
            TraceSection { title, rows, left }
        })
        .collect();
    if let Some(connection) = &trace.connection {
        let section = super::connection::section(connection, places, snapshot, &mut last);
        sections.extend((!section.rows.is_empty()).then_some(section));
    }
    let mut text = nslab_view::explanation_headline(explanation, style) + "\n\n";
    text += &trace_sections(&sections, style);
    text += &verdict(story, explanation, style);
    if let Some(connection) = &trace.connection {
        text += &super::connection::end(connection);
    }
    let predicted = explanation.prediction.verdict;
    if let Some(why) = nslab_compare::unknown(explanation.prediction) {
        text += &format!("the prediction was `unknown`: {why}\n");
    } else if story.differences.is_empty() {
        let far = if story.is_partial { ", as far as was seen" } else { "" };
        text += &format!("as predicted{far}{}\n", time(story, trace));
    } else {
        text += &format!("not as predicted ({}):\n", nslab_view::verdict_word(predicted));
        for difference in &story.differences {
            text += &format!("  {difference}\n");
        }
        text += "  that is something which nslab does not model, or which changed meanwhile, or a fault of nslab's\n";
    }
    text += &evidence(story, trace, places, |place| nslab_view::namespace_name(snapshot, place));
    text += &counters(story, snapshot);
    // They would say more of where it ended.
    if let Some(why) = no_tracepoints.filter(|_| story.end.is_some()) {
        text += &format!("kernel tracepoints are not used: {why}\n");
    }
    text
}

/// A step as it is shown; `last` is when the one before it was.
pub(super) fn row(step: &Step, snapshot: &Snapshot, last: &mut Duration) -> TraceRow {
    let namespace = nslab_view::namespace_name(snapshot, step.namespace);
    let since = step.at.map(|at| {
        let since = at.saturating_sub(*last);
        *last = at.max(*last);
        since
    });
    TraceRow {
        sight: step.sight,
        since,
        link: step.link.and_then(|link| nslab_view::link_name(snapshot, step.namespace, link)),
        action: step.action,
        object: nslab_view::short_object(&step.object, &namespace).to_owned(),
        // The reason is told below.
        detail: if step.action == nslab_predict::Action::Stop
            && !matches!(step.by, Some(By::Tracepoints | By::Counters))
        {
            String::new()
        } else {
            step.detail.clone()
        },
        namespace,
    }
}

/// What became of it. What was predicted is told in the words of `explain`.
fn verdict(story: &Story, explanation: &Explanation<'_>, style: &Style) -> String {
    if story.verdict == Verdict::Delivered && story.is_unanswered {
        return "delivered; no answer came, which nobody needs to send\n".to_owned();
    }
    let snapshot = explanation.snapshot;
    let place = |namespace: usize, link: Option<u32>| {
        let name = nslab_view::namespace_name(snapshot, namespace);
        match link.and_then(|link| nslab_view::link_name(snapshot, namespace, link)) {
            Some(link) => format!("{name}:{link}"),
            None => name,
        }
    };
    let word = nslab_view::verdict_word(story.verdict);
    if let Some(end) = &story.end {
        return format!("{word}: {} at {}\n  {}\n", end.code, place(end.namespace, end.link), end.text);
    }
    if let Some(cause) = explanation.prediction.cause.as_ref().filter(|_| story.is_error_withheld) {
        let place = place(cause.namespace, cause.link);
        return format!(
            "{word}: {} at {place}\n  {}\n  no error came of it: of those that follow on each other the kernel sends only some\n",
            cause.code, cause.text
        );
    }
    if story.verdict == explanation.prediction.verdict {
        return nslab_view::explanation_end(explanation, style);
    }
    match story.verdict {
        Verdict::Delivered => "delivered, and the answer comes back\n".to_owned(),
        other => format!("{}\n", nslab_view::verdict_word(other)),
    }
}

/// How long it took until the answer was there.
fn time(story: &Story, trace: &Trace) -> String {
    let last = story.ways.iter().rfind(|(role, _)| *role != Role::Request);
    let last = last.and_then(|(_, steps)| steps.iter().rev().find_map(|step| step.at));
    match (last, trace.heard.first()) {
        (Some(last), Some(Heard::Answer { .. })) => format!("; the answer came after {}", duration(last)),
        (Some(last), Some(_)) => format!("; the sender heard of it after {}", duration(last)),
        _ => String::new(),
    }
}

/// What the kernel counted besides, which need not be the packet.
fn counters(story: &Story, snapshot: &Snapshot) -> String {
    let mut namespaces: Vec<(usize, Vec<String>)> = Vec::new();
    for count in story.counts.iter().filter(|count| !count.backs) {
        let causes: Vec<&str> = count.causes().iter().map(|code| code.as_str()).collect();
        let meaning = if causes.is_empty() { String::new() } else { format!(" ({})", causes.join(", ")) };
        let text = count.text(snapshot) + &meaning;
        match namespaces.iter_mut().find(|(namespace, _)| *namespace == count.namespace) {
            Some((_, texts)) => texts.push(text),
            None => namespaces.push((count.namespace, vec![text])),
        }
    }
    let lines = namespaces.into_iter().map(|(namespace, texts)| {
        let name = nslab_view::namespace_name(snapshot, namespace);
        format!("counters in {name} that grew, by this packet or others: {}\n", texts.join("; "))
    });
    lines.collect()
}

/// By what it was seen, and what could not be.
fn evidence(story: &Story, trace: &Trace, places: &[usize], name: impl Fn(usize) -> String) -> String {
    let count = places.len();
    let s = if count == 1 { "" } else { "s" };
    let by: Vec<&str> = story.evidence.iter().map(|by| by.as_str()).collect();
    let mut text = format!("evidence: {} ({count} namespace{s})\n", by.join(", "));
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for (number, why) in &trace.untraced {
        let name = places.get(*number).map_or_else(String::new, |&place| name(place));
        match reasons.iter_mut().find(|(known, _)| known == why) {
            Some((_, names)) => names.push(name),
            None => reasons.push((why, vec![name])),
        }
    }
    for (why, names) in reasons {
        text += &format!("rules are not traced in {}: {why}\n", names.join(", "));
    }
    if trace.lost > 0 {
        text += &format!(
            "{} packets were lost before they were looked at: what is missing may be among them\n",
            trace.lost
        );
    }
    if trace.missed {
        text += "the kernel told of more rules than there was room for: some are missing\n";
    }
    text
}
