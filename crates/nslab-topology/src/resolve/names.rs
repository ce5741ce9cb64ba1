//! Names of the lab, its nodes and its switches.

use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Problem, Spanned};
use crate::lab::Lab;
use crate::model::Device;
use crate::resolve::Problems;

/// The longest name in bytes: a DNS label's length (RFC 1035), and a node's name is its hostname.
const MAX_NAME: usize = 63;
/// The longest file name in bytes (`NAME_MAX`): namespaces are files.
const MAX_NAMESPACE: usize = 255;
/// Words with a meaning of their own where a node's name may stand.
const RESERVED: &[(&str, &str)] = &[
    ("host", "it stands for the host's own namespace"),
    ("every", "it stands for all nodes"),
    ("outside", "it stands for everything that is not in the lab"),
    ("none", "it stands for no gateway"),
    ("self", "it stands for the node itself in its firewall"),
];
/// Names of entries below `/proc/sys/net/ipv4/conf`, which the kernel refuses for interfaces
/// (`sysctl_dev_name_is_allowed`, `net/ipv4/devinet.c`), and the loopback's.
pub(crate) const RESERVED_INTERFACES: &[&str] = &["lo", "all", "default"];

/// Checks all names and notes what each stands for.
pub(crate) fn check<'a>(lab: &'a Lab, problems: &mut Problems) -> HashMap<&'a str, Device> {
    let name = lab_name(&lab.name).map_err(|problem| match lab.name.span {
        None if !lab.notes.file.is_empty() => {
            problem.help("it is the file's name; `name:` gives the lab another")
        }
        _ => problem,
    });
    report(problems, &lab.name, name);
    let mut devices = HashMap::with_capacity(lab.nodes.len() + lab.switches.len());
    let mut places = HashMap::new();
    let nodes = lab.nodes.iter().enumerate().map(|(index, node)| (&node.name, Device::Node(index)));
    let switches =
        lab.switches.iter().enumerate().map(|(index, switch)| (&switch.name, Device::Switch(index)));
    for (name, device) in nodes.chain(switches) {
        let is_switch = matches!(device, Device::Switch(_));
        report(problems, name, device_name(name, is_switch));
        if let Some(earlier) = places.get(name.as_str()) {
            problems.push(
                Diagnostic::error(
                    "duplicate-name",
                    format!("`{}` is the name of two nodes or switches", name.value),
                )
                .at(name.span, "again here")
                .because(*earlier, "first here"),
            );
            continue;
        }
        places.insert(name.as_str(), name.span);
        devices.insert(name.as_str(), device);
    }
    namespaces(lab, problems);
    devices
}

/// Node and switch names differ, so their namespaces do: only the prefix can spoil them.
fn namespaces(lab: &Lab, problems: &mut Problems) {
    let prefix = lab.namespace_prefix();
    let place = lab.prefix.as_ref().map_or(lab.name.span, |prefix| prefix.span);
    if let Some(written) = &lab.prefix {
        let bad = written.chars().find(|c| !(c.is_ascii_alphanumeric() || "_.-".contains(*c)));
        let problem = match bad {
            Some(c) => Some(format!("it contains {c:?}")),
            None if written.starts_with(['-', '.']) => Some("it begins with a dash or a dot".to_owned()),
            None if written.contains("..") => Some("it contains `..`".to_owned()),
            None => None,
        };
        if let Some(problem) = problem {
            let shown: String = written.chars().take(40).collect();
            problems.push(
                Diagnostic::error(
                    "bad-name",
                    format!("{shown:?} cannot begin a namespace's name: {problem}"),
                )
                .at(place, "")
                .help("a prefix has letters, digits, `-`, `_` and dots"),
            );
        }
    }
    let longest = lab.device_names().max_by_key(|name| name.len());
    if let Some(name) =
        longest.filter(|name| name.len() <= MAX_NAME && prefix.len() + name.len() > MAX_NAMESPACE)
    {
        let length = prefix.len() + name.len();
        problems.push(
            Diagnostic::error(
                "bad-name",
                format!("the namespace of `{name}` would have a name of {length} bytes"),
            )
            .at(place, "this prefix is too long")
            .help(format!("a namespace's name has at most {MAX_NAMESPACE} bytes")),
        );
    }
}

fn report(problems: &mut Problems, name: &Spanned<String>, result: Result<(), Problem>) {
    if let Err(problem) = result {
        let mut error = Diagnostic::error(problem.code, problem.message).at(name.span, "");
        error.help = problem.help;
        problems.push(error);
    }
}

/// Whether a lab may have this name.
pub(crate) fn lab_name(name: &str) -> Result<(), Problem> {
    word(name, "a lab")?;
    if name == "host" {
        return Err(reserved(name, "it stands for the host's own namespace"));
    }
    Ok(())
}

/// Whether a node or switch may have this name.
pub(crate) fn device_name(name: &str, is_switch: bool) -> Result<(), Problem> {
    word(name, if is_switch { "a switch" } else { "a node" })?;
    if let Some((_, why)) = RESERVED.iter().find(|(word, _)| *word == name) {
        return Err(reserved(name, why));
    }
    if is_switch && RESERVED_INTERFACES.contains(&name) {
        return Err(reserved(name, "the bridge would have this name, and no interface can have it"));
    }
    Ok(())
}

fn reserved(name: &str, why: &str) -> Problem {
    Problem::new("reserved-name", format!("`{name}` cannot be used as a name: {why}"))
        .help("choose another one")
}

fn word(name: &str, what: &str) -> Result<(), Problem> {
    let wrong = |why: String| {
        let mut shown: String = name.chars().take(40).collect();
        if shown.len() < name.len() {
            shown.push('…');
        }
        Err(Problem::new("bad-name", format!("{what} cannot be called {shown:?}: {why}"))
            .help("a name has letters, digits, `-`, `_` and dots, a letter or digit first"))
    };
    if name.is_empty() {
        return wrong("the name is empty".to_owned());
    }
    if name.len() > MAX_NAME {
        return wrong(format!("the name has {} bytes, {MAX_NAME} are allowed", name.len()));
    }
    if let Some(c) = name.chars().find(|c| !c.is_ascii()) {
        return wrong(format!("{c:?} is not an ASCII character, and the name is a hostname too"));
    }
    if let Some(c) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "_.-".contains(*c))) {
        return wrong(match c {
            '/' => "it contains '/', and the name is a file's name too".to_owned(),
            ' ' | '\t' => "it contains a space".to_owned(),
            _ => format!("it contains {c:?}"),
        });
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return wrong("it begins with a sign".to_owned());
    }
    if name.contains("..") {
        return wrong("it contains `..`".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "web-1", "0x", "a.b_c", &"n".repeat(63)] {
            assert!(device_name(good, false).is_ok(), "{good}");
        }
        for bad in
            ["", "a/b", "a b", "-a", ".a", "a..b", "ü", "a;b", "$x", "a\n", "host", "every", &"n".repeat(64)]
        {
            assert!(device_name(bad, false).is_err(), "{bad:?}");
        }
        assert!(device_name("lo", true).is_err() && device_name("lo", false).is_ok());
    }
}
