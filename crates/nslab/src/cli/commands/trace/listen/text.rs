//! A packet of others as text.

use std::time::Duration;

use nslab_compare::{Fate, Foreseen, Passing, shown};
use nslab_observe::trace::listen::Packet;
use nslab_snapshot::Snapshot;
use nslab_view::{Style, TraceSection, trace_steps};

use super::packet::words;
use crate::cli::commands::capture::text::Teller;
use crate::cli::commands::trace::tell::row;

/// Adds a packet with its steps, and what became of it.
pub(super) fn packet(
    (seen, tale, foreseen): (&Packet, &Passing, &Foreseen),
    snapshot: &Snapshot,
    teller: &mut Teller,
    style: &Style,
    text: &mut String,
) {
    teller.time(seen.begin, text);
    words(seen, teller, text);
    text.push_str("\n\n");
    let mut last = Duration::ZERO;
    let (steps, left) = shown(&tale.steps);
    let rows = steps.iter().map(|step| row(step, snapshot, &mut last)).collect();
    text.push_str(&trace_steps(&TraceSection { title: None, rows, left }, style));
    text.push('\n');
    text.push_str(&end(tale, snapshot));
    match (&foreseen.unknown, tale.agrees) {
        (Some(why), _) => text.extend(["not predicted: ", why, "\n"]),
        (None, Some(true)) => text.push_str("as predicted\n"),
        (None, Some(false)) => {
            text.push_str("not as predicted:\n");
            for difference in &tale.differences {
                text.extend(["  ", difference, "\n"]);
            }
        }
        (None, None) if tale.is_partial => text.push_str("as predicted, as far as was seen\n"),
        (None, None) => {}
    }
    text.push('\n');
}

fn end(tale: &Passing, snapshot: &Snapshot) -> String {
    let word = match tale.fate {
        Fate::Left => return "went out where nobody looks\n".to_owned(),
        fate => fate.as_str(),
    };
    let Some((end, _)) = &tale.end else { return format!("{word}\n") };
    let name = nslab_view::namespace_name(snapshot, end.namespace);
    let object = nslab_view::short_object(&end.object, &name);
    let place = match end.link.and_then(|link| nslab_view::link_name(snapshot, end.namespace, link)) {
        Some(link) => format!("{name}:{link}"),
        None => name.clone(),
    };
    let code =
        if end.code == nslab_predict::Code::Unmodelled { String::new() } else { format!("{} ", end.code) };
    if object.is_empty() || place.ends_with(&format!(":{object}")) {
        return format!("{word}: {code}at {place}\n  {}\n", end.text);
    }
    format!("{word}: {code}at {place} ({object})\n  {}\n", end.text)
}
