//! Addresses for the ends that have none.
//!
//! A segment on which nothing is written takes a subnet of the pool: /24 for switches, or as much larger as the nodes
//! on it need, /30 for a cable, /64 for IPv6. Where some ends have addresses, the others join their subnet. Either way
//! the free addresses are given out from the lowest, in the order of the links.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::bits::{self, is_link_local};
use super::super::mtu::LEAST_IPV6;
use super::super::segments::{Address, Network};
use super::super::{Problems, and_list};
use super::pool::Pool;
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::Family;

/// Chooses the addresses that were left open.
pub(crate) fn plan(net: &mut Network<'_>, problems: &mut Problems) {
    let used = in_use(net);
    let pools = [
        net.lab.addressing.ipv4.as_ref().map(|pool| (IpNet::V4(pool.value.trunc()), pool.span)),
        net.lab.addressing.ipv6.as_ref().map(|pool| (IpNet::V6(pool.value.trunc()), pool.span)),
    ];
    let mut pools = pools.map(|pool| pool.map(|(pool, span)| (Pool::new(pool, &used), pool, span)));
    for segment in 0..net.segments.len() {
        let silent = net.segments[segment].ports.iter().all(|port| net.addresses[*port].is_empty());
        let open: Vec<usize> =
            net.segments[segment].ports.iter().copied().filter(|port| net.wants_addresses(*port)).collect();
        if open.is_empty() {
            continue;
        }
        for (family, pool) in Family::BOTH.into_iter().zip(&mut pools) {
            let Some((pool, whole, pool_span)) = pool else { continue };
            let open: Vec<usize> = open.iter().copied().filter(|port| net.carries(*port, family)).collect();
            if open.is_empty() {
                continue;
            }
            let subnet = match written(net, segment, family, &open) {
                Ok(Some(subnet)) => Some(subnet),
                Ok(None) if !silent => None,
                Ok(None) if family == Family::Ipv6 && too_small_for_ipv6(net, segment) => None,
                Ok(None) => {
                    let length = length_for(net, segment, family, open.len());
                    let subnet = pool.take(length);
                    if subnet.is_none() {
                        problems.push(exhausted(net, segment, *whole, length, *pool_span));
                    }
                    subnet
                }
                Err(problem) => {
                    problems.push(*problem);
                    None
                }
            };
            if let Some(subnet) = subnet {
                fill(net, segment, subnet, &open, problems);
            }
        }
    }
}

/// Every prefix that the file uses.
fn in_use(net: &Network<'_>) -> Vec<IpNet> {
    let ends = net.addresses.iter().flatten().map(|address| address.net);
    let loopbacks = net.lab.nodes.iter().flat_map(|node| node.addresses.iter().map(|net| net.value));
    let subnets = net.lab.switches.iter().flat_map(|switch| {
        let of_vlans = switch.vlans.iter().flat_map(|vlan| &vlan.subnets);
        switch.subnets.iter().chain(of_vlans).map(|net| net.value)
    });
    ends.chain(loopbacks).chain(subnets).collect()
}

/// The one subnet of a family that is written for a segment.
fn written(
    net: &Network<'_>,
    segment: usize,
    family: Family,
    open: &[usize],
) -> Result<Option<IpNet>, Box<Diagnostic>> {
    let mut subnets = net.subnets_of(segment);
    if let Some(subnet) = subnets.find(|subnet| Family::of(subnet.addr()) == family) {
        return Ok(Some(subnet.value));
    }
    let mut found: Vec<(IpNet, Option<Span>)> = Vec::new();
    for port in &net.segments[segment].ports {
        for address in &net.addresses[*port] {
            let subnet = address.net.trunc();
            let counts = Family::of(subnet.addr()) == family && !is_link_local(subnet.addr());
            if counts && !found.iter().any(|(other, _)| *other == subnet) {
                found.push((subnet, address.span));
            }
        }
    }
    match found.as_slice() {
        [] => Ok(None),
        [(subnet, _)] => Ok(Some(*subnet)),
        several => {
            let names: Vec<String> = several.iter().map(|(subnet, _)| subnet.to_string()).collect();
            let port = open[0];
            let mut problem = Diagnostic::error(
                "ambiguous-subnet",
                format!("{} could get its address from {}", net.owner(port), and_list(&names)),
            )
            .at(net.ports[port].place(), "this end has no address")
            .help("write the address, `address: none` for none, or the switch's `subnet:`");
            for (subnet, span) in several.iter().take(4) {
                problem = problem.because(*span, subnet.to_string());
            }
            Err(Box::new(problem))
        }
    }
}

fn too_small_for_ipv6(net: &Network<'_>, segment: usize) -> bool {
    net.segments[segment].ports.iter().any(|port| net.mtus[*port] < LEAST_IPV6)
}

/// The length of the prefix that a segment needs.
fn length_for(net: &Network<'_>, segment: usize, family: Family, hosts: usize) -> u8 {
    if family == Family::Ipv6 {
        return 64;
    }
    if net.segments[segment].domains.is_empty() && hosts <= 2 {
        return 30;
    }
    // Without the subnet's own and the broadcast address.
    (2..=24).rev().find(|length| (1_u64 << (32 - length)) - 2 >= hosts as u64).unwrap_or(2)
}

fn exhausted(net: &Network<'_>, segment: usize, pool: IpNet, length: u8, span: Option<Span>) -> Diagnostic {
    let place = net.segments[segment].ports.first().and_then(|port| net.ports[*port].place());
    Diagnostic::error(
        "pool-exhausted",
        format!("the pool {pool} has no room left for the /{length} of {}", net.describe_segment(segment)),
    )
    .at(place, "this segment gets no addresses")
    .because(span, "the pool")
    .help("name a larger pool in `addressing:`, or write the addresses")
}

/// Gives the open ends the lowest free addresses of a subnet.
fn fill(net: &mut Network<'_>, segment: usize, subnet: IpNet, open: &[usize], problems: &mut Problems) {
    let taken: HashSet<IpAddr> = net.segments[segment]
        .ports
        .iter()
        .flat_map(|port| net.addresses[*port].iter().map(|address| address.net.addr()))
        .collect();
    let (mut next, last) = bits::hosts(&subnet);
    for &port in open {
        let address = loop {
            if next > last {
                break None;
            }
            let address = bits::address(Family::of(subnet.addr()), next);
            next = next.saturating_add(1);
            if address.is_none_or(|address| !taken.contains(&address)) {
                break address;
            }
        };
        if let Some(address) = address.and_then(|address| IpNet::new(address, subnet.prefix_len()).ok()) {
            net.addresses[port].push(Address { net: address, span: None });
        } else {
            problems.push(
                Diagnostic::error(
                    "subnet-full",
                    format!(
                        "{subnet} on {} has no address left for {}",
                        net.describe_segment(segment),
                        net.owner(port)
                    ),
                )
                .at(net.ports[port].place(), "")
                .help("make the subnet larger"),
            );
            return;
        }
    }
}
