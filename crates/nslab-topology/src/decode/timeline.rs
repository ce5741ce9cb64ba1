//! `timeline:`.

use std::time::Duration;

use super::Decoder;
use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::impairment::{self, Impairments};
use crate::lab::{Action, Event, MAX_OCCURRENCES, Target};
use crate::yaml::{Key, Kind, Value};

const KEYS: &[&str] = &[
    "at",
    "set",
    "clear",
    "down",
    "up",
    "within",
    "every",
    "times",
    "pick",
    "delay",
    "jitter",
    "distribution",
    "loss",
    "duplicate",
    "reorder",
    "corrupt",
    "rate",
];

impl Decoder {
    pub(super) fn timeline(&mut self, value: &Value) -> Vec<Event> {
        let mut events = Vec::new();
        for item in value.items() {
            let Kind::Map(entries) = &item.kind else {
                self.wrong_type(item, "an event, as `{at: 5s, down: red:eth0}`");
                continue;
            };
            events.extend(self.event(entries, item.span));
        }
        let all = events.iter().map(|event| event.times as usize).fold(0, usize::saturating_add);
        if all > MAX_OCCURRENCES {
            let message = format!("a timeline has at most {MAX_OCCURRENCES} events, this has {all}");
            self.push(Diagnostic::error("too-many", message).at(value.span, ""));
        }
        events
    }

    fn event(&mut self, entries: &[(Key, Value)], span: Span) -> Option<Event> {
        let mut at = None;
        let mut within = Duration::ZERO;
        let (mut every, mut times, mut pick) = (None, None, None);
        let mut impairments = Impairments::default();
        let mut first_impairment = None;
        let mut action: Option<(&Key, &Value)> = None;
        for (key, value) in entries {
            match key.text.as_str() {
                "at" => at = self.duration(value, "when it happens"),
                "within" => within = self.duration(value, "a time")?,
                "every" => every = self.duration(value, "a time").map(|time| Spanned::new(time, key.span)),
                "times" => {
                    let most = u64::try_from(MAX_OCCURRENCES).unwrap_or(u64::MAX);
                    times = self.number(value, "how many times", 1..=most).map(|n| (n.value, key.span));
                }
                "pick" => pick = self.number(value, "how many of them", 1..=1_000_000),
                "set" | "clear" | "down" | "up" => {
                    if let Some((other, _)) = action {
                        let message = format!("one event does one thing, this is `{}` as well", other.text);
                        self.push(Diagnostic::error("bad-event", message).at(key.span, ""));
                    }
                    action = Some((key, value));
                }
                _ if self.impairment(key, value, &mut impairments) => {
                    first_impairment.get_or_insert(key.span);
                }
                _ => self.unknown_key(key, "an event", KEYS),
            }
        }
        if !entries.iter().any(|(key, _)| key.text == "at") {
            self.missing_key(span, "an event", "at");
        }
        let Some((key, value)) = action else {
            self.push(
                Diagnostic::error("bad-event", "this event does nothing")
                    .at(span, "")
                    .help("write `set`, `clear`, `down` or `up` with an interface or a link"),
            );
            return None;
        };
        let action = match key.text.as_str() {
            "set" => {
                if impairments.is_open() {
                    self.push(
                        Diagnostic::error("bad-event", "this event sets nothing")
                            .at(key.span, "")
                            .help(format!("it can set {}", impairment::KEYS.join(", "))),
                    );
                }
                Action::Set(impairments)
            }
            other => {
                if let Some(span) = first_impairment {
                    let message = format!("`{other}` takes no impairments");
                    self.push(Diagnostic::error("bad-event", message).at(span, "").help("`set` does"));
                }
                match other {
                    "clear" => Action::Clear,
                    "down" => Action::Down,
                    _ => Action::Up,
                }
            }
        };
        let targets = self.targets(value);
        let span_of = |one: Option<Span>| one.unwrap_or(span);
        match (&every, times) {
            (None, Some((2.., place))) => self.push(
                Diagnostic::error("bad-event", "`times` needs `every`")
                    .at(place, "how long after each other?"),
            ),
            (Some(every), None) => self.push(
                Diagnostic::error("bad-event", "`every` needs `times`")
                    .at(span_of(every.span), "how many times?"),
            ),
            _ => {}
        }
        if let Some(pick) = pick.filter(|pick| pick.value > targets.len() as u64 && !targets.is_empty()) {
            let message = format!("{} cannot be picked of {}", pick.value, targets.len());
            self.push(Diagnostic::error("bad-event", message).at(pick.span, ""));
        }
        Some(Event {
            at: at?,
            within,
            every: every.map(|every| every.value),
            times: times.map_or(1, |(times, _)| u32::try_from(times).unwrap_or(u32::MAX)),
            targets,
            pick: pick.and_then(|pick| usize::try_from(pick.value).ok()),
            action,
        })
    }

    fn targets(&mut self, value: &Value) -> Vec<Spanned<Target>> {
        let wanted = "an interface or a link, as `red:eth0` or `red -- blue`";
        if value.is_empty() {
            self.wrong_type(value, wanted);
        }
        value.items().iter().filter_map(|item| self.parsed(item, wanted, Target::parse)).collect()
    }
}
