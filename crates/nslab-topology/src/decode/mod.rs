//! A tree of YAML values to a [`Lab`]: every key known, every value of its type, all errors found.

pub(crate) mod address;
mod addressing;
mod end;
mod existing;
mod expect;
mod expression;
mod features;
mod firewall;
mod impairment;
mod interface;
mod link;
mod nat;
mod node;
mod program;
mod route;
mod route_words;
mod rule;
mod rule_words;
mod scalar;
mod switch;
mod sysctl;
mod timeline;
mod top;
pub(crate) mod units;
mod uplink;
mod view;
mod vlan;

use std::collections::{BTreeMap, HashMap};

pub(crate) use existing::parse as parse_existing;
pub(crate) use route_words::parse_route;
pub(crate) use scalar::Text;
pub(crate) use sysctl::path as sysctl_path;
pub(crate) use units::show_duration;
pub use view::LARGEST_FILE;

use crate::diagnostic::{Diagnostic, Problem, Span, did_you_mean};
use crate::lab::Lab;
use crate::yaml::{Key, Kind, Value};

/// What came of reading a lab file.
pub(crate) struct Decoded {
    /// What could be read.
    pub(crate) lab: Lab,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Nothing is missing of nodes, links and addresses, so that what is wrong between them is really wrong.
    pub(crate) whole: bool,
}

/// What a name in the file stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// One node or switch.
    One,
    /// This many nodes or switches, `NAME1` and so on.
    Group(usize),
}

/// Reads a lab file's values.
pub(crate) struct Decoder {
    diagnostics: Vec<Diagnostic>,
    /// `vars:`, with what `--set` says instead.
    vars: BTreeMap<String, String>,
    /// `${i}`.
    index: Option<usize>,
    /// Nodes and switches by name, repeated ones by the name that is written.
    names: HashMap<String, Named>,
    /// Names of nodes, for what only takes those.
    node_names: std::collections::BTreeSet<String>,
    /// Names of VLAN-aware switches.
    aware: std::collections::HashSet<String>,
    whole: bool,
}

/// Reads all of a lab file.
pub(crate) fn decode(root: &Value, file: &str, overrides: &[(String, String)]) -> Decoded {
    let mut decoder = Decoder {
        diagnostics: Vec::new(),
        vars: BTreeMap::new(),
        index: None,
        names: HashMap::new(),
        node_names: std::collections::BTreeSet::new(),
        aware: std::collections::HashSet::new(),
        whole: true,
    };
    let mut lab = decoder.lab(root, file, overrides);
    file.clone_into(&mut lab.notes.file);
    Decoded { lab, diagnostics: decoder.diagnostics, whole: decoder.whole }
}

/// Takes a value that was only read for its faults.
fn checked<T>(_: Option<T>) {}

impl Decoder {
    fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Reports a problem of a text at its place in the file.
    fn problem(&mut self, text: &Text, problem: Problem) {
        let span = problem.range.and_then(|range| text.place(range)).unwrap_or(text.span);
        let mut diagnostic = Diagnostic::error(problem.code, problem.message).at(span, "");
        diagnostic.help = problem.help;
        self.push(diagnostic);
    }

    /// Reports a value of the wrong type.
    fn wrong_type(&mut self, value: &Value, wanted: &str) {
        let found = value.describe();
        self.push(
            Diagnostic::error("wrong-type", format!("expected {wanted}, found {found}")).at(value.span, ""),
        );
    }

    /// Reports a key that isn't one.
    fn unknown_key(&mut self, key: &Key, what: &str, known: &[&'static str]) {
        let mut error =
            Diagnostic::error("unknown-key", format!("{what} has no key `{}`", key.text)).at(key.span, "");
        error = match did_you_mean(&key.text, known.iter().copied()) {
            Some(hint) => error.help(hint),
            None => error.help(format!("it has {}", known.join(", "))),
        };
        self.push(error);
    }

    /// Reports a key that must be there.
    fn missing_key(&mut self, span: Span, what: &str, key: &str) {
        self.push(Diagnostic::error("missing-key", format!("{what} needs `{key}`")).at(span, ""));
    }

    /// The entries of a mapping; nothing is an empty one.
    fn entries<'v>(&mut self, value: &'v Value, what: &str) -> &'v [(Key, Value)] {
        match &value.kind {
            Kind::Map(entries) => entries,
            Kind::Null => &[],
            _ => {
                self.wrong_type(value, what);
                &[]
            }
        }
    }

    /// Does something whose failure leaves the shape of the network unknown.
    fn essential<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.diagnostics.len();
        let result = work(self);
        self.whole &= self.diagnostics.len() == before;
        result
    }

    /// Does something for one number of a repeated thing.
    fn numbered<T>(&mut self, index: Option<usize>, work: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.index, index);
        let result = work(self);
        self.index = outer;
        result
    }
}
