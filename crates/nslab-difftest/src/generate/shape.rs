//! Which namespaces there are, and what joins them.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::draft::Draft;
use super::{links, routes};
use crate::chance::Chance;
use crate::network::Service;

/// So many namespaces a network has at most.
const MOST: usize = 12;

/// A network in which everything works.
pub(crate) fn draw(chance: &mut Chance) -> Draft {
    let mut draft = Draft { ipv4: chance.percent(80), ..Draft::default() };
    draft.ipv6 = !draft.ipv4 || chance.percent(45);
    match chance.below(10) {
        0 | 1 => {
            lan(chance, &mut draft, &[], 2, 5);
        }
        2..=4 => line(chance, &mut draft),
        5 | 6 => star(chance, &mut draft),
        7 => ring(chance, &mut draft),
        _ => tree(chance, &mut draft),
    }
    for node in 0..draft.nodes.len() {
        if draft.nodes[node].is_router {
            draft.sysctl(node, "net.ipv4.conf.all.forwarding", 1);
            draft.sysctl(node, "net.ipv6.conf.all.forwarding", 1);
        }
    }
    links::raise(&mut draft);
    routes::draw(chance, &mut draft);
    programs(chance, &mut draft);
    draft
}

fn room(draft: &Draft) -> usize {
    MOST.saturating_sub(draft.nodes.len())
}

/// Hosts on a segment, with those that are there already.
fn lan(chance: &mut Chance, draft: &mut Draft, with: &[usize], least: usize, most: usize) {
    let count = chance.between(least, most).min(room(draft).saturating_sub(1));
    let mut members = with.to_vec();
    for _ in 0..count {
        members.push(draft.node(false, false));
    }
    // Some are on two segments.
    if chance.percent(12)
        && let Some(other) = chance.any(&draft.hosts())
        && !members.contains(&other)
    {
        members.push(other);
    }
    if members.len() >= 2 {
        links::segment(chance, draft, &members, room(draft));
    }
}

fn line(chance: &mut Chance, draft: &mut Draft) {
    let routers: Vec<usize> = (0..chance.between(1, 4)).map(|_| draft.node(true, false)).collect();
    for pair in routers.windows(2) {
        links::segment(chance, draft, pair, room(draft).saturating_sub(4));
    }
    lan(chance, draft, &routers[..1], 1, 2);
    lan(chance, draft, &routers[routers.len() - 1..], 1, 2);
}

fn star(chance: &mut Chance, draft: &mut Draft) {
    let middle = draft.node(true, false);
    for _ in 0..chance.between(2, 4) {
        lan(chance, draft, &[middle], 1, 2);
    }
}

fn ring(chance: &mut Chance, draft: &mut Draft) {
    let routers: Vec<usize> = (0..chance.between(3, 4)).map(|_| draft.node(true, false)).collect();
    for place in 0..routers.len() {
        let pair = [routers[place], routers[(place + 1) % routers.len()]];
        links::segment(chance, draft, &pair, room(draft).saturating_sub(4));
    }
    for _ in 0..2 {
        let at = *chance.pick(&routers);
        lan(chance, draft, &[at], 1, 2);
    }
}

fn tree(chance: &mut Chance, draft: &mut Draft) {
    let mut routers = vec![draft.node(true, false)];
    for _ in 0..chance.between(1, 3) {
        let above = *chance.pick(&routers);
        let router = draft.node(true, false);
        let both = if chance.percent(20) { vec![above, router, routers[0]] } else { vec![above, router] };
        let mut members = both;
        members.sort_unstable();
        members.dedup();
        links::segment(chance, draft, &members, room(draft).saturating_sub(4));
        routers.push(router);
    }
    for _ in 0..chance.between(1, 3) {
        let at = *chance.pick(&routers);
        lan(chance, draft, &[at], 1, 2);
    }
}

/// Programs that listen.
fn programs(chance: &mut Chance, draft: &mut Draft) {
    // Not every kernel tells all of them: in few networks.
    let raw = chance.percent(6);
    for node in draft.hosts() {
        for service in [Service::Udp(53), Service::Tcp(80)] {
            match chance.below(10) {
                0..4 => {
                    draft.listen(node, service, Ipv6Addr::UNSPECIFIED.into(), true);
                }
                4..7 => {
                    draft.listen(node, service, Ipv4Addr::UNSPECIFIED.into(), false);
                    draft.listen(node, service, Ipv6Addr::UNSPECIFIED.into(), false);
                }
                7 => {
                    let own = chance.pick(&draft.nodes[node].ends).clone();
                    for ipv6 in draft.families() {
                        draft.listen(node, service, own.address(ipv6), false);
                    }
                }
                8 => draft.listen(node, service, Ipv4Addr::LOCALHOST.into(), false),
                _ => {}
            }
        }
        if raw && chance.percent(40) {
            draft.listen(node, Service::Raw(253), Ipv4Addr::UNSPECIFIED.into(), false);
            draft.listen(node, Service::Raw(253), Ipv6Addr::UNSPECIFIED.into(), false);
        }
    }
}
