//! Operations as netlink requests.

use std::collections::HashMap;
use std::os::fd::RawFd;

use nslab_kernel::address::ChangeAddress;
use nslab_kernel::error::Refusal;
use nslab_kernel::link::{
    AddressGeneration, AltName, Bridge, DelLink, IfIndex, LinkKind, NewLink, SetBridgePort, SetLink, VethPeer,
};
use nslab_kernel::neighbour::{BridgeVlan, ChangeBridgeVlan, ChangeFdb, ChangeNeighbour};
use nslab_kernel::netlink::{Batch, Request as _};
use nslab_kernel::route::{self, ChangeRoute};
use nslab_kernel::rule::{self, ChangeRule};
use nslab_topology::model::{self, PortVlan};
use nslab_types::IfName;
use rustix::io::Errno;

use crate::kinds;
use crate::plan::{BridgeSettings, InterfaceSettings, LINK_GROUP, LinkChange, Op, VethEnd};

/// The numbers of the interfaces that a step makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    /// The one in the step's own namespace.
    pub(super) near: IfIndex,
    /// The other end of a cable.
    pub(super) far: IfIndex,
}

/// What turns names into numbers.
pub(super) struct Context<'a> {
    /// The interfaces of the step's namespace.
    pub(super) indexes: &'a HashMap<IfName, IfIndex>,
    /// The descriptors of all namespaces.
    pub(super) descriptors: &'a [Option<RawFd>],
    /// The numbers of what the step makes.
    pub(super) numbers: Option<Numbers>,
}

impl Context<'_> {
    fn index(&self, name: IfName) -> Result<IfIndex, String> {
        self.indexes.get(&name).copied().ok_or_else(|| format!("there is no interface {name}"))
    }
}

/// Adds the requests of `op` to `batch`. Errors with the reason if they cannot even be made.
pub(super) fn push(op: &Op, context: &Context<'_>, batch: &mut Batch) -> Result<(), String> {
    match op {
        Op::CreateBridge { name, settings } => {
            batch.push(&new_bridge(*name, settings, context));
        }
        Op::SetBridge { name, settings, before } => {
            let turned_off = before.vlan_filtering && !settings.vlan_filtering;
            let change = SetLink {
                index: context.index(*name)?,
                mac: Some(settings.mac),
                mtu: Some(settings.mtu),
                bridge: Some(Bridge {
                    vlan_filtering: if turned_off { Some(false) } else { bridge(settings).vlan_filtering },
                    ..bridge(settings)
                }),
                ..SetLink::default()
            };
            batch.push(&change);
        }
        Op::DeleteBridge { name, .. } | Op::DeleteInterface { name, .. } | Op::DeleteStrayLink { name } => {
            batch.push(&DelLink::Index(context.index(*name)?));
        }
        Op::CreateVeth { near, far_namespace, far } => {
            batch.push(&new_veth(near, *far_namespace, far, context)?);
        }
        Op::DeleteVeth { near, .. } => {
            batch.push(&DelLink::Index(context.index(near.name)?));
        }
        Op::CreateInterface { name, settings } => {
            batch.push(&new_interface(*name, settings, context)?);
        }
        Op::SetPortVlan { link, vlan, .. } | Op::DeletePortVlan { link, vlan } => {
            let delete = matches!(op, Op::DeletePortVlan { .. });
            let PortVlan { id, pvid, untagged } = *vlan;
            let vlan = BridgeVlan { link: context.index(*link)?, vlan: id, pvid, untagged };
            batch.push(&ChangeBridgeVlan { vlan, own: false, delete });
        }
        Op::SetIsolated { link, isolated } => {
            let index = context.index(*link)?;
            batch.push(&SetBridgePort { index, isolated: Some(*isolated), ..SetBridgePort::default() });
        }
        Op::AddFdb { link, mac, vlan, remote } | Op::DeleteFdb { link, mac, vlan, remote } => {
            batch.push(&ChangeFdb {
                link: context.index(*link)?,
                port: remote.is_none(),
                mac: *mac,
                vlan: *vlan,
                remote: *remote,
                delete: matches!(op, Op::DeleteFdb { .. }),
            });
        }
        Op::SetLink { name, change, .. } => set_link(context.index(*name)?, change, context, batch)?,
        Op::SetQueue { link, queue, before } => {
            let index = context.index(*link)?;
            queue.changes(before).into_iter().for_each(|change| change.push(index, batch));
        }
        Op::AddAltName { link, name } | Op::DeleteAltName { link, name } => {
            let delete = matches!(op, Op::DeleteAltName { .. });
            batch.push(&AltName { index: context.index(*link)?, name: name.clone(), delete });
        }
        Op::AddAddress { link, address } | Op::DeleteAddress { link, address } => {
            let delete = matches!(op, Op::DeleteAddress { .. });
            batch.push(&ChangeAddress { link: context.index(*link)?, address: *address, delete });
        }
        Op::AddRoute(route) | Op::DeleteRoute(route) => {
            let delete = matches!(op, Op::DeleteRoute(_));
            batch.push(&ChangeRoute { route: kernel_route(route, context)?, delete });
        }
        Op::AddRule(rule) | Op::DeleteRule(rule) => {
            let delete = matches!(op, Op::DeleteRule(_));
            batch.push(&ChangeRule { rule: kernel_rule(rule), delete });
        }
        Op::SetNeighbour { link, address, mac, .. } => {
            batch.push(&ChangeNeighbour { link: context.index(*link)?, address: *address, mac: Some(*mac) });
        }
        Op::DeleteNeighbour { link, address, .. } => {
            batch.push(&ChangeNeighbour { link: context.index(*link)?, address: *address, mac: None });
        }
        Op::CreateNamespace
        | Op::DeleteNamespace
        | Op::JoinNamespace { .. }
        | Op::LeaveNamespace { .. }
        | Op::RenameNamespace { .. }
        | Op::SetSysctl { .. }
        | Op::ReplaceTable { .. }
        | Op::RunNft { .. }
        | Op::CreateView(_)
        | Op::DeleteView(_)
        | Op::WriteFile { .. }
        | Op::ReplaceHostTable { .. }
        | Op::StartWay(_)
        | Op::StopWay(_)
        | Op::SetWireguard { .. }
        | Op::StartProgram(_)
        | Op::StopProgram(_) => unreachable!("{op} is not a netlink request"),
    }
    Ok(())
}

