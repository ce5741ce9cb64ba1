//! Settings of interfaces: up, MTU, MAC, bridge, names, addresses.

use std::collections::HashSet;

use ipnet::IpNet;
use nslab_kernel::link::{AddressGeneration, Bridge, Link, LinkKind};
use nslab_types::IfName;

use super::Steps;
use super::cables::Ends;
use crate::actual::ActualNamespace;
use crate::desired::{DesiredLink, DesiredNamespace};
use crate::plan::{BridgeSettings, Conflict, LinkChange, Op, Role, Step};

/// A switch's bridge device.
pub(super) fn bridge(
    place: usize,
    space: &DesiredNamespace,
    is: Option<&ActualNamespace>,
    steps: &mut Steps,
) {
    let Some((name, settings)) = &space.bridge else { return };
    let step = |op| Step { namespace: place, op };
    let shown = is.and_then(|is| is.state.links.iter().find(|link| link.name == *name));
    let up = SetUp { name: *name, up: true };
    let Some(link) = shown else {
        steps.bridges.push(step(Op::CreateBridge { name: *name, settings: settings.clone() }));
        steps.switches_up.push(step(up.op()));
        return;
    };
    let Some(LinkKind::Bridge(bridge)) = &link.kind else {
        steps.conflicts.push(Conflict {
            name: format!("the interface {name} in {}", space.reference.node),
            holder: "it is not a bridge".to_owned(),
        });
        return;
    };
    let before = shown_bridge(link, bridge, settings);
    if before != *settings {
        steps.configure.push(step(Op::SetBridge { name: *name, settings: settings.clone(), before }));
    }
    if !link.up {
        steps.switches_up.push(step(up.op()));
    }
}

/// Bringing an interface up or down.
struct SetUp {
    name: IfName,
    up: bool,
}

impl SetUp {
    fn op(&self) -> Op {
        let change = |up| LinkChange { up: Some(up), ..LinkChange::default() };
        Op::SetLink { name: self.name, change: change(self.up), before: change(!self.up) }
    }
}

fn shown_bridge(link: &Link, bridge: &Bridge, wanted: &BridgeSettings) -> BridgeSettings {
    BridgeSettings {
        mac: link.mac.unwrap_or_default(),
        mtu: link.mtu,
        stp: bridge.stp.unwrap_or(wanted.stp),
        multicast_snooping: bridge.multicast_snooping.unwrap_or(wanted.multicast_snooping),
        ageing_time: wanted.ageing_time.and(bridge.ageing_time),
        vlan_filtering: bridge.vlan_filtering.unwrap_or(wanted.vlan_filtering),
    }
}

/// All interfaces of a namespace; those in `renewed` get their addresses anew.
pub(super) fn configure(
    place: usize,
    space: &DesiredNamespace,
    is: Option<&ActualNamespace>,
    ends: &Ends,
    renewed: &HashSet<IfName>,
    steps: &mut Steps,
) {
    let interfaces = space.interfaces.iter().map(|interface| {
        let follows = super::interfaces::is_brought_up_by_another(&interface.kind);
        (&interface.link, Nature { has_mac: interface.has_mac, follows })
    });
    let ends_of_cables = space.links.iter().map(|link| (link, Nature { has_mac: true, follows: false }));
    for (wanted, mut nature) in ends_of_cables.chain(interfaces) {
        nature.has_mac &= wanted.master.is_none_or(|master| !space.moves_macs(master));
        let shown = is
            .filter(|_| ends.kept.contains(&wanted.name))
            .and_then(|is| is.state.links.iter().find(|link| link.name == wanted.name));
        set_link(place, space, (wanted, nature), shown, is, ends, steps);
        alt_names(place, wanted, shown, steps);
    }
    // An interface that goes may go only after others have come, and until then its addresses and the kernel's routes to
    // them are in the way.
    for going in is.into_iter().flat_map(|is| &is.state.links) {
        let is_bridge = space.bridge.as_ref().is_some_and(|(name, _)| *name == going.name);
        if is.is_some_and(|is| is.owns_link(going))
            && !going.loopback
            && !is_bridge
            && !ends.kept.contains(&going.name)
        {
            addresses(place, going.name, &[], is, steps);
        }
    }
    let loopback = LoopbackAddresses { place, space, is };
    loopback.diff(steps);
    let interfaces = space.interfaces.iter().map(|interface| &interface.link);
    for wanted in space.links.iter().chain(interfaces) {
        let shown = is.filter(|_| ends.kept.contains(&wanted.name));
        if renewed.contains(&wanted.name) {
            addresses(place, wanted.name, &[], shown, steps);
            addresses(place, wanted.name, &wanted.addresses, None, steps);
            continue;
        }
        addresses(place, wanted.name, &wanted.addresses, shown, steps);
    }
}

/// What is special about an interface.
#[derive(Clone, Copy)]
struct Nature {
    /// Its MAC can be set.
    has_mac: bool,
    /// It comes up with what it is on.
    follows: bool,
}

