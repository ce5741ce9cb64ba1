//! Routes by which everybody reaches everybody.

use std::collections::{BTreeMap, VecDeque};

use super::draft::{Draft, anywhere, prefix};
use crate::chance::Chance;

/// By which of a node's ends, and which neighbour of it, each segment is reached that it is not on.
pub(crate) fn ways(draft: &Draft, node: usize) -> BTreeMap<usize, (usize, (usize, usize))> {
    let mut ways = BTreeMap::new();
    let mut queue = VecDeque::new();
    let own: Vec<usize> = draft.nodes[node].ends.iter().map(|end| end.segment).collect();
    let mut seen = vec![false; draft.nodes.len()];
    seen[node] = true;
    for (number, end) in draft.nodes[node].ends.iter().enumerate() {
        for &(next, its) in &draft.segments[end.segment].members {
            if draft.nodes[next].is_router && !seen[next] {
                seen[next] = true;
                queue.push_back((next, (number, (next, its))));
            }
        }
    }
    while let Some((at, first)) = queue.pop_front() {
        for end in &draft.nodes[at].ends {
            if !own.contains(&end.segment) {
                ways.entry(end.segment).or_insert(first);
            }
            for &(next, _) in &draft.segments[end.segment].members {
                if draft.nodes[next].is_router && !seen[next] {
                    seen[next] = true;
                    queue.push_back((next, first));
                }
            }
        }
    }
    ways
}

pub(crate) fn draw(chance: &mut Chance, draft: &mut Draft) {
    for node in draft.hosts() {
        let ways = ways(draft, node);
        let Some((_, &first)) = ways.iter().next() else { continue };
        let is_one = ways.values().all(|way| *way == first);
        let default = is_one && chance.percent(if draft.nodes[node].is_router { 30 } else { 75 });
        for ipv6 in draft.families() {
            let via = |(end, (next, its)): (usize, (usize, usize))| {
                let gateway = draft.nodes[next].ends[its].address(ipv6);
                format!("via {gateway} dev {}", draft.nodes[node].ends[end].name)
            };
            let lines: Vec<String> = if default {
                vec![format!("route add {} {}", anywhere(ipv6), via(first))]
            } else {
                ways.iter()
                    .map(|(&segment, &way)| format!("route add {} {}", prefix(segment, ipv6), via(way)))
                    .collect()
            };
            for line in lines {
                draft.ip(node, line);
            }
        }
    }
}
