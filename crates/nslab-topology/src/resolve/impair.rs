//! What happens on each interface's way out, and on the paths over a switch.

use std::collections::HashMap;

use super::Problems;
use super::segments::Network;
use crate::diagnostic::{Diagnostic, Span, Spanned, did_you_mean};
use crate::impairment::{Chance, Distribution, Impairment, Impairments, Share};
use crate::lab::{Path, PathEnd};

/// The longest time that a token bucket of the kernel can hold (`tbf_change`, `net/sched/sch_tbf.c`: 2³² ns), less a
/// margin: within it a whole frame must be sent.
const LONGEST_BUCKET_SECONDS: u64 = 4;
/// Bytes of an Ethernet frame around the MTU, as queues count them: the header, and a VLAN tag.
const ETHERNET: u32 = 14 + 4;

/// The most paths that can begin at one interface: so many fit into a classifier of 4096 instructions
/// (`BPF_MAXINSNS`).
const MAX_PATHS: usize = 500;

/// By port, what happens to what it sends, and what happens instead on the paths to other ports.
pub(crate) struct Settled {
    pub(crate) ends: Vec<Impairment>,
    pub(crate) paths: Vec<Vec<(usize, Impairment)>>,
}

/// Settles and checks all impairments.
pub(crate) fn settle(net: &Network<'_>, problems: &mut Problems) -> Settled {
    let mut correlated = Correlated::default();
    let ends = net.ports.iter().enumerate().map(|(port, plugged)| {
        let of_link = net.link_of(port).map(|link| link.impairments).unwrap_or_default();
        let said = plugged.end.impairments.or(of_link);
        check(&said, net.mtus[port], &mut correlated, problems);
        said.settled()
    });
    let ends = ends.collect();
    Settled { ends, paths: paths(net, &mut correlated, problems) }
}

/// What chances that are correlated really come to, each worked out once.
type Correlated = HashMap<Chance, Share>;

fn check(said: &Impairments, mtu: u32, correlated: &mut Correlated, problems: &mut Problems) {
    let settled = said.settled();
    let span = |spans: [Option<Span>; 2]| spans.into_iter().flatten().next();
    if settled.jitter.time() > settled.delay {
        let place = span([said.jitter.and_then(|one| one.span), said.delay.and_then(|one| one.span)]);
        problems.push(
            Diagnostic::error("jitter-above-delay", "the jitter is larger than the delay that it varies")
                .at(place, "")
                .note("no packet can arrive before it was sent")
                .help("give a delay at least as large"),
        );
    }
    let uneven = said.distribution.filter(|one| one.value != Distribution::Uniform);
    if let (Some(one), None) = (uneven, said.jitter) {
        problems.push(
            Diagnostic::error("distribution-without-jitter", "without a jitter nothing is distributed")
                .at(one.span, "")
                .help("give a jitter besides: how much the delay varies"),
        );
    }
    if !settled.reorder.is_none() && settled.delay.is_zero() {
        problems.push(
            Diagnostic::error("reorder-without-delay", "without a delay nothing can be overtaken")
                .at(said.reorder.and_then(|one| one.span), "")
                .help("give a delay besides: the packets that overtake are those that are not held"),
        );
    }
    for (key, chance) in [
        ("loss", said.loss),
        ("duplicate", said.duplicate),
        ("reorder", said.reorder),
        ("corrupt", said.corrupt),
    ] {
        let Some(chance) = chance.filter(|one| one.value.correlation() != Share::NONE) else { continue };
        let really = *correlated.entry(chance.value).or_insert_with(|| chance.value.effective());
        warn_of_correlation(key, chance, really, problems);
    }
    if let Some(rate) = settled.rate {
        let least = u64::from(mtu + ETHERNET).div_ceil(LONGEST_BUCKET_SECONDS);
        if rate.bytes() < least {
            problems.push(
                Diagnostic::error("rate-too-low", format!("{rate} is too slow for an MTU of {mtu}"))
                    .at(said.rate.and_then(|one| one.span), "")
                    .note(format!(
                        "the kernel's token bucket lasts about {LONGEST_BUCKET_SECONDS} s, and a whole frame must fit \
                         into it: {}bit at least",
                        least * 8
                    ))
                    .help("give more, or a smaller MTU"),
            );
        }
    }
}

/// netem's correlation makes small shares smaller, most of them to nothing.
fn warn_of_correlation(key: &str, chance: Spanned<Chance>, really: Share, problems: &mut Problems) {
    let (asked, really) = (chance.value.share().part(), really.part());
    if (really - asked).abs() < asked * 0.2 {
        return;
    }
    let really =
        if really < 0.0001 { "less than 0.01%".to_owned() } else { format!("{:.2}%", really * 100.0) };
    let message = format!("by its correlation `{key}` of {} comes to {really}", chance.value.share());
    problems.push(
        Diagnostic::warning("correlated-share", message)
            .at(chance.span, "")
            .note("netem mixes each random number with the last one, so that few are small")
            .help("leave the correlation out, or ask for a larger share"),
    );
}

/// One rule for one pair of ports.
struct Chosen {
    /// How exactly the rule names the two.
    rank: usize,
    span: Option<Span>,
    impairment: Impairment,
}

