//! Addresses that are there twice, and subnets that lie on two segments.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use nslab_types::MacAddr;

use super::{Fault, Host, Severity};
use crate::Code;
use crate::l2::{Port, shares_mac};

/// An address on a segment.
#[derive(Clone, Copy)]
struct Owned {
    at: Port,
    net: IpNet,
    segment: usize,
}

/// All addresses that are not loopback's or link-local.
fn owned(host: &Host<'_>) -> Vec<Owned> {
    let mut all = Vec::new();
    for (namespace, state) in host.states() {
        for address in &state.network.addresses {
            let at = Port { namespace, link: address.link };
            let is_local = match address.address.addr() {
                IpAddr::V4(address) => address.is_link_local() || address.is_loopback(),
                IpAddr::V6(address) => address.is_unicast_link_local() || address.is_loopback(),
            };
            if let Some(segment) = host.segments.number(at).filter(|_| !is_local) {
                all.push(Owned { at, net: address.address, segment });
            }
        }
    }
    all
}

/// Two interfaces of a segment own one address.
pub(super) fn duplicate(host: &Host<'_>, faults: &mut Vec<Fault>) {
    let mut by_address: BTreeMap<(usize, IpAddr), Vec<Port>> = BTreeMap::new();
    for one in owned(host) {
        by_address.entry((one.segment, one.net.addr())).or_default().push(one.at);
    }
    for ((_, address), owners) in by_address.into_iter().filter(|(_, owners)| owners.len() > 1) {
        let names: Vec<String> = owners.iter().map(|&at| host.port(at)).collect();
        faults.push(Fault {
            severity: Severity::Error,
            code: Code::DuplicateAddress,
            text: format!(
                "{address} is on {}, which are on one segment: which one answers is chance",
                names.join(" and ")
            ),
            places: owners.iter().map(|&at| host.place(at)).collect(),
            evidence: Vec::new(),
            fix: Vec::new(),
        });
    }
}

/// Two interfaces of a segment have one MAC. An ipvlan, or a macvlan that takes all
/// of what it lies on, shares its MAC, and is no fault.
pub(super) fn duplicate_macs(host: &Host<'_>, faults: &mut Vec<Fault>) {
    for (_, members) in host.segments.all() {
        let mut by_mac: BTreeMap<MacAddr, Vec<Port>> = BTreeMap::new();
        for &at in members {
            let Some(link) = host.link(at) else { continue };
            if let Some(mac) = link.mac.filter(|mac| !shares_mac(link) && mac.0 != [0; 6]) {
                by_mac.entry(mac).or_default().push(at);
            }
        }
        for (mac, owners) in by_mac.into_iter().filter(|(_, owners)| owners.len() > 1) {
            let names: Vec<String> = owners.iter().map(|&at| host.port(at)).collect();
            faults.push(Fault {
                severity: Severity::Error,
                code: Code::DuplicateMac,
                text: format!(
                    "{} have the same MAC {mac} on one segment: bridges send to whichever spoke last",
                    names.join(" and ")
                ),
                places: owners.iter().map(|&at| host.place(at)).collect(),
                evidence: Vec::new(),
                fix: Vec::new(),
            });
        }
    }
}

/// One subnet on two segments that somebody drew together: of one lab, or of no lab.
pub(super) fn overlapping(host: &Host<'_>, faults: &mut Vec<Fault>) {
    // One line for each pair of segments: the first addresses that show it.
    let mut told: BTreeMap<(usize, usize), (Owned, Owned)> = BTreeMap::new();
    let mut all: Vec<Owned> = owned(host);
    all.retain(|one| !one.net.addr().is_ipv4() || one.net.prefix_len() < 31);
    all.retain(|one| one.net.prefix_len() < one.net.max_prefix_len());
    all.sort_by_key(|one| (one.net.network(), one.net.prefix_len()));
    for (number, one) in all.iter().enumerate() {
        // Sorted by their beginnings, those that begin inside of one follow it at once.
        for other in all[number + 1..].iter().take_while(|other| one.net.contains(&other.net.network())) {
            // Both may go on where the snapshot does not see, and meet there: by a tunnel, say.
            let may_meet = host.segments.is_open(one.segment) && host.segments.is_open(other.segment);
            let together = host.belong_together(one.at.namespace, other.at.namespace);
            if one.segment != other.segment && together && !may_meet {
                let key = (one.segment.min(other.segment), one.segment.max(other.segment));
                told.entry(key).or_insert((*one, *other));
            }
        }
    }
    for (one, other) in told.into_values() {
        let (here, there) = (host.port(one.at), host.port(other.at));
        faults.push(Fault {
            severity: Severity::Warning,
            code: Code::WrongSegment,
            text: format!(
                "{here} ({}) and {there} ({}) are in one subnet and on different segments: neither finds the other by asking",
                one.net, other.net
            ),
            places: vec![host.place(one.at), host.place(other.at)],
            evidence: vec![format!("no cable or bridge joins {here} and {there}")],
            fix: Vec::new(),
        });
    }
}