/// Whether a refusal only says that things are as `op` would have them: the kernel took what was to go along with
/// something else, or made what was to come by itself.
pub(super) fn is_so_already(op: &Op, refusal: &Refusal) -> bool {
    match op {
        Op::DeleteBridge { .. }
        | Op::DeleteStrayLink { .. }
        | Op::DeleteVeth { .. }
        | Op::DeleteInterface { .. }
        | Op::DeletePortVlan { .. }
        | Op::DeleteFdb { .. }
        | Op::DeleteAltName { .. }
        | Op::DeleteAddress { .. }
        | Op::DeleteRoute(_)
        | Op::DeleteRule(_)
        | Op::DeleteNeighbour { .. } => {
            matches!(refusal.errno, Errno::NOENT | Errno::SRCH | Errno::NODEV | Errno::ADDRNOTAVAIL)
        }
        Op::AddAddress { .. } => refusal.errno == Errno::EXIST,
        Op::SetQueue { queue, .. } if queue.is_default() => {
            matches!(refusal.errno, Errno::NOENT | Errno::INVAL | Errno::NODEV)
        }
        _ => false,
    }
}

/// The kernel's refusal of a request of `op` in words, and whether it means that the kernel lacks something.
pub(super) fn reason(op: &Op, refusal: &Refusal) -> (String, bool) {
    let made = match op {
        Op::CreateBridge { name, settings } => Some(NewLink::new(*name, LinkKind::Bridge(bridge(settings)))),
        Op::CreateVeth { near, .. } => Some(NewLink::new(near.name, LinkKind::Veth(None))),
        Op::CreateInterface { name, settings } => {
            kinds::to_kernel(&settings.kind, |_| Ok(1)).ok().map(|kind| NewLink::new(*name, kind))
        }
        _ => None,
    };
    match made.and_then(|made| made.unsupported(refusal)) {
        Some(error) => (error.to_string(), true),
        None => (refusal.to_string(), false),
    }
}

fn new_bridge(name: IfName, settings: &BridgeSettings, context: &Context<'_>) -> NewLink {
    NewLink {
        index: context.numbers.map(|numbers| numbers.near),
        mac: Some(settings.mac),
        mtu: Some(settings.mtu),
        group: LINK_GROUP,
        ..NewLink::new(name, LinkKind::Bridge(bridge(settings)))
    }
}

fn new_interface(
    name: IfName,
    settings: &InterfaceSettings,
    context: &Context<'_>,
) -> Result<NewLink, String> {
    let kind = kinds::to_kernel(&settings.kind, |name| context.index(name))?;
    Ok(NewLink {
        index: context.numbers.map(|numbers| numbers.near),
        mac: settings.mac,
        mtu: Some(settings.mtu),
        lower: kinds::lower(&settings.kind).map(|lower| context.index(lower)).transpose()?,
        group: LINK_GROUP,
        ..NewLink::new(name, kind)
    })
}

