//! What lies behind which of a node's interfaces.

use std::collections::VecDeque;

use super::super::segments::Network;

/// For each node and each segment, the ports of one node by which it can be reached.
pub(super) struct Reach {
    nodes: Vec<Vec<usize>>,
    segments: Vec<Vec<usize>>,
}

impl Reach {
    /// Looks from `from` along cables and switches, and through nodes that forward.
    pub(super) fn new(net: &Network<'_>, from: usize) -> Self {
        let mut reach = Self {
            nodes: vec![Vec::new(); net.lab.nodes.len()],
            segments: vec![Vec::new(); net.segments.len()],
        };
        for &port in &net.node_ports[from] {
            let mut next = VecDeque::from([net.segment_of[port]]);
            while let Some(segment) = next.pop_front() {
                if reach.segments[segment].last() == Some(&port) {
                    continue;
                }
                reach.segments[segment].push(port);
                for &other in &net.segments[segment].ports {
                    let Some(node) = net.node_of(other).filter(|node| *node != from) else { continue };
                    if reach.nodes[node].last() == Some(&port) {
                        continue;
                    }
                    reach.nodes[node].push(port);
                    if net.lab.nodes[node].forward {
                        next.extend(net.node_ports[node].iter().map(|port| net.segment_of[*port]));
                    }
                }
            }
        }
        reach
    }

    /// The only port behind which a node lies, if it is only one.
    pub(super) fn node(&self, node: usize) -> Option<usize> {
        only(&self.nodes[node])
    }

    /// The only port behind which a segment lies, if it is only one.
    pub(super) fn segment(&self, segment: usize) -> Option<usize> {
        only(&self.segments[segment])
    }

    /// All ports behind which a node lies.
    pub(super) fn ports_to(&self, node: usize) -> &[usize] {
        &self.nodes[node]
    }
}

fn only(ports: &[usize]) -> Option<usize> {
    match ports {
        [only] => Some(*only),
        _ => None,
    }
}
