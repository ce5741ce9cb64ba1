//! What nodes and switches have besides links and routes, as far as it can be wrong by itself.

use super::Problems;
use super::segments::Network;
use crate::decode::sysctl_path;
use crate::diagnostic::{Diagnostic, Spanned, did_you_mean};

/// Checks sysctls, rules, neighbours and programs.
pub(crate) fn check(net: &Network<'_>, problems: &mut Problems) {
    let mut joined = std::collections::HashMap::new();
    for (index, node) in net.lab.nodes.iter().enumerate() {
        if let Some(existing) = &node.existing
            && let Some(earlier) = joined.insert(&existing.value, existing.span)
        {
            problems.push(
                Diagnostic::error("duplicate-name", format!("two nodes are {}", existing.value))
                    .at(existing.span, "again here")
                    .because(earlier, "first here")
                    .help("one node can have several links"),
            );
        }
        for (key, _) in &node.sysctls {
            if let Err(problem) = sysctl_path(key) {
                let mut error = Diagnostic::error(problem.code, problem.message).at(key.span, "");
                error.help = problem.help;
                problems.push(error);
            }
        }
        for rule in &node.rules {
            for name in [&rule.iif, &rule.oif].into_iter().flatten() {
                if nslab_types::IfName::shortened(name).is_err() {
                    problems.push(
                        Diagnostic::error(
                            "bad-interface-name",
                            format!("{:?} cannot be an interface's name", name.value),
                        )
                        .at(name.span, ""),
                    );
                } else if *name.value != *"lo"
                    && node.existing.is_none()
                    && net.port_named(index, name).is_none()
                {
                    problems.push(unknown_interface(net, index, name, false));
                }
            }
        }
        let mut names = std::collections::HashMap::new();
        for name in node.programs.iter().filter_map(|program| program.name.as_ref()) {
            if name.is_empty()
                || name.contains(['/', '\0', '\n'])
                || name.len() > 100
                || name.starts_with('.')
            {
                problems.push(
                    Diagnostic::error("bad-name", format!("a program cannot be called {:?}", name.value))
                        .at(name.span, "")
                        .help("its log file gets this name"),
                );
            }
            if let Some(earlier) = names.insert(name.as_str(), name.span) {
                problems.push(
                    Diagnostic::error(
                        "duplicate-name",
                        format!("two programs of {} are called `{}`", node.name.value, name.value),
                    )
                    .at(name.span, "again here")
                    .because(earlier, "first here"),
                );
            }
        }
        for neighbour in node.neighbours.iter().filter(|neighbour| !neighbour.mac.is_unicast()) {
            problems.push(
                Diagnostic::error("bad-mac", format!("{} is no single interface's address", neighbour.mac))
                    .at(neighbour.span, ""),
            );
        }
    }
}

/// A node has no interface of this name: an error, or a warning where a program may make it.
pub(crate) fn unknown_interface(
    net: &Network<'_>,
    node: usize,
    name: &Spanned<String>,
    error: bool,
) -> Diagnostic {
    let message = format!("{} has no interface `{}`", net.lab.nodes[node].name.value, name.value);
    let known: Vec<&str> = net.node_ports[node].iter().map(|port| net.ports[*port].meant()).collect();
    let diagnostic = if error {
        Diagnostic::error("unknown-interface", message)
    } else {
        Diagnostic::warning("unknown-interface", message)
    };
    let diagnostic = diagnostic.at(name.span, "");
    match did_you_mean(name, known.iter().copied()) {
        Some(hint) => diagnostic.help(hint),
        None if known.is_empty() => diagnostic.help("it has no links"),
        None => diagnostic.help(format!("it has {}", super::and_list(&known))),
    }
}
