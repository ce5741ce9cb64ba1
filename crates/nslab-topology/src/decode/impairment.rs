//! Delay, loss and the like, of a link, an end or a path.

use super::{Decoder, Named, Text};
use crate::diagnostic::{Diagnostic, Problem, Span, Spanned};
use crate::impairment::{self, Impairments};
use crate::lab::{Path, PathEnd};
use crate::yaml::{Key, Kind, Value};

/// The keys whose values can depend on chance's last number, and those of their mappings.
const CORRELATED: [&str; 5] = ["jitter", "loss", "duplicate", "reorder", "corrupt"];
const JITTER: [&str; 2] = ["time", "correlation"];
const CHANCE: [&str; 2] = ["share", "correlation"];

impl Decoder {
    /// Reads one of [`impairment::KEYS`]; says false if `key` is none of them.
    pub(super) fn impairment(&mut self, key: &Key, value: &Value, into: &mut Impairments) -> bool {
        let name = key.text.as_str();
        if !impairment::KEYS.contains(&name) {
            return false;
        }
        let text = match &value.kind {
            Kind::Null => return true,
            Kind::Map(entries) if CORRELATED.contains(&name) => self.correlated(name, value.span, entries),
            _ => self.text(value, &format!("a value for {name}")),
        };
        let Some(text) = text else { return true };
        if let Err(wanted) = into.set(name, Spanned::new(text.value.as_str(), text.span)) {
            let problem = Problem::new("bad-unit", format!("expected {wanted}, found {:?}", text.value));
            self.problem(&text, problem);
        }
        true
    }

    /// `{share: 1%, correlation: 25%}`, of a jitter with `time`, as the text that says the same.
    fn correlated(&mut self, name: &str, span: Span, entries: &[(Key, Value)]) -> Option<Text> {
        let main = if name == "jitter" { "time" } else { "share" };
        let (mut first, mut correlation) = (None, None);
        for (key, value) in entries {
            match key.text.as_str() {
                "correlation" => correlation = self.text(value, "a correlation, a share such as 25%"),
                text if text == main => first = self.text(value, &format!("a value for {name}")),
                _ => self.unknown_key(
                    key,
                    &format!("`{name}`"),
                    if main == "time" { &JITTER } else { &CHANCE },
                ),
            }
        }
        if first.is_none() && !entries.iter().any(|(key, _)| key.text == main) {
            self.missing_key(span, &format!("`{name}`"), main);
        }
        let mut first = first?;
        if let Some(correlation) = correlation {
            first.value = format!("{} {}", first.value, correlation.value);
        }
        Some(first)
    }

    /// `paths:` of a switch: `hq -- alpha: {delay: 15ms}`, as a mapping or a list of such.
    pub(super) fn paths(&mut self, value: &Value) -> Vec<Path> {
        let mut paths = Vec::new();
        for item in value.items() {
            let wanted = "paths, as `- a -- b: {delay: 15ms}`";
            for (key, value) in self.entries(item, wanted) {
                let place = |range: std::ops::Range<usize>| {
                    // A plain key stands in the file letter for letter.
                    let plain = key.span.end - key.span.start == key.text.len();
                    Some(if plain {
                        crate::Span {
                            start: key.span.start + range.start,
                            end: key.span.start + range.end,
                            line: key.span.line,
                            column: key.span.column + key.text[..range.start].chars().count(),
                        }
                    } else {
                        key.span
                    })
                };
                let mut path = match Path::parse(&key.text, place) {
                    Ok(path) => path,
                    Err(problem) => {
                        let mut error = Diagnostic::error(problem.code, problem.message).at(key.span, "");
                        error.help = problem.help;
                        self.push(error);
                        continue;
                    }
                };
                let what = "what happens on the path, as `{delay: 15ms, loss: 1%}`";
                for (option, value) in self.entries(value, what) {
                    if !self.impairment(option, value, &mut path.impairments) {
                        self.unknown_key(option, "a path", &impairment::KEYS);
                    }
                }
                let [from, to] = [&path.from, &path.to].map(|end| self.members(end));
                for from in &from {
                    for to in &to {
                        if from.node != to.node || from.is_every() {
                            paths.push(Path { from: from.clone(), to: to.clone(), ..path.clone() });
                        }
                    }
                }
                if from == to && from.len() == 1 && !from[0].is_every() {
                    self.push(
                        Diagnostic::error("bad-path", format!("`{}` leads to where it begins", key.text))
                            .at(key.span, ""),
                    );
                }
            }
        }
        paths
    }

    /// The nodes of a repeated one, or the node itself.
    fn members(&self, end: &PathEnd) -> Vec<PathEnd> {
        match self.names.get(&end.node.value) {
            Some(Named::Group(number)) => (1..=*number)
                .map(|index| PathEnd {
                    node: end.node.clone().map(|name| format!("{name}{index}")),
                    ..end.clone()
                })
                .collect(),
            _ => vec![end.clone()],
        }
    }
}
