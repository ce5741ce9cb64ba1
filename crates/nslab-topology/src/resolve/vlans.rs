//! Ports of switches: VLANs, isolation, static forwarding entries.

use nslab_types::IfName;

use super::Problems;
use super::segments::Network;
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::model::{Device, FdbEntry, PortVlan};

/// Settles the VLANs of every port.
pub(super) fn settle(net: &mut Network<'_>, problems: &mut Problems) {
    for port in 0..net.cable_ports() {
        let end = net.ports[port].end;
        let Device::Switch(switch) = net.ports[port].device else {
            let span = end.vlans.as_ref().map(|vlans| vlans.span);
            if let Some(span) = span.or(end.isolated.as_ref().map(|isolated| isolated.span)) {
                problems.push(
                    Diagnostic::error("no-switch-port", "only a switch's port has VLANs or is isolated")
                        .at(span, "")
                        .help("write it at the end that is the switch"),
                );
            }
            continue;
        };
        let switch = &net.lab.switches[switch];
        match &end.vlans {
            Some(vlans) if !switch.vlan_filtering => problems.push(
                Diagnostic::error(
                    "no-vlan-filtering",
                    format!("the switch {} knows no VLANs", switch.name.value),
                )
                .at(vlans.span, "so its port cannot be in one")
                .because(switch.name.span, "this switch")
                .help(format!("`{}: {{vlan_filtering: true}}` makes it VLAN-aware", switch.name.value)),
            ),
            Some(vlans) => {
                for vlan in &vlans.value {
                    if !switch.vlans.is_empty() && !switch.vlans.iter().any(|known| known.id.value == vlan.id)
                    {
                        let known: Vec<String> =
                            switch.vlans.iter().map(|known| known.id.value.to_string()).collect();
                        problems.push(
                            Diagnostic::error(
                                "unknown-vlan",
                                format!("the switch {} has no VLAN {}", switch.name.value, vlan.id),
                            )
                            .at(vlans.span, "")
                            .because(switch.name.span, "this switch")
                            .help(format!("its `vlans` are {}", super::and_list(&known))),
                        );
                    }
                }
                net.port_vlans[port].clone_from(&vlans.value);
            }
            None if switch.vlan_filtering => net.port_vlans[port] = vec![PortVlan::DEFAULT],
            None => {}
        }
    }
}

/// The static forwarding entries of a switch.
pub(super) fn fdb(net: &Network<'_>, switch: usize, problems: &mut Problems) -> Vec<FdbEntry> {
    let lab_switch = &net.lab.switches[switch];
    let mut entries: Vec<FdbEntry> = Vec::new();
    for entry in &lab_switch.fdb {
        let mut ports =
            (0..net.cable_ports()).filter(|port| net.ports[*port].device == Device::Switch(switch));
        let named = |port: usize| {
            let port = &net.ports[port];
            port.meant() == entry.port.value || port.name.as_str() == entry.port.value
        };
        let Some(port) = ports.clone().find(|port| named(*port)) else {
            let known: Vec<&str> = ports.by_ref().map(|port| net.ports[port].meant()).collect();
            let mut error = Diagnostic::error(
                "unknown-port",
                format!("the switch {} has no port `{}`", lab_switch.name.value, entry.port.value),
            )
            .at(entry.port.span, "");
            error = match did_you_mean(&entry.port, known.iter().copied()) {
                Some(hint) => error.help(hint),
                None => error.help(format!("it has {}", super::and_list(&known))),
            };
            problems.push(error);
            continue;
        };
        let vlans = &net.port_vlans[port];
        let vlan = match &entry.vlan {
            Some(vlan) if !vlans.iter().any(|known| known.id == vlan.value) => {
                problems.push(
                    Diagnostic::error(
                        "unknown-vlan",
                        format!("the port {} is not in VLAN {}", net.port_label(port), vlan.value),
                    )
                    .at(vlan.span, ""),
                );
                continue;
            }
            Some(vlan) => Some(vlan.value),
            None => vlans.iter().find(|vlan| vlan.pvid).or(vlans.first()).map(|vlan| vlan.id),
        };
        let name: IfName = net.ports[port].name;
        if entries.iter().any(|other| (other.mac, other.vlan) == (entry.mac, vlan)) {
            problems.push(
                Diagnostic::error("duplicate-mac", format!("{} is behind one port only", entry.mac))
                    .at(entry.span, ""),
            );
            continue;
        }
        entries.push(FdbEntry { mac: entry.mac, vlan, port: name });
    }
    entries.sort_unstable();
    entries
}