fn set_link(
    place: usize,
    space: &DesiredNamespace,
    (wanted, nature): (&DesiredLink, Nature),
    shown: Option<&Link>,
    is: Option<&ActualNamespace>,
    ends: &Ends,
    steps: &mut Steps,
) {
    let node = space.reference.role != Role::Switch;
    let (mut change, mut before) = (LinkChange::default(), LinkChange::default());
    if let Some(shown) = shown {
        if nature.has_mac && shown.mac != Some(wanted.mac) {
            (change.mac, before.mac) = (Some(wanted.mac), shown.mac);
        }
        if shown.mtu != wanted.mtu {
            (change.mtu, before.mtu) = (Some(wanted.mtu), Some(shown.mtu));
        }
        let master = shown
            .master
            .and_then(|index| is?.state.links.iter().find(|link| link.index == index).map(|link| link.name));
        // The bridge itself may have been lost and made again under its name.
        if master != wanted.master {
            (change.master, before.master) = (Some(wanted.master), Some(master));
        }
        // A bond takes in only what is down, and brings it up.
        if let Some(Some(master)) = change.master
            && shown.up
            && space.is_bond(master)
        {
            let op = SetUp { name: wanted.name, up: false }.op();
            steps.configure.push(Step { namespace: place, op });
            (change.up, before.up) = (Some(true).filter(|_| wanted.up), Some(false).filter(|_| wanted.up));
        }
        if shown.up != wanted.up {
            (change.up, before.up) = (Some(wanted.up), Some(shown.up));
        }
        let automatic = shown.address_generation != Some(AddressGeneration::None);
        if node && automatic && shown.address_generation.is_some() {
            (change.automatic_link_local, before.automatic_link_local) = (Some(false), Some(true));
        }
    } else {
        // Just made: a switch's port may have joined and come up at once, all else is set up here.
        if node && !nature.follows && carries_ipv6(wanted.mtu) {
            (change.automatic_link_local, before.automatic_link_local) = (Some(false), Some(true));
        }
        if nature.follows && !wanted.up {
            (change.up, before.up) = (Some(false), Some(true));
        }
        let joined = space.bridge.is_some() && ends.near.contains(&wanted.name);
        if wanted.master.is_some() && !joined {
            (change.master, before.master) = (Some(wanted.master), Some(None));
        }
        if wanted.up && !joined {
            (change.up, before.up) = (Some(true), Some(false));
        }
    }
    if change != LinkChange::default() {
        steps
            .configure
            .push(Step { namespace: place, op: Op::SetLink { name: wanted.name, change, before } });
    }
}

/// Whether an interface of this MTU has anything to do with IPv6: below `IPV6_MIN_MTU` the kernel knows nothing of it there
/// (`addrconf_notify`, net/ipv6/addrconf.c).
pub(super) fn carries_ipv6(mtu: u32) -> bool {
    mtu >= 1280
}

fn alt_names(place: usize, wanted: &DesiredLink, shown: Option<&Link>, steps: &mut Steps) {
    let has = |name: &String| shown.is_some_and(|link| link.alt_names.contains(name));
    let link = wanted.name;
    if let Some(name) = &wanted.alt_name
        && !has(name)
    {
        steps.configure.push(Step { namespace: place, op: Op::AddAltName { link, name: name.clone() } });
    }
}

struct LoopbackAddresses<'a> {
    place: usize,
    space: &'a DesiredNamespace,
    is: Option<&'a ActualNamespace>,
}

impl LoopbackAddresses<'_> {
    fn diff(&self, steps: &mut Steps) {
        addresses(self.place, IfName::LOOPBACK, &self.space.loopback, self.is, steps);
        // Somebody may have taken `lo` down.
        let own = self.is.filter(|is| is.joined.is_none());
        let down = own.is_some_and(|is| is.state.links.iter().any(|link| link.loopback && !link.up));
        if down {
            let op = SetUp { name: IfName::LOOPBACK, up: true }.op();
            steps.configure.push(Step { namespace: self.place, op });
        }
    }
}

fn addresses(place: usize, link: IfName, wanted: &[IpNet], is: Option<&ActualNamespace>, steps: &mut Steps) {
    let index =
        is.and_then(|is| is.state.links.iter().find(|shown| shown.name == link)).map(|shown| shown.index);
    let shown: Vec<IpNet> = is
        .into_iter()
        .flat_map(|is| &is.state.addresses)
        // Addresses with a lifetime come from DHCP or router advertisements, which go on.
        .filter(|address| Some(address.link) == index && address.permanent)
        .map(|address| address.address)
        .filter(|address| !is_the_kernels_own(link, address))
        .collect();
    // On an interface of its own the lab has a say in all of them, elsewhere in those that it added.
    let own = is.is_some_and(|is| is.state.links.iter().any(|one| one.name == link && is.owns_link(one)));
    let is_ours = |address: &IpNet| own || is.is_some_and(|is| is.owns_address(link, *address));
    for &address in shown.iter().filter(|address| !wanted.contains(address) && is_ours(address)) {
        steps.remove_addresses.push(Step { namespace: place, op: Op::DeleteAddress { link, address } });
    }
    for &address in wanted.iter().filter(|address| !shown.contains(address)) {
        steps.configure.push(Step { namespace: place, op: Op::AddAddress { link, address } });
    }
}

/// Addresses that come with an interface and are nobody's doing: those of `lo`, and link-local ones, unless wanted.
fn is_the_kernels_own(link: IfName, address: &IpNet) -> bool {
    link == IfName::LOOPBACK && address.addr().is_loopback()
}