fn bridge(settings: &BridgeSettings) -> Bridge {
    Bridge {
        // Its ports have the VLANs that they are given, and none by themselves.
        vlan_filtering: settings.vlan_filtering.then_some(true),
        default_pvid: settings.vlan_filtering.then_some(0),
        stp: Some(settings.stp),
        multicast_snooping: Some(settings.multicast_snooping),
        ageing_time: settings.ageing_time,
        ..Bridge::default()
    }
}

fn new_veth(
    near: &VethEnd,
    far_namespace: usize,
    far: &VethEnd,
    context: &Context<'_>,
) -> Result<NewLink, String> {
    let far_descriptor = context.descriptors.get(far_namespace).copied().flatten();
    let peer = VethPeer {
        index: context.numbers.map(|numbers| numbers.far),
        namespace: Some(far_descriptor.ok_or("the namespace of the other end is gone")?),
        mac: Some(far.mac),
        mtu: Some(far.mtu),
        group: LINK_GROUP,
        queues: Some(1),
        ..VethPeer::new(far.name)
    };
    Ok(NewLink {
        index: context.numbers.map(|numbers| numbers.near),
        mac: Some(near.mac),
        mtu: Some(near.mtu),
        master: near.master.map(|master| context.index(master)).transpose()?,
        group: LINK_GROUP,
        up: near.up,
        queues: Some(1),
        ..NewLink::new(near.name, LinkKind::Veth(Some(Box::new(peer))))
    })
}

fn set_link(
    index: IfIndex,
    change: &LinkChange,
    context: &Context<'_>,
    batch: &mut Batch,
) -> Result<(), String> {
    // On its own and first: the kernel looks at it after it has brought an interface up (`do_setlink`,
    // net/core/rtnetlink.c), and then the address is there already.
    if let Some(automatic) = change.automatic_link_local {
        let mode = if automatic { AddressGeneration::Eui64 } else { AddressGeneration::None };
        batch.push(&SetLink { index, address_generation: Some(mode), ..SetLink::default() });
    }
    let master = match change.master {
        Some(Some(master)) => Some(context.index(master)?),
        Some(None) => Some(0),
        None => None,
    };
    // A bond takes in only what is down, and the kernel brings an interface up before it looks at its master
    // (`do_setlink`).
    if let (Some(1..), Some(true)) = (master, change.up) {
        batch.push(&SetLink { index, mtu: change.mtu, mac: change.mac, master, ..SetLink::default() });
        batch.push(&SetLink { index, up: change.up, ..SetLink::default() });
        return Ok(());
    }
    let rest =
        SetLink { index, up: change.up, mtu: change.mtu, mac: change.mac, master, ..SetLink::default() };
    if rest.up.is_some() || rest.mtu.is_some() || rest.mac.is_some() || rest.master.is_some() {
        batch.push(&rest);
    }
    Ok(())
}

fn kernel_route(wanted: &model::Route, context: &Context<'_>) -> Result<route::Route, String> {
    let action = match &wanted.action {
        model::RouteAction::Forward(hops) => {
            let hops: Result<Vec<_>, String> = hops
                .iter()
                .map(|hop| {
                    Ok(route::NextHop {
                        via: hop.via,
                        link: hop.dev.map(|dev| context.index(dev)).transpose()?,
                        weight: hop.weight,
                        onlink: hop.onlink,
                    })
                })
                .collect();
            route::RouteAction::Forward(hops?)
        }
        model::RouteAction::Blackhole => route::RouteAction::Blackhole,
        model::RouteAction::Unreachable => route::RouteAction::Unreachable,
        model::RouteAction::Prohibit => route::RouteAction::Prohibit,
        model::RouteAction::Throw => route::RouteAction::Throw,
    };
    Ok(route::Route {
        metric: wanted.metric.unwrap_or(0),
        table: wanted.table,
        source: wanted.source,
        mtu: wanted.mtu,
        protocol: route::PROTOCOL_STATIC,
        ..route::Route::new(wanted.to, action)
    })
}

fn kernel_rule(wanted: &model::Rule) -> rule::Rule {
    let action = match wanted.action {
        model::RuleAction::Table(table) => rule::RuleAction::Table(table),
        model::RuleAction::Blackhole => rule::RuleAction::Blackhole,
        model::RuleAction::Unreachable => rule::RuleAction::Unreachable,
        model::RuleAction::Prohibit => rule::RuleAction::Prohibit,
    };
    rule::Rule {
        from: wanted.from,
        to: wanted.to,
        iif: wanted.iif,
        oif: wanted.oif,
        fwmark: wanted.fwmark,
        protocol: route::PROTOCOL_STATIC,
        ..rule::Rule::new(wanted.ipv6, wanted.priority, action)
    }
}
