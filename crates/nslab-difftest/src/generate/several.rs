//! Routes with several next hops, and next hops that are objects.

use std::fmt::Write as _;

use super::draft::{Draft, anywhere, prefix};
use crate::chance::Chance;

/// Adds some.
pub(crate) fn add(chance: &mut Chance, draft: &mut Draft) {
    for _ in 0..chance.between(1, 4) {
        let node = *chance.pick(&draft.hosts());
        let ipv6 = *chance.pick(&draft.families());
        let segment = chance.below(draft.segments.len());
        let to = if chance.percent(75) { prefix(segment, ipv6) } else { anywhere(ipv6).to_owned() };
        if chance.percent(50) {
            weighed(chance, draft, node, ipv6, &to);
        } else {
            objects(chance, draft, node, ipv6, &to);
        }
    }
}

/// A neighbour of a node as a next hop: mostly one that forwards.
fn hop(chance: &mut Chance, draft: &Draft, node: usize, ipv6: bool) -> Option<String> {
    let neighbours: Vec<(usize, String)> = draft.nodes[node]
        .ends
        .iter()
        .flat_map(|end| {
            let others = draft.segments[end.segment].members.iter().filter(|(other, _)| *other != node);
            others.map(|&(other, its)| {
                let gateway = draft.nodes[other].ends[its].address(ipv6);
                (other, format!("via {gateway} dev {}", end.name))
            })
        })
        .collect();
    let routers: Vec<(usize, String)> =
        neighbours.iter().filter(|(other, _)| draft.nodes[*other].is_router).cloned().collect();
    let among = if chance.percent(85) && !routers.is_empty() { routers } else { neighbours };
    chance.any(&among).map(|(_, hop)| hop)
}

fn weighed(chance: &mut Chance, draft: &mut Draft, node: usize, ipv6: bool, to: &str) {
    let mut line = format!("route replace {to}");
    for _ in 0..chance.between(2, 3) {
        let Some(hop) = hop(chance, draft, node, ipv6) else { return };
        let _ = write!(line, " nexthop {hop} weight {}", chance.between(1, 3));
    }
    draft.ip(node, line);
}

fn objects(chance: &mut Chance, draft: &mut Draft, node: usize, ipv6: bool, to: &str) {
    // Numbers are the namespace's own; what is there already stays.
    let first = 10 * chance.between(1, 20);
    let mut ids = Vec::new();
    for id in first..first + chance.between(1, 2) {
        let Some(hop) = hop(chance, draft, node, ipv6) else { return };
        draft.ip(node, format!("nexthop add id {id} {hop}"));
        ids.push(id.to_string());
    }
    let mut target = ids[0].clone();
    if ids.len() > 1 {
        target = (first + 9).to_string();
        draft.ip(node, format!("nexthop add id {target} group {}", ids.join("/")));
    } else if !ipv6 && chance.percent(25) {
        // Of IPv6 such a one cannot be said in a batch.
        target = (first + 8).to_string();
        draft.ip(node, format!("nexthop add id {target} blackhole"));
    }
    draft.ip(node, format!("route replace {to} nhid {target}"));
}
