//! `lab.dep`: which devices start after which others, `pc1: r1 r2`.

use std::collections::HashMap;

use nslab_topology::{Diagnostic, Span, closest};

use super::conf::Conf;
use crate::{Malformed, Source};

/// Reads it. The result has the rank of each device: those of rank 0 are first.
pub(super) fn read(source: &Source<'_>, conf: &Conf) -> Result<HashMap<String, usize>, Malformed> {
    let mut errors = Vec::new();
    let mut after: Vec<(&str, Vec<&str>, Span)> = Vec::new();
    let mut start = 0;
    for line in source.text.split('\n') {
        let text = line.split('#').next().unwrap_or_default();
        let span = source.span(start, start + text.trim_end().len());
        start += line.len() + 1;
        if text.trim().is_empty() {
            continue;
        }
        let Some((device, others)) = text.split_once(':') else {
            errors.push(
                Diagnostic::error("bad-line", "there is no `:` in this line")
                    .at(span, "")
                    .help("a line is DEVICE: DEVICE …, the first starts after the others"),
            );
            continue;
        };
        let others: Vec<&str> = others.split_whitespace().collect();
        for name in others.iter().chain([&device.trim()]) {
            if !conf.devices.iter().any(|device| device.name == **name) {
                let known = conf.devices.iter().map(|device| &device.name[..]);
                let mut error =
                    Diagnostic::error("unknown-device", format!("lab.conf has no device `{name}`"))
                        .at(span, "");
                error.help.extend(closest(name, known).map(|name| format!("did you mean `{name}`?")));
                errors.push(error);
            }
        }
        after.push((device.trim(), others, span));
    }
    let mut ranks: HashMap<String, usize> =
        conf.devices.iter().map(|device| (device.name.clone(), 0)).collect();
    // Each round moves every device behind those that it waits for; without a circle it is over after as many rounds as
    // there are devices.
    for round in 0..=conf.devices.len() {
        let mut moved = None;
        for (device, others, span) in &after {
            let least = others.iter().filter_map(|other| ranks.get(*other)).max().map_or(0, |rank| rank + 1);
            if let Some(rank) = ranks.get_mut(*device).filter(|rank| **rank < least) {
                *rank = least;
                moved = Some(*span);
            }
        }
        match moved {
            None => break,
            Some(span) if round == conf.devices.len() => errors.push(
                Diagnostic::error("circular", "these devices wait for each other in a circle").at(span, ""),
            ),
            Some(_) => {}
        }
    }
    if errors.is_empty() { Ok(ranks) } else { Err(source.wrong(errors)) }
}
