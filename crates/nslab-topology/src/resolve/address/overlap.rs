//! One subnet on two segments: the commonest way to a network that is silent.

use std::collections::{HashMap, HashSet};

use ipnet::IpNet;

use super::super::bits::{self, is_link_local};
use super::super::segments::{Address, Network};
use super::super::{Problems, and_list};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::Family;

/// The most pairs that are told of one by one.
const MOST: usize = 20;

/// A prefix on a segment.
#[derive(Clone, Copy)]
struct Use {
    net: IpNet,
    segment: usize,
    span: Option<Span>,
}

/// Warns of every pair of segments with overlapping subnets.
pub(crate) fn overlaps(net: &Network<'_>, problems: &mut Problems) {
    let mut told = HashSet::new();
    let mut more = 0_usize;
    sweep(net, |outer, inner| {
        let pair = (outer.segment.min(inner.segment), outer.segment.max(inner.segment));
        if told.contains(&pair) {
            return;
        }
        if told.len() >= MOST {
            more += 1;
            return;
        }
        told.insert(pair);
        // The segment that the file has first is told of first.
        let (first, second) = if outer.segment < inner.segment { (outer, inner) } else { (inner, outer) };
        problems.push(warning(net, first, second));
    });
    if more > 0 {
        problems.push(Diagnostic::warning(
            "overlapping-subnets",
            format!("{more} more pairs of segments have overlapping subnets"),
        ));
    }
}

/// The prefixes that overlap with one on another segment.
pub(crate) fn overlapping(net: &Network<'_>) -> HashSet<IpNet> {
    let mut found = HashSet::new();
    sweep(net, |outer, inner| {
        found.insert(outer.net);
        found.insert(inner.net);
    });
    found
}

/// Calls `tell` with every pair of overlapping prefixes on different segments, up to a sensible number.
fn sweep(net: &Network<'_>, mut tell: impl FnMut(Use, Use)) {
    const MOST_PAIRS: usize = 1_000_000;
    let mut seen = HashSet::new();
    let mut uses: Vec<Use> = Vec::new();
    for (segment, ports) in net.segments.iter().map(|segment| &segment.ports).enumerate() {
        for Address { net, span } in ports.iter().flat_map(|port| &net.addresses[*port]) {
            let prefix = net.trunc();
            if !is_link_local(prefix.addr()) && seen.insert((prefix, segment)) {
                uses.push(Use { net: prefix, segment, span: *span });
            }
        }
    }
    // Sorted like this a prefix follows all that contain it, and those are still open.
    uses.sort_by_key(|each| {
        (Family::of(each.net.addr()), bits::number(each.net.network()), each.net.prefix_len(), each.segment)
    });
    let mut open: Vec<Use> = Vec::new();
    let mut pairs = 0;
    for each in uses {
        while open.last().is_some_and(|outer| !outer.net.contains(&each.net)) {
            open.pop();
        }
        for outer in open.iter().filter(|outer| outer.segment != each.segment) {
            tell(*outer, each);
            pairs += 1;
            if pairs >= MOST_PAIRS {
                return;
            }
        }
        open.push(each);
    }
}

fn warning(net: &Network<'_>, first: Use, second: Use) -> Diagnostic {
    let [one, two] = [first, second].map(|each| net.describe_segment(each.segment));
    // Two cables between the same two nodes are told apart by their interfaces.
    let [one, two] = if one == two {
        [first, second].map(|each| {
            let ports = &net.segments[each.segment].ports;
            let labels: Vec<String> = ports.iter().map(|port| net.port_label(*port)).collect();
            format!("the cable {}", labels.join("–"))
        })
    } else {
        [one, two]
    };
    let message = if first.net == second.net {
        format!("{} is on two separate segments: {one} and {two}", first.net)
    } else {
        format!("{} on {one} and {} on {two} overlap", first.net, second.net)
    };
    let mut warning = Diagnostic::warning("overlapping-subnets", message)
        .at(second.span, format!("{} here", second.net))
        .because(first.span, format!("{} here", first.net));
    let note = consequence(net, first, second).or_else(|| consequence(net, second, first));
    warning = warning.note(note.unwrap_or_else(|| {
        "a node on both has two routes to the same addresses and always takes one of them".to_owned()
    }));
    warning.help("put all of them on one switch, or give each segment its own subnet with a router between")
}

/// What the overlap does to somebody on `here` who looks for somebody on `there`.
fn consequence(net: &Network<'_>, here: Use, there: Use) -> Option<String> {
    let members = |each: Use| -> HashMap<usize, IpNet> {
        let mut members = HashMap::new();
        for port in &net.segments[each.segment].ports {
            for address in &net.addresses[*port] {
                if let Some(node) = net.node_of(*port).filter(|_| address.net.trunc() == each.net) {
                    members.entry(node).or_insert(address.net);
                }
            }
        }
        members
    };
    let (mine, theirs) = (members(here), members(there));
    let only = |members: &HashMap<usize, IpNet>, others: &HashMap<usize, IpNet>| {
        let mut nodes: Vec<usize> =
            members.keys().copied().filter(|node| !others.contains_key(node)).collect();
        nodes.sort_unstable();
        nodes
    };
    let seekers = only(&mine, &theirs);
    let sought: Vec<usize> =
        only(&theirs, &mine).into_iter().filter(|node| here.net.contains(&theirs[node].addr())).collect();
    let seeker = *seekers.first()?;
    let target = theirs[sought.first()?].addr();
    let name = |nodes: &[usize]| {
        let names: Vec<&str> = nodes.iter().map(|node| net.lab.nodes[*node].name.as_str()).collect();
        and_list(&names)
    };
    let place =
        if net.segments[here.segment].domains.is_empty() { "its own cable" } else { "its own switch" };
    Some(format!(
        "{} looks for {target} on {place}, where nobody answers, so {} cannot reach {}",
        name(&[seeker]),
        name(&seekers),
        name(&sought),
    ))
}
