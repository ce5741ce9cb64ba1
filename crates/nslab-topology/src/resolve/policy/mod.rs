//! Firewalls and address translation: zones become interfaces and prefixes.

mod nat;
mod reach;
mod rule;
mod shadow;
mod zone;

use super::Problems;
use super::segments::Network;
use crate::diagnostic::Diagnostic;
use crate::model::{Firewall, Policy, Route};

/// Checks the names of zones and targets, for which nothing but names must be known.
pub(crate) fn check(net: &Network<'_>, problems: &mut Problems) {
    for (index, node) in net.lab.nodes.iter().enumerate() {
        let policy = &node.policy;
        if let Some(existing) = node.existing.as_ref().filter(|_| !policy.is_empty()) {
            let message =
                format!("{} is there without the lab, which does not filter in it", node.name.value);
            problems.push(
                Diagnostic::error("not-the-labs-own", message)
                    .at(existing.span, "")
                    .help("take `firewall`, `nat` and `nft` out, or let a node of the lab's own do it"),
            );
            continue;
        }
        let rules = policy.firewall.iter().flat_map(|firewall| &firewall.rules);
        for zone in rules.flat_map(|rule| rule.from.iter().chain(&rule.to)) {
            if let Err(error) = zone::find(net, index, zone) {
                problems.push(*error);
            }
        }
        for rule in &policy.nat {
            nat::check(net, index, rule, problems);
        }
    }
}

/// Every node's policy. `routes` are those of every node.
pub(crate) fn all(net: &Network<'_>, routes: &[Vec<Route>], problems: &mut Problems) -> Vec<Policy> {
    let node = |index: usize| {
        let written = &net.lab.nodes[index].policy;
        if written.firewall.is_none() && written.nat.is_empty() {
            return Policy { nft: written.nft.clone(), ..Policy::default() };
        }
        let place = zone::Place::new(net, index, &routes[index]);
        let firewall = written.firewall.as_ref().map(|firewall| {
            let rules: Vec<_> =
                firewall.rules.iter().map(|rule| rule::resolve(&place, rule, problems)).collect();
            let spans: Vec<_> = firewall.rules.iter().map(|rule| rule.span).collect();
            shadow::check(&rules, &spans, problems);
            Firewall {
                input: firewall.input,
                forward: firewall.forward,
                output: firewall.output,
                log: firewall.log.clone(),
                line: firewall.line,
                rules,
            }
        });
        let nat = nat::resolve(&place, &written.nat, problems);
        Policy { firewall, nat, nft: written.nft.clone() }
    };
    (0..net.lab.nodes.len()).map(node).collect()
}