fn paths(
    net: &Network<'_>,
    correlated: &mut Correlated,
    problems: &mut Problems,
) -> Vec<Vec<(usize, Impairment)>> {
    let mut paths = vec![Vec::new(); net.ports.len()];
    let mut chosen: HashMap<(usize, usize), Chosen> = HashMap::new();
    for (index, switch) in net.lab.switches.iter().enumerate() {
        if switch.paths.is_empty() {
            continue;
        }
        // One for each of its VLANs.
        let of_switch =
            |segment: &usize| net.segments[*segment].domains.iter().any(|(switch, _)| *switch == index);
        let segments: Vec<usize> = (0..net.segments.len()).filter(of_switch).collect();
        if segments.is_empty() {
            continue;
        }
        for path in &switch.paths {
            let [from, to] = [&path.from, &path.to].map(|end| members(net, index, &segments, end, problems));
            let meet = |one: &usize| to.iter().any(|other| net.segment_of[*other] == net.segment_of[*one]);
            if !from.is_empty() && !to.is_empty() && !from.iter().any(meet) {
                problems.push(
                    Diagnostic::error(
                        "no-path",
                        format!(
                            "{} and {} are in no VLAN of the switch {} together",
                            path.from, path.to, switch.name.value
                        ),
                    )
                    .at(path.from.node.span, ""),
                );
            }
            let mtu = from.iter().map(|port| net.mtus[*port]).max().unwrap_or(super::mtu::DEFAULT);
            check(&path.impairments, mtu, correlated, problems);
            choose(net, path, &from, &to, &mut chosen, problems);
            if path.both {
                choose(net, path, &to, &from, &mut chosen, problems);
            }
        }
    }
    for ((from, to), one) in chosen {
        paths[from].push((to, one.impairment));
    }
    for (port, list) in paths.iter_mut().enumerate() {
        list.sort_unstable_by_key(|(to, _)| *to);
        if list.len() > MAX_PATHS {
            let message = format!("{} paths begin at {}", list.len(), net.port_label(port));
            problems.push(
                Diagnostic::error("too-many-paths", message)
                    .at(net.ports[port].place(), "")
                    .note(format!("an interface can tell at most {MAX_PATHS} destinations apart")),
            );
        }
    }
    paths
}

/// Takes the rule for each pair: one that names them more exactly stands before one that does so less, and a later one
/// before an earlier. Two that name the same two nodes are an error.
fn choose(
    net: &Network<'_>,
    path: &Path,
    from: &[usize],
    to: &[usize],
    chosen: &mut HashMap<(usize, usize), Chosen>,
    problems: &mut Problems,
) {
    let exact = |end: &PathEnd| usize::from(!end.is_every()) + usize::from(end.interface.is_some());
    let rank = exact(&path.from) + exact(&path.to);
    let named = !path.from.is_every() && !path.to.is_every();
    let span = path.from.node.span;
    for &one in from {
        for &other in to {
            if net.ports[one].device == net.ports[other].device
                || net.segment_of[one] != net.segment_of[other]
                || !sends_itself(net, one)
            {
                continue;
            }
            let impairment = path.impairments.settled();
            if let Some(before) = chosen.get(&(one, other)) {
                if before.rank == rank && named {
                    problems.push(
                        Diagnostic::error(
                            "duplicate-path",
                            format!(
                                "two paths lead from {} to {}",
                                net.port_label(one),
                                net.port_label(other)
                            ),
                        )
                        .at(span, "")
                        .because(before.span, "the other one"),
                    );
                    return;
                }
                if before.rank > rank {
                    continue;
                }
            }
            chosen.insert((one, other), Chosen { rank, span, impairment });
        }
    }
}

/// Whether what a port sends goes by no other port of the same node on the same segment, whose queue would do the same
/// once more: as what a macvlan sends does.
fn sends_itself(net: &Network<'_>, port: usize) -> bool {
    net.lower[port].is_none_or(|lower| net.segment_of[lower] != net.segment_of[port] || net.is_tunnel(port))
}

/// The ports of nodes on the switch's segments that an end of a path means. What is a member of a bridge or bond is
/// left out: what the node sends it sends by that one.
fn members(
    net: &Network<'_>,
    switch: usize,
    segments: &[usize],
    end: &PathEnd,
    problems: &mut Problems,
) -> Vec<usize> {
    let on = segments.iter().flat_map(|segment| &net.segments[*segment].ports).copied();
    let on: Vec<usize> = on.filter(|port| !net.is_member(*port)).collect();
    let place = || match segments {
        [segment] => net.describe_segment(*segment),
        _ => format!("the switch {}", net.lab.switches[switch].name.value),
    };
    if end.is_every() {
        if let Some(name) = &end.interface {
            problems.push(
                Diagnostic::error("bad-path", "`every` node has interfaces of its own")
                    .at(name.span, "")
                    .help("write `every`"),
            );
        }
        return on;
    }
    let name = &end.node;
    let ports: Vec<usize> =
        on.iter().copied().filter(|port| net.owner(*port) == name.value.as_str()).collect();
    if ports.is_empty() {
        let nodes = segments.iter().flat_map(|segment| net.nodes_on(*segment));
        let mut error = Diagnostic::error("not-on-switch", format!("`{}` is not on {}", name.value, place()))
            .at(name.span, "");
        if let Some(hint) = did_you_mean(name, nodes) {
            error = error.help(hint);
        }
        problems.push(error);
        return ports;
    }
    let Some(interface) = &end.interface else { return ports };
    let named: Vec<usize> = ports.iter().copied().filter(|port| is_called(net, *port, interface)).collect();
    if named.is_empty() {
        let known: Vec<&str> = ports.iter().map(|port| net.ports[*port].meant()).collect();
        problems.push(
            Diagnostic::error(
                "unknown-interface",
                format!("`{}` is not on {} with `{}`", name.value, place(), interface.value),
            )
            .at(interface.span, "")
            .help(format!("it is with {}", super::and_list(&known))),
        );
    }
    named
}

fn is_called(net: &Network<'_>, port: usize, name: &Spanned<String>) -> bool {
    net.ports[port].meant() == name.value || net.ports[port].name.as_str() == name.value
}
