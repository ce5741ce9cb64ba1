//! Which cables stay, which come, which go.

use std::collections::{HashMap, HashSet};

use nslab_kernel::link::{AddressGeneration, IfIndex, Link};
use nslab_types::IfName;

use super::{Steps, joined};
use crate::actual::{Actual, ActualNamespace};
use crate::desired::{Desired, DesiredCable, DesiredLink};
use crate::plan::{Conflict, LinkChange, Op, Step, VethEnd};

/// What becomes of a namespace's desired interfaces.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends {
    /// Those that are there already as ends of the right cable.
    pub(super) kept: HashSet<IfName>,
    /// Those that are made from this namespace, so that they have joined their bridge and come up as they are made.
    pub(super) near: HashSet<IfName>,
}

/// Finds the steps for cables; returns what becomes of the ends, by namespace.
pub(super) fn diff(desired: &Desired, actual: &Actual, steps: &mut Steps) -> Vec<Ends> {
    let mut ends = vec![Ends::default(); desired.namespaces.len()];
    let shown: Vec<HashMap<IfName, &Link>> = actual
        .namespaces
        .iter()
        .map(|space| {
            let links = space.iter().flat_map(|space| &space.state.links);
            links.map(|link| (link.name, link)).collect()
        })
        .collect();
    let mut missing = Vec::new();
    for cable in &desired.cables {
        let DesiredCable { near, far } = *cable;
        let there = |place: (usize, usize)| shown[place.0].get(&desired.link(place).name).copied();
        if let (Some(one), Some(other)) = (there(near), there(far))
            && actual
                .peer(near.0, one.index)
                .is_some_and(|(place, peer)| (place, peer.index) == (far.0, other.index))
        {
            ends[near.0].kept.insert(one.name);
            ends[far.0].kept.insert(other.name);
        } else {
            ends[near.0].near.insert(desired.link(near).name);
            missing.push(*cable);
        }
    }
    remove(desired, actual, &ends, steps);
    for DesiredCable { near, far } in missing {
        steps.cables.push(Step {
            namespace: near.0,
            op: Op::CreateVeth {
                near: end(desired.link(near), desired.namespaces[near.0].bridge.is_some()),
                far_namespace: far.0,
                far: end(desired.link(far), false),
            },
        });
    }
    ends
}

