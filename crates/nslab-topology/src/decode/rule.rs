//! `rules:`.

use super::rule_words::{Parts, mark, parse_rule, priority, side};
use super::{Decoder, Text, route_words};
use crate::diagnostic::{Diagnostic, Spanned};
use crate::lab::Rule;
use crate::model::RuleAction;
use crate::yaml::{Key, Kind, Value};

const KEYS: &[&str] = &["from", "to", "iif", "oif", "fwmark", "table", "priority", "type", "family"];

impl Decoder {
    pub(super) fn rules(&mut self, value: &Value) -> Vec<Spanned<Rule>> {
        let mut rules = Vec::new();
        for item in value.items() {
            let rule = match &item.kind {
                Kind::Map(entries) => self.rule_mapping(item, entries),
                _ => self.rule_text(item),
            };
            rules.extend(rule.map(|rule| Spanned::new(rule, item.span)));
        }
        rules
    }

    fn rule_text(&mut self, value: &Value) -> Option<Rule> {
        let text = self.text(value, "a rule, as `from 10.0.0.0/24 lookup 100`")?;
        match parse_rule(&text.value, &|range| text.place(range).or(Some(text.span))) {
            Ok(rule) => Some(rule),
            Err(problem) => {
                self.problem(&text, problem);
                None
            }
        }
    }

    fn rule_mapping(&mut self, value: &Value, entries: &[(Key, Value)]) -> Option<Rule> {
        let before = self.diagnostics.len();
        let mut parts = Parts::default();
        for (key, value) in entries {
            match key.text.as_str() {
                "from" => parts.from = self.parsed(value, "a prefix", side).map(|side| side.value),
                "to" => parts.to = self.parsed(value, "a prefix", side).map(|side| side.value),
                "iif" => parts.iif = self.text(value, "an interface").map(Text::spanned),
                "oif" => parts.oif = self.text(value, "an interface").map(Text::spanned),
                "fwmark" => parts.fwmark = self.parsed(value, "a mark", mark).map(|mark| mark.value),
                "table" => {
                    let table = self.parsed(value, "a table", route_words::table);
                    parts.action = table.map(|table| RuleAction::Table(table.value));
                }
                "priority" => {
                    parts.priority = self.parsed(value, "a priority", priority).map(|number| number.value);
                }
                "type" => {
                    let words = [
                        ("blackhole", RuleAction::Blackhole),
                        ("unreachable", RuleAction::Unreachable),
                        ("prohibit", RuleAction::Prohibit),
                    ];
                    parts.action = self.word(value, "a type of rule", &words).map(|word| word.value);
                }
                "family" => parts.family = self.family(value),
                _ => self.unknown_key(key, "a rule", KEYS),
            }
        }
        if self.diagnostics.len() > before {
            return None;
        }
        match parts.finish() {
            Ok(rule) => Some(rule),
            Err(problem) => {
                let mut error = Diagnostic::error(problem.code, problem.message).at(value.span, "");
                error.help = problem.help;
                self.push(error);
                None
            }
        }
    }
}
