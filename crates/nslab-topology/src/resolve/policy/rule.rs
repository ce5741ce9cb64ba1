//! Where a rule is tried, and what it asks there.

use super::super::Problems;
use super::zone::{self, Place, Zone};
use crate::diagnostic::{Diagnostic, Spanned};
use crate::lab;
use crate::model::{FirewallRule, Hook, Match, Selector};

/// One side of a rule.
struct Side<'a> {
    /// Nothing is said of it.
    any: bool,
    /// The node itself is meant, besides others.
    own: bool,
    others: Vec<(Zone, &'a Spanned<String>)>,
}

impl<'a> Side<'a> {
    fn new(place: &Place<'_>, zones: &'a [Spanned<String>]) -> Self {
        // What is unknown was told of.
        let found =
            zones.iter().filter_map(|name| Some((zone::find(place.net, place.node, name).ok()?, name)));
        let (own, others): (Vec<_>, Vec<_>) = found.partition(|(zone, _)| *zone == Zone::Own);
        Self { any: zones.is_empty(), own: !own.is_empty(), others }
    }

    fn selectors(&self, place: &Place<'_>, local: bool, problems: &mut Problems) -> Vec<Selector> {
        let all = self.others.iter().map(|(zone, name)| place.selector(*zone, name, local, problems));
        zone::join(all.collect())
    }
}

pub(super) fn resolve(
    place: &Place<'_>,
    rule: &Spanned<lab::FirewallRule>,
    problems: &mut Problems,
) -> FirewallRule {
    let known = problems.list.len();
    let (from, to) = (Side::new(place, &rule.from), Side::new(place, &rule.to));
    let mut matches = Vec::new();
    let from_others = from.any || !from.others.is_empty();
    if from_others {
        let sources = from.selectors(place, true, problems);
        // Prefixes may well hold the node's own addresses; that is as true for it as for any other.
        let own = place.own_addresses();
        let of_own: Vec<Selector> = to
            .others
            .iter()
            .filter_map(|(zone, _)| match zone {
                Zone::Prefix(prefix) => {
                    let holds = own.iter().any(|own| prefix.contains(&own.addr()));
                    holds.then(|| Selector { interfaces: Vec::new(), prefixes: vec![*prefix] })
                }
                _ => None,
            })
            .collect();
        if to.any || to.own {
            matches.push(Match { hook: Hook::Input, from: sources, to: Vec::new() });
        } else if !of_own.is_empty() {
            matches.push(Match { hook: Hook::Input, from: sources, to: zone::join(of_own) });
        }
    }
    if from_others && (to.any || !to.others.is_empty()) && place.forwards() {
        let (from, to) = (from.selectors(place, false, problems), to.selectors(place, false, problems));
        matches.push(Match { hook: Hook::Forward, from, to });
    }
    if from.own && (to.any || !to.others.is_empty()) {
        let to = to.selectors(place, true, problems);
        matches.push(Match { hook: Hook::Output, from: Vec::new(), to });
    }
    for one in &mut matches {
        apart(one, rule.family);
        for side in [&mut one.from, &mut one.to] {
            if side.iter().any(|selector| *selector != Selector::default()) {
                side.retain(|selector| *selector != Selector::default());
            }
        }
    }
    matches.retain(|one| {
        !one.from.iter().chain(&one.to).any(|side| side.interfaces.is_empty() && side.prefixes.is_empty())
    });
    if matches.is_empty() && problems.errors == 0 && problems.list.len() == known {
        let name = place.name();
        let error =
            Diagnostic::warning("never-matches", format!("no packet that {name} sees is such a packet"))
                .at(rule.span, "");
        problems.push(if !place.forwards() && !to.own && !from.own {
            error.note(format!("{name} does not forward")).help("a router has `forward: true`")
        } else {
            error.note("its two sides are the node itself, or of different families")
        });
    }
    FirewallRule { written: rule.value.clone(), matches }
}

/// Leaves out prefixes of a family that the other side, or the rule, rules out. What nothing is left of becomes a
/// selector of nothing.
fn apart(one: &mut Match, family: Option<lab::Family>) {
    for wanted in lab::Family::BOTH {
        let has = |side: &[Selector]| {
            side.is_empty()
                || side.iter().any(|selector| {
                    selector.prefixes.is_empty()
                        || selector.prefixes.iter().any(|prefix| lab::Family::of(prefix.addr()) == wanted)
                })
        };
        if has(&one.from) && has(&one.to) && family.is_none_or(|family| family == wanted) {
            continue;
        }
        for side in [&mut one.from, &mut one.to] {
            for selector in side.iter_mut().filter(|selector| !selector.prefixes.is_empty()) {
                selector.prefixes.retain(|prefix| lab::Family::of(prefix.addr()) != wanted);
                if selector.prefixes.is_empty() {
                    selector.interfaces.clear();
                }
            }
        }
    }
}