/// Deletes links that nslab made and that are not wanted any more or are not what is wanted; a cable once, from the
/// end that comes first. Foreign links stay; one that has the name of a wanted one is a conflict.
fn remove(desired: &Desired, actual: &Actual, ends: &[Ends], steps: &mut Steps) {
    let wanted = desired.namespaces.len();
    let mut going: Vec<(usize, &Link)> = Vec::new();
    for (place, space) in desired.namespaces.iter().enumerate() {
        let Some(is) = &actual.namespaces[place] else { continue };
        let bridge = space.bridge.as_ref().map(|(name, _)| *name);
        for link in &is.state.links {
            if link.loopback || ends[place].kept.contains(&link.name) || Some(link.name) == bridge {
                continue;
            }
            let own = space.interfaces.iter().any(|wanted| wanted.link.name == link.name);
            // These are looked after with the interfaces that are no ends of cables.
            if bridge.is_none() && super::interfaces::is_known(link) && (own || is.owns_link(link)) {
                continue;
            }
            if is.owns_link(link) {
                going.push((place, link));
            } else if space.links.iter().any(|wanted| wanted.name == link.name) {
                steps.conflicts.push(Conflict {
                    name: format!("the interface {} in {}", link.name, space.reference.node),
                    holder: format!("nslab did not make it (it is of kind {})", kind_name(link)),
                });
            } else if space.way.as_ref().is_some_and(|way| way.interface == link.name) {
                // The carrier's.
            } else if is.joined.is_none() && link.kind.is_some() && !is_fallback(link) {
                steps.notes.push(format!(
                    "{}: {} is not in the lab file and not made by nslab; it stays",
                    space.reference.node, link.name
                ));
            }
        }
    }
    for (number, (_, is)) in actual.surplus.iter().enumerate() {
        let marked = is.state.links.iter().filter(|link| is.owns_link(link));
        going.extend(marked.map(|link| (wanted + number, link)));
    }
    // A cable goes from one of its ends, the step names both, so that undoing can make the cable again.
    let places: HashMap<(usize, IfIndex), usize> =
        going.iter().enumerate().map(|(number, (place, link))| ((*place, link.index), number)).collect();
    let mut gone = vec![false; going.len()];
    for number in 0..going.len() {
        if std::mem::replace(&mut gone[number], true) {
            continue;
        }
        let (namespace, link) = going[number];
        let peer =
            actual.peer(namespace, link.index).and_then(|(place, peer)| places.get(&(place, peer.index)));
        let is_needed = |(place, link): (usize, &Link)| {
            place < wanted && desired.namespaces[place].links.iter().any(|wanted| wanted.name == link.name)
        };
        // The cables of a namespace that goes, go with it, after all that can be undone; unless their names are needed.
        let (op, late) = match peer {
            Some(&other) => {
                gone[other] = true;
                let (far_namespace, far) = going[other];
                let late = (namespace >= wanted || far_namespace >= wanted)
                    && !is_needed((namespace, link))
                    && !is_needed((far_namespace, far));
                let near = shown_end(link);
                (Op::DeleteVeth { near, far_namespace, far: shown_end(far) }, late)
            }
            None => (Op::DeleteStrayLink { name: link.name }, namespace >= wanted),
        };
        if !late && let Op::DeleteVeth { far_namespace, .. } = op {
            // What it was, for undoing: a far end is neither up nor in a bridge when it is made.
            let far = actual.peer(namespace, link.index).map(|(_, far)| (far_namespace, far));
            for (place, end) in std::iter::once((namespace, link)).chain(far) {
                steps.unplug.extend(unplug(place, end, actual.at(place)));
                steps.unplug.extend(super::queues::take_off(place, end, actual.at(place)));
            }
        }
        let stage = if late { &mut steps.remove_namespaces } else { &mut steps.remove_links };
        stage.push(Step { namespace, op });
    }
    for (number, (reference, is)) in actual.surplus.iter().enumerate() {
        let namespace = wanted + number;
        let op = if is.joined.is_some() { joined::let_go(reference, is) } else { Op::DeleteNamespace };
        // A pin that is needed for what the node is now.
        let is_replaced = desired.namespaces.iter().any(|space| space.reference.node == reference.node);
        let stage = if is_replaced { &mut steps.remove_links } else { &mut steps.remove_namespaces };
        stage.push(Step { namespace, op });
    }
}

/// Devices that the kernel puts into every new namespace when their module is loaded
/// (`net.core.fb_tunnels_only_for_init_net`).
fn is_fallback(link: &Link) -> bool {
    const NAMES: [&str; 9] =
        ["tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"];
    NAMES.contains(&link.name.as_str())
}

fn end(link: &DesiredLink, port: bool) -> VethEnd {
    // Only the near end of a switch's cable joins a bridge and comes up as it is made; the far end is set up in its own
    // namespace, after it was told not to make itself an IPv6 address.
    VethEnd {
        name: link.name,
        mac: link.mac,
        mtu: link.mtu,
        master: link.master.filter(|_| port),
        up: port && link.up,
    }
}

/// An end of a cable that goes, after [`unplug`].
fn shown_end(link: &Link) -> VethEnd {
    VethEnd { name: link.name, mac: link.mac.unwrap_or_default(), mtu: link.mtu, master: None, up: false }
}

/// The step that takes an end down and out of its bridge, if it is up or in one.
pub(super) fn unplug(namespace: usize, link: &Link, space: Option<&ActualNamespace>) -> Option<Step> {
    let master = link.master.and_then(|index| {
        let links = space.map(|space| &space.state.links)?;
        links.iter().find(|other| other.index == index).map(|other| other.name)
    });
    let off = link.address_generation == Some(AddressGeneration::None);
    let change = LinkChange {
        up: link.up.then_some(false),
        master: master.map(|_| None),
        automatic_link_local: off.then_some(true),
        ..LinkChange::default()
    };
    let before = LinkChange {
        up: link.up.then_some(true),
        master: master.map(Some),
        automatic_link_local: off.then_some(false),
        ..LinkChange::default()
    };
    (change != LinkChange::default())
        .then_some(Step { namespace, op: Op::SetLink { name: link.name, change, before } })
}

fn kind_name(link: &Link) -> String {
    link.kind.as_ref().map_or_else(|| "hardware".to_owned(), |kind| kind.name().to_owned())
}
