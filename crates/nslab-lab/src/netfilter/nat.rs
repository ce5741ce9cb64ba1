//! The chains that translate addresses.

use std::net::IpAddr;

use nslab_kernel::nftables::{CtStatus, Expr};
use nslab_topology::lab::Family;
use nslab_topology::model::{NatKind, NatRule, Node, Selector};
use nslab_types::IfName;

use super::firewall::{services, ways};
use super::origin::comment;
use super::words::{Draft, MASQUERADE, Side, Words, translate};

/// Destinations: port forwards, then addresses that stand for others.
pub(super) fn prerouting(node: &Node) -> Vec<Draft> {
    let mut rules = Vec::new();
    for rule in &node.policy.nat {
        let NatKind::Forward { services: ports, addresses, targets, port, .. } = &rule.kind else { continue };
        for target in targets {
            let family = Family::of(*target);
            let own: Vec<ipnet::IpNet> =
                addresses.iter().filter(|own| Family::of(**own) == family).map(|own| (*own).into()).collect();
            if own.is_empty() {
                continue;
            }
            let to = [Selector { interfaces: Vec::new(), prefixes: own }];
            for (way, family) in ways(&rule.from, &to, rule.written.family) {
                for (words, _) in services(&way, family, ports) {
                    rules.push(words.rule(&translate(Side::Destination, *target, *port), &text(rule)));
                }
            }
        }
    }
    for rule in &node.policy.nat {
        let NatKind::OneToOne { outside, inside, .. } = &rule.kind else { continue };
        let to = [Selector { interfaces: Vec::new(), prefixes: vec![ipnet::IpNet::from(*outside)] }];
        for (words, _) in ways(&rule.from, &to, rule.written.family) {
            rules.push(words.rule(&translate(Side::Destination, *inside, None), &text(rule)));
        }
    }
    rules
}

/// Sources: the ways back of what was sent on to where it came from, then what is fixed, then what depends on the
/// interface.
pub(super) fn postrouting(node: &Node) -> Vec<Draft> {
    let mut rules = Vec::new();
    for rule in &node.policy.nat {
        match &rule.kind {
            NatKind::Forward { targets, interfaces, .. } => {
                for target in targets {
                    hairpin(rule, *target, interfaces, &mut rules);
                }
            }
            NatKind::OneToOne { inside, interfaces, .. } => {
                hairpin(rule, *inside, interfaces, &mut rules);
            }
            NatKind::Masquerade { .. } | NatKind::Source { .. } => {}
        }
    }
    for rule in &node.policy.nat {
        if let NatKind::OneToOne { outside, inside, out, .. } = &rule.kind {
            let family = Family::of(*inside);
            let words =
                Words::new().interfaces(Side::Destination, out).addresses(Side::Source, family, &[*inside]);
            rules.push(words.rule(&translate(Side::Source, *outside, None), &text(rule)));
        }
    }
    for rule in &node.policy.nat {
        if let NatKind::Source { to, addresses } = &rule.kind {
            for address in addresses {
                let family = Family::of(*address);
                if rule.written.family.is_some_and(|wanted| wanted != family) {
                    continue;
                }
                for (words, _) in ways(&rule.from, to, Some(family)) {
                    rules.push(words.rule(&translate(Side::Source, *address, None), &text(rule)));
                }
            }
        }
    }
    for rule in &node.policy.nat {
        if let NatKind::Masquerade { interfaces } = &rule.kind {
            let to = [Selector { interfaces: interfaces.clone(), prefixes: Vec::new() }];
            for (words, _) in ways(&rule.from, &to, rule.written.family) {
                rules.push(words.rule(&[MASQUERADE], &text(rule)));
            }
        }
    }
    rules
}

/// What came in by the interface by which it goes back out gets the node's address: the answer would else go straight
/// back, from an address that was not asked (Linux 5.7 knows at this place by which interface a packet came).
fn hairpin(rule: &NatRule, target: IpAddr, interfaces: &[IfName], rules: &mut Vec<Draft>) {
    let family = Family::of(target);
    if rule.written.family.is_some_and(|wanted| wanted != family) {
        return;
    }
    for name in interfaces {
        let words = Words::new()
            .interfaces(Side::Source, &[*name])
            .interfaces(Side::Destination, &[*name])
            .addresses(Side::Destination, family, &[target])
            .status(CtStatus::DNAT);
        rules.push(words.rule(&[MASQUERADE] as &[Expr], &text(rule)));
    }
}

fn text(rule: &NatRule) -> String {
    comment(rule.written.line, &rule.written.to_string())
}
