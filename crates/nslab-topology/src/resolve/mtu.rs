//! MTUs.

use std::collections::BTreeMap;

use super::segments::Network;
use super::{Problems, and_list};
use crate::diagnostic::{Diagnostic, Spanned};
use crate::model::Device;

/// The MTU of what says nothing about it (`ETH_DATA_LEN`).
pub(super) const DEFAULT: u32 = 1500;
/// The least an IPv6 link carries (`IPV6_MIN_MTU`); below it the kernel turns IPv6 off on an interface.
pub(super) const LEAST_IPV6: u32 = 1280;
/// What an interface may have (`ETH_MIN_MTU`, `ETH_MAX_MTU`).
const RANGE: std::ops::RangeInclusive<u32> = 68..=65535;

/// Settles every port's MTU: its own, else the link's, else the switch's.
pub(super) fn settle(net: &mut Network<'_>, problems: &mut Problems) {
    for switch in &net.lab.switches {
        check_range(switch.mtu.as_ref(), problems);
    }
    for (index, link) in net.links.iter().enumerate() {
        check_range(link.mtu.as_ref(), problems);
        let switches = [0, 1].map(|side| match net.ports[2 * index + side].device {
            Device::Switch(switch) => net.lab.switches[switch].mtu.as_ref(),
            Device::Node(_) => None,
        });
        for side in [0, 1] {
            let own = net.ports[2 * index + side].end.mtu.as_ref();
            check_range(own, problems);
            let mtu = own.or(link.mtu.as_ref()).or(switches[side]).or(switches[1 - side]);
            net.mtus[2 * index + side] = mtu.map_or(DEFAULT, |mtu| mtu.value);
        }
    }
}

fn check_range(mtu: Option<&Spanned<u32>>, problems: &mut Problems) {
    if let Some(mtu) = mtu.filter(|mtu| !RANGE.contains(&mtu.value)) {
        problems.push(
            Diagnostic::error("bad-number", format!("an MTU is from 68 to 65535, not {}", mtu.value))
                .at(mtu.span, ""),
        );
    }
}

/// Refuses IPv6 addresses where the kernel would drop them, and warns of segments whose ends differ.
pub(super) fn check(net: &Network<'_>, problems: &mut Problems) {
    for (index, addresses) in net.addresses.iter().enumerate() {
        let mtu = net.mtus[index];
        if let Some(address) =
            addresses.iter().find(|address| mtu < LEAST_IPV6 && address.net.addr().is_ipv6())
        {
            let place = [net.ports[index].end.mtu.as_ref(), net.links[index / 2].mtu.as_ref()];
            let place = place.into_iter().flatten().next().and_then(|mtu| mtu.span);
            problems.push(
                Diagnostic::error(
                    "mtu-too-small",
                    format!(
                        "{} cannot have the IPv6 address {}: its MTU is {mtu}",
                        net.port_label(index),
                        address.net
                    ),
                )
                .at(address.span, "")
                .because(place, "this MTU")
                .note(format!("the kernel turns IPv6 off on an interface whose MTU is below {LEAST_IPV6}")),
            );
        }
    }
    let mut ports_of: Vec<Vec<usize>> = vec![Vec::new(); net.segments.len()];
    for (port, segment) in net.segment_of.iter().enumerate() {
        ports_of[*segment].push(port);
    }
    for (segment, ports) in ports_of.iter().enumerate() {
        let mut by_mtu: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for port in ports {
            by_mtu.entry(net.mtus[*port]).or_default().push(*port);
        }
        if by_mtu.len() > 1 {
            warn(net, segment, &by_mtu, problems);
        }
    }
}

fn warn(net: &Network<'_>, segment: usize, by_mtu: &BTreeMap<u32, Vec<usize>>, problems: &mut Problems) {
    let groups: Vec<String> = by_mtu
        .iter()
        .map(|(mtu, ports)| {
            // A link's two ends differ seldom: naming the nodes says which links are meant.
            let mut names: Vec<String> = ports
                .iter()
                .filter(|port| net.node_of(**port).is_some() || net.mtus[**port ^ 1] != *mtu)
                .map(|port| net.port_label(*port))
                .collect();
            if names.is_empty() {
                names = ports.iter().map(|port| net.port_label(*port)).collect();
            }
            format!("{mtu} at {}", and_list(&names))
        })
        .collect();
    let rarest = by_mtu.values().min_by_key(|ports| ports.len());
    let odd = rarest.and_then(|ports| ports.first());
    let place = odd.and_then(|port| {
        let mtu = net.ports[*port].end.mtu.as_ref().or(net.links[*port / 2].mtu.as_ref());
        mtu.and_then(|mtu| mtu.span).or(net.ports[*port].place())
    });
    let what = net.describe_segment(segment);
    problems.push(
        Diagnostic::warning("mtu-mismatch", format!("the MTUs on {what} differ: {}", groups.join(", ")))
            .at(place, "")
            .note("a packet that is too large for the far end is lost there without a word: nothing on the segment can say so")
            .help("give every link of the segment the same `mtu`"),
    );
}
