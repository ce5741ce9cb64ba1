//! The top level of a lab file.

use super::{Decoder, Named, expression};
use crate::diagnostic::{Diagnostic, Spanned, did_you_mean};
use crate::lab::{Lab, Routing};
use crate::yaml::{Key, Kind, Value};

/// The most nodes and the most switches of a lab.
pub(super) const MAX_DEVICES: usize = 60_000;

const KEYS: &[&str] = &[
    "name",
    "prefix",
    "vars",
    "addressing",
    "routing",
    "nodes",
    "switches",
    "links",
    "seed",
    "expect",
    "timeline",
];

impl Decoder {
    pub(super) fn lab(&mut self, root: &Value, file: &str, overrides: &[(String, String)]) -> Lab {
        let mut lab = Lab::empty(file_stem(file));
        lab.addressing = crate::lab::Addressing::default();
        lab.routing = Routing::Auto;
        let Kind::Map(entries) = &root.kind else {
            if root.is_empty() {
                self.push(crate::yaml::empty_file(root.span));
            } else {
                self.wrong_type(root, "a mapping with `nodes:` and `links:`");
            }
            self.whole = false;
            return lab;
        };
        let section = |name: &str| entries.iter().find(|(key, _)| key.text == name).map(|(_, value)| value);
        // Variables first, then what links and expectations name, wherever it stands in the file.
        self.vars(section("vars"), overrides);
        if let Some(value) = section("nodes") {
            lab.nodes = self.nodes(value);
        }
        if let Some(value) = section("switches") {
            lab.switches = self.essential(|d| d.switches(value));
            let aware = lab.switches.iter().filter(|switch| switch.vlan_filtering);
            self.aware.extend(aware.map(|switch| switch.name.value.clone()));
        }
        // All names are known now.
        for node in &mut lab.nodes {
            node.policy.zones_mut().for_each(|zones| self.expand_groups(zones));
        }
        for (key, value) in entries {
            match key.text.as_str() {
                "name" => {
                    if let Some(text) = self.text(value, "the lab's name") {
                        lab.name = text.spanned();
                    }
                }
                "prefix" => lab.prefix = self.prefix(value),
                "addressing" => lab.addressing = self.essential(|d| d.addressing(value)),
                "routing" => {
                    let words = [("auto", Routing::Auto), ("ecmp", Routing::Ecmp), ("none", Routing::None)];
                    if let Some(word) = self.word(value, "how routes are made", &words) {
                        lab.routing = word.value;
                    }
                }
                "links" => lab.links = self.essential(|d| d.links(value)),
                "expect" => lab.expectations = self.expectations(value),
                "timeline" => lab.timeline = self.timeline(value),
                "seed" => lab.seed = self.number(value, "a seed", 0..=u64::MAX).map(|seed| seed.value),
                "vars" | "nodes" | "switches" => {}
                // A place for anchors, as other formats have it.
                name if name.starts_with("x-") => {}
                _ => {
                    self.unknown_key(key, "a lab", KEYS);
                    // It may have been meant to be one that matters.
                    self.whole = false;
                }
            }
        }
        lab
    }

    fn prefix(&mut self, value: &Value) -> Option<Spanned<String>> {
        self.text(value, "the beginning of the namespaces' names, or \"\" for none").map(super::Text::spanned)
    }

    fn vars(&mut self, section: Option<&Value>, overrides: &[(String, String)]) {
        let entries = section.map_or(&[][..], |value| self.entries(value, "a mapping of names to values"));
        for (key, value) in entries {
            let name = &key.text;
            if name == "i" || !expression::is_name(name) {
                let mut error =
                    Diagnostic::error("bad-name", format!("a variable cannot be called `{name}`"))
                        .at(key.span, "");
                error = if name == "i" {
                    error.help("`${i}` is the number of a repeated node or link")
                } else {
                    error.help("a variable's name has letters, digits and `_`")
                };
                self.push(error);
                continue;
            }
            let given =
                overrides.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.clone());
            // Even one that isn't used is read, for its faults.
            let written = self.string(value, "a number or a text");
            self.vars.insert(name.clone(), given.or(written).unwrap_or_default());
        }
        for (name, _) in overrides {
            if !self.vars.contains_key(name) {
                let mut error = Diagnostic::error(
                    "unknown-variable",
                    format!("this lab has no variable `{name}` to set"),
                );
                if let Some(hint) = did_you_mean(name, self.vars.keys().map(String::as_str)) {
                    error = error.help(hint);
                } else if !self.vars.is_empty() {
                    let names: Vec<&str> = self.vars.keys().map(String::as_str).collect();
                    error = error.help(format!("it has {}", names.join(", ")));
                } else {
                    error = error.help("a lab's variables stand in its `vars:`");
                }
                self.push(error);
            }
        }
    }

    /// The names that a key of `nodes` or `switches` stands for, each with its number.
    pub(super) fn repeated(&mut self, key: &Key, value: &Value, room: usize) -> Vec<(String, Option<usize>)> {
        let count = match &value.kind {
            Kind::Map(entries) => entries.iter().find(|(key, _)| key.text == "count").map(|(_, value)| value),
            _ => None,
        };
        let Some(count) = count else {
            self.names.insert(key.text.clone(), Named::One);
            return vec![(key.text.clone(), None)];
        };
        let most = u64::try_from(MAX_DEVICES).unwrap_or(u64::MAX);
        let number = self.essential(|d| d.number(count, "a count", 1..=most));
        let number = number.and_then(|number| usize::try_from(number.value).ok()).unwrap_or(1);
        self.names.insert(key.text.clone(), Named::Group(number));
        if number > room {
            self.whole = false;
            self.push(
                Diagnostic::error(
                    "too-many",
                    format!("a lab has at most {MAX_DEVICES} nodes and as many switches"),
                )
                .at(count.span, "this is too many"),
            );
            return Vec::new();
        }
        let names: Vec<_> = (1..=number).map(|index| (format!("{}{index}", key.text), Some(index))).collect();
        for (name, _) in &names {
            self.names.insert(name.clone(), Named::One);
        }
        names
    }
}

/// The name of a lab whose file doesn't say it.
fn file_stem(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or(file);
    let stem = base.strip_suffix(".yaml").or_else(|| base.strip_suffix(".yml")).unwrap_or(base);
    stem.strip_suffix(".nslab").unwrap_or(stem).to_owned()
}
