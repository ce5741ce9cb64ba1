//! Names of nodes for what people call namespaces.

use std::collections::HashSet;

use nslab_snapshot::{Name, Process};

/// What no node or switch may be called (docs/lab-file.md, "Names").
const RESERVED: [&str; 8] = ["host", "every", "outside", "none", "self", "lo", "all", "default"];
/// The longest name that a node or switch may have, less room for a number.
const LONGEST: usize = 56;

/// The names given so far.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// A name for a namespace: what people call it, as far as a node may be called so.
    pub(crate) fn of(&mut self, name: &Name, machine: &str) -> String {
        match name {
            Name::Host => self.give(&[machine, "machine"]),
            Name::Node { lab, node } => self.give(&[node, &format!("{lab}-{node}")]),
            Name::Container { name, .. } | Name::Netns(name) => self.give(&[name]),
            Name::Pinned(path) => {
                let last = path.file_name().map(|last| last.to_string_lossy().into_owned());
                self.give(&[&last.unwrap_or_default()])
            }
            Name::Process(Process { pid, command }) => self.give(&[&format!("{command}-{pid}")]),
            Name::Id(id) => self.give(&[&format!("netns-{}", id.inode)]),
        }
    }

    /// The first of these that can be a name and is not taken, else the last of them with a number.
    pub(crate) fn give(&mut self, wanted: &[&str]) -> String {
        let words: Vec<String> = wanted.iter().map(|one| word(one)).filter(|one| !one.is_empty()).collect();
        let last = words.last().map_or("node", String::as_str);
        let numbered = (2..).map(|number| format!("{last}-{number}"));
        let plain = words.iter().filter(|one| !RESERVED.contains(&one.as_str())).cloned();
        let found = plain.chain(numbered).find(|one| !self.taken.contains(one));
        let found = found.unwrap_or_default();
        self.taken.insert(found.clone());
        found
    }
}

/// The text with what a name cannot have replaced.
fn word(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let begins = name.is_empty();
        if begins && !c.is_ascii_alphanumeric() || c == '.' && name.ends_with('.') {
            continue;
        }
        name.push(c);
    }
    name.truncate(LONGEST);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ones_that_nodes_can_have() {
        let mut names = Names::default();
        let netns = |name: &str| Name::Netns(name.to_owned());
        let node = |lab: &str| Name::Node { lab: lab.to_owned(), node: "red".to_owned() };
        for (name, wanted) in [
            (netns("red"), "red"),
            (netns("red"), "red-2"),
            (node("one"), "one-red"),
            (node("one"), "one-red-2"),
            (netns("host"), "host-2"),
            (netns("--a..b c"), "a.b-c"),
            (netns("ü"), "node-2"),
            (Name::Process(Process { pid: 7, command: "a/b".to_owned() }), "a-b-7"),
            (Name::Pinned("/x/y".into()), "y"),
            (Name::Host, "m-1"),
            (Name::Host, "machine"),
            (Name::Container { name: "ns/pod".into(), id: "0".repeat(64), engine: "cri".into() }, "ns-pod"),
        ] {
            assert_eq!(names.of(&name, "m 1"), wanted, "{name:?}");
        }
    }
}
