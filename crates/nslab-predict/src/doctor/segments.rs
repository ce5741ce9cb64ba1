//! Interfaces of one segment that do not agree.

use std::collections::BTreeMap;

use nslab_kernel::link::LinkKind;

use super::{Fault, Host, Severity};
use crate::Code;
use crate::l2::Port;

/// Interfaces with addresses on one segment whose MTUs differ: the larger frames of one are too large for the other.
pub(super) fn mtu(host: &Host<'_>, faults: &mut Vec<Fault>) {
    for (_, members) in host.segments.all() {
        let mut by_mtu: BTreeMap<u32, Vec<Port>> = BTreeMap::new();
        for &at in members {
            let Some((state, link)) = host.state(at.namespace).zip(host.link(at)) else { continue };
            let speaks = state.network.addresses.iter().any(|address| address.link == at.link);
            // What a VLAN lies on may be larger, by the tag and more.
            if speaks && !matches!(link.kind, Some(LinkKind::Vlan(_))) {
                by_mtu.entry(link.mtu).or_default().push(at);
            }
        }
        let (Some((&least, low)), Some((&most, high))) = (by_mtu.first_key_value(), by_mtu.last_key_value())
        else {
            continue;
        };
        if least == most {
            continue;
        }
        let name = |ports: &[Port]| match ports {
            [only] => host.port(*only),
            [first, rest @ ..] => format!("{} and {} more", host.port(*first), rest.len()),
            [] => String::new(),
        };
        // The odd ones are to blame.
        let (blamed, others) = if low.len() <= high.len() { (low, high) } else { (high, low) };
        let mtu = if low.len() <= high.len() { most } else { least };
        let places = blamed.iter().chain(others.first()).map(|&at| host.place(at)).collect();
        let fix = blamed.iter().filter_map(|&at| {
            let link = host.link(at)?;
            Some(host.command(at.namespace, &format!("ip link set {} mtu {mtu}", link.name)))
        });
        faults.push(Fault {
            severity: Severity::Warning,
            code: Code::MtuMismatch,
            text: format!(
                "MTU {least} at {} and {most} at {} on one segment: frames in between are lost without a word",
                name(low),
                name(high)
            ),
            places,
            evidence: by_mtu.iter().map(|(mtu, ports)| format!("MTU {mtu}: {}", name(ports))).collect(),
            fix: fix.collect(),
        });
    }
}
