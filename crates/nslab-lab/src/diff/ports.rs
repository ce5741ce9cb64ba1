//! A switch's ports: VLANs, isolation, static forwarding entries.

use std::collections::{HashMap, HashSet};

use nslab_kernel::link::IfIndex;
use nslab_topology::model::PortVlan;
use nslab_types::IfName;

use super::Steps;
use super::cables::Ends;
use crate::actual::ActualNamespace;
use crate::desired::DesiredNamespace;
use crate::plan::{Op, Step};

/// Finds the steps for the ports of a switch.
pub(super) fn diff(
    place: usize,
    space: &DesiredNamespace,
    is: Option<&ActualNamespace>,
    ends: &Ends,
    steps: &mut Steps,
) {
    let Some((_, settings)) = &space.bridge else { return };
    let step = |op| Step { namespace: place, op };
    let kept = is.filter(|_| !ends.kept.is_empty());
    let names: HashMap<IfIndex, IfName> =
        kept.into_iter().flat_map(|is| &is.state.links).map(|link| (link.index, link.name)).collect();
    let mut vlans: HashMap<IfName, Vec<PortVlan>> = HashMap::new();
    for vlan in kept.into_iter().flat_map(|is| &is.state.vlans) {
        if let Some(name) = names.get(&vlan.link).filter(|name| ends.kept.contains(name)) {
            let vlan = PortVlan { id: vlan.vlan, pvid: vlan.pvid, untagged: vlan.untagged };
            vlans.entry(*name).or_default().push(vlan);
        }
    }
    let isolated: HashSet<IfName> = kept
        .into_iter()
        .flat_map(|is| &is.state.links)
        .filter(|link| link.bridge_port.is_some_and(|port| port.isolated) && ends.kept.contains(&link.name))
        .map(|link| link.name)
        .collect();
    for port in &space.links {
        let link = port.name;
        if settings.vlan_filtering {
            let shown = vlans.get(&link).map_or(&[][..], Vec::as_slice);
            for &vlan in shown.iter().filter(|vlan| !port.vlans.iter().any(|wanted| wanted.id == vlan.id)) {
                steps.configure.push(step(Op::DeletePortVlan { link, vlan }));
            }
            for &vlan in port.vlans.iter().filter(|vlan| !shown.contains(vlan)) {
                let before = shown.iter().find(|shown| shown.id == vlan.id).copied();
                steps.configure.push(step(Op::SetPortVlan { link, vlan, before }));
            }
        }
        if port.isolated != isolated.contains(&link) {
            steps.configure.push(step(Op::SetIsolated { link, isolated: port.isolated }));
        }
    }
    let shown: HashSet<_> = kept
        .into_iter()
        .flat_map(|is| &is.state.fdb)
        .filter(|entry| entry.fixed && !entry.local && !entry.external && entry.master.is_some())
        .filter_map(|entry| {
            let port = names.get(&entry.link).filter(|name| ends.kept.contains(name))?;
            // Where the switch knows no VLANs the kernel keeps a further entry for the VLAN that its ports have anyway.
            Some((*port, entry.mac, entry.vlan.filter(|_| settings.vlan_filtering)))
        })
        .collect();
    let wanted: HashSet<_> = space.fdb.iter().map(|entry| (entry.port, entry.mac, entry.vlan)).collect();
    let mut surplus: Vec<_> = shown.difference(&wanted).copied().collect();
    surplus.sort_unstable();
    for (link, mac, vlan) in surplus {
        steps.remove_routing.push(step(Op::DeleteFdb { link, mac, vlan, remote: None }));
    }
    let mut missing: Vec<_> = wanted.difference(&shown).copied().collect();
    missing.sort_unstable();
    for (link, mac, vlan) in missing {
        steps.configure.push(step(Op::AddFdb { link, mac, vlan, remote: None }));
    }
}
