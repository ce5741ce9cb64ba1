//! Tables in nft's own syntax.
//!
//! What is printed is what `nft list ruleset` would say, or something that `nft -f` reads to the same expressions. What has no
//! words in nft's syntax here is shown as what it is, in brackets, and its rule is commented out, so that the text never says
//! something else than the kernel does.

#![allow(clippy::format_push_string, reason = "texts grow word by word, none of them in a hurry")]

mod context;
mod fields;
mod object;
mod rule;
mod set;
mod statement;
mod symbols;
mod term;
#[cfg(test)]
mod tests;
mod types;

use std::collections::HashMap;
use std::fmt::Write;

use super::family::{Family, Hook};
use super::ruleset::Ruleset;
use super::table::{BaseChain, Chain, ChainFlags, Policy, Rule, Table, TableFlags};
use super::userdata::UserData;
use rule::Walk;
use types::{Order, Type, quoted};

/// Names that rules refer to by number.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names<'a> {
    /// Interfaces' names by their numbers; a number without a name is shown as a number.
    pub interfaces: Option<&'a HashMap<u32, String>>,
}

impl Names<'_> {
    fn value(self, kind: Type, order: Order, bytes: &[u8]) -> Option<String> {
        if kind == Type::InterfaceNumber {
            let number = types::number(bytes, order)?;
            let name = u32::try_from(number).ok().and_then(|number| self.interfaces?.get(&number));
            if let Some(name) = name {
                return quoted(name);
            }
        }
        types::value(kind, order, bytes)
    }
}

/// A rule in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    /// The rule without its comment, in nft's syntax as far as `complete` says.
    pub text: String,
    /// Whether everything in it found words; else what did not stands in brackets.
    pub complete: bool,
}

impl Rule {
    /// The rule in nft's syntax. `table` is the one that it is in, whose sets it may refer to.
    pub fn to_nft(&self, table: &Table, names: Names<'_>) -> RuleText {
        self.words(table, names, 0)
    }

    fn words(&self, table: &Table, names: Names<'_>, depth: usize) -> RuleText {
        let mut walk = Walk::new(table, names, depth);
        let complete = walk.expressions(&self.expressions) && self.other.is_empty();
        let texts: Vec<&str> = walk.statements.iter().map(|statement| statement.text.as_str()).collect();
        RuleText { text: texts.join(" "), complete }
    }
}

impl Ruleset {
    /// All tables in nft's syntax, as `nft list ruleset` shows them.
    pub fn to_nft(&self, names: Names<'_>) -> String {
        self.tables.iter().map(|table| table.to_nft(names)).collect()
    }
}

impl Table {
    /// The table in nft's syntax.
    pub fn to_nft(&self, names: Names<'_>) -> String {
        let mut parts = Vec::new();
        let mut head = format!("table {} {{\n", self.id);
        if let Some(comment) = UserData::parse(&self.user_data).comment().and_then(quoted) {
            let _ = writeln!(head, "\tcomment {comment}");
        }
        let mut flags = Vec::new();
        for (flag, word) in
            [(TableFlags::DORMANT, "dormant"), (TableFlags::OWNER, "owner"), (TableFlags::PERSIST, "persist")]
        {
            if self.flags.contains(flag) {
                flags.push(word);
            }
        }
        if !flags.is_empty() {
            let _ = writeln!(head, "\tflags {}", flags.join(","));
        }
        for object in &self.objects {
            parts.push(object::object(object));
        }
        for set in self.sets.iter().filter(|set| !set.is_anonymous()) {
            let (text, complete) = set::definition(set, self, names);
            parts.push(if complete { text } else { commented(&text) });
        }
        for flowtable in &self.flowtables {
            parts.push(object::flowtable(flowtable));
        }
        for chain in self.chains.iter().filter(|chain| !chain.is_anonymous()) {
            parts.push(chain.words(self, names));
        }
        head + &parts.join("\n") + "}\n"
    }
}

impl Chain {
    fn words(&self, table: &Table, names: Names<'_>) -> String {
        let mut text = format!("\tchain {} {{\n", self.name);
        if let Some(comment) = UserData::parse(&self.user_data).comment().and_then(quoted) {
            let _ = writeln!(text, "\t\tcomment {comment}");
        }
        if let Some(base) = &self.base {
            let flags = if self.flags.contains(ChainFlags::HW_OFFLOAD) { " flags offload;" } else { "" };
            let _ = writeln!(text, "\t\t{}{flags}", base_words(base, table.id.family));
        }
        text + &rules(table, self, names, 1) + "\t}\n"
    }
}

/// A chain's rules, each on its lines.
fn rules(table: &Table, chain: &Chain, names: Names<'_>, depth: usize) -> String {
    let indent = "\t".repeat(depth + 1);
    let mut text = String::new();
    for rule in &chain.rules {
        let words = rule.words(table, names, depth);
        let comment = match UserData::parse(&rule.user_data).comment().and_then(quoted) {
            Some(comment) => format!(" comment {comment}"),
            None => String::new(),
        };
        let mark = if words.complete { "" } else { "# " };
        let _ = writeln!(text, "{indent}{mark}{}{comment}", words.text);
    }
    text
}

/// A text with every line commented out.
fn commented(text: &str) -> String {
    text.lines().fold(String::new(), |all, line| all + "# " + line + "\n")
}

/// Devices as nft writes them.
fn devices(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    match &quoted[..] {
        [one] => format!(" device {one}"),
        several => format!(" devices = {{ {} }}", several.join(", ")),
    }
}

fn base_words(base: &BaseChain, family: Family) -> String {
    let on = if base.devices.is_empty() { String::new() } else { devices(&base.devices) };
    let policy = match base.policy {
        Policy::Accept => "accept",
        Policy::Drop => "drop",
    };
    let priority = priority_words(base.priority, base.hook, family);
    format!("type {} hook {}{on} priority {priority}; policy {policy};", base.kind.as_str(), base.hook)
}

/// A priority by its name, where it is one of the usual ones of that hook.
fn priority_words(priority: i32, hook: Hook, family: Family) -> String {
    let names: &[(i32, &str)] = match family {
        Family::Bridge => &[(-300, "dstnat"), (-200, "filter"), (100, "out"), (300, "srcnat")],
        Family::Arp | Family::Netdev => &[(0, "filter")],
        _ => &[
            (-300, "raw"),
            (-150, "mangle"),
            (-100, "dstnat"),
            (0, "filter"),
            (50, "security"),
            (100, "srcnat"),
        ],
    };
    let stands_there = |name: &str| match name {
        "dstnat" => hook == Hook::Prerouting,
        "srcnat" => hook == Hook::Postrouting,
        "out" => hook == Hook::Output,
        _ => true,
    };
    // nft names what is near one of them by it.
    let near = names.iter().filter(|(_, name)| stands_there(name));
    match near
        .map(|(number, name)| (priority.wrapping_sub(*number), name))
        .find(|(by, _)| by.unsigned_abs() <= 10)
    {
        Some((0, name)) => (*name).to_owned(),
        Some((by, name)) if by > 0 => format!("{name} + {by}"),
        Some((by, name)) => format!("{name} - {}", by.unsigned_abs()),
        None => priority.to_string(),
    }
}
