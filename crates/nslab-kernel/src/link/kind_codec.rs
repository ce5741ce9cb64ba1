//! Settings of each kind of interface on the wire (`IFLA_LINKINFO`).

use std::net::IpAddr;

use super::bond;
use super::kind::{
    Bridge, Ipvlan, IpvlanMode, IpvlanSiblings, LinkKind, Macvlan, MacvlanMode, Tun, TunMode, VethPeer, Vlan,
    VlanProtocol, Vrf, Vxlan,
};
use super::tunnel::{self, Encapsulation};
use crate::abi::*;
use crate::netlink::{Attributes, MessageWriter};

/// Writes `IFLA_LINKINFO` for making an interface of this kind.
pub(super) fn write_new(message: &mut MessageWriter<'_>, kind: &LinkKind) {
    message.nested(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, kind.name());
        match kind {
            LinkKind::Veth(None)
            | LinkKind::Tun(_)
            | LinkKind::Ifb
            | LinkKind::Dummy
            | LinkKind::Wireguard
            | LinkKind::Other(_) => {}
            LinkKind::Tunnel(tunnel) => {
                info.nested(IFLA_INFO_DATA, |data| tunnel::write_tunnel(data, tunnel));
            }
            LinkKind::Geneve(geneve) => {
                info.nested(IFLA_INFO_DATA, |data| tunnel::write_geneve(data, geneve));
            }
            LinkKind::Bond(settings) => info.nested(IFLA_INFO_DATA, |data| bond::write(data, *settings)),
            LinkKind::Veth(Some(peer)) => info.nested(IFLA_INFO_DATA, |data| write_peer(data, peer)),
            LinkKind::Bridge(bridge) => {
                // A kernel that cannot filter refuses even "off", which a new bridge is anyway.
                let vlan_filtering = bridge.vlan_filtering.filter(|&on| on);
                let bridge = Bridge { vlan_filtering, ..bridge.clone() };
                info.nested(IFLA_INFO_DATA, |data| write_bridge(data, &bridge));
            }
            LinkKind::Vxlan(vxlan) => info.nested(IFLA_INFO_DATA, |data| write_vxlan(data, vxlan)),
            LinkKind::Macvlan(macvlan) => {
                info.nested(IFLA_INFO_DATA, |data| data.u32(IFLA_MACVLAN_MODE, macvlan_mode(macvlan.mode)));
            }
            LinkKind::Ipvlan(ipvlan) => info.nested(IFLA_INFO_DATA, |data| {
                let mode = match ipvlan.mode {
                    IpvlanMode::L2 => 0,
                    IpvlanMode::L3 => 1,
                    IpvlanMode::L3s => 2,
                };
                data.u16(IFLA_IPVLAN_MODE, mode);
                match ipvlan.siblings {
                    // Kernels before 4.15 do not know the attribute.
                    IpvlanSiblings::Bridge => {}
                    IpvlanSiblings::Private => data.u16(IFLA_IPVLAN_FLAGS, IPVLAN_F_PRIVATE),
                    IpvlanSiblings::Vepa => data.u16(IFLA_IPVLAN_FLAGS, IPVLAN_F_VEPA),
                }
            }),
            LinkKind::Vlan(vlan) => info.nested(IFLA_INFO_DATA, |data| {
                data.u16(IFLA_VLAN_ID, vlan.id);
                let protocol: u16 = match vlan.protocol {
                    VlanProtocol::Dot1Q => 0x8100,
                    VlanProtocol::Dot1Ad => 0x88a8,
                };
                data.attribute(IFLA_VLAN_PROTOCOL, &protocol.to_be_bytes());
            }),
            LinkKind::Vrf(vrf) => info.nested(IFLA_INFO_DATA, |data| data.u32(IFLA_VRF_TABLE, vrf.table)),
        }
    });
}

/// Writes `IFLA_LINKINFO` for changing a bridge.
pub(super) fn write_bridge_change(message: &mut MessageWriter<'_>, bridge: &Bridge) {
    message.nested(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "bridge");
        info.nested(IFLA_INFO_DATA, |data| write_bridge(data, bridge));
    });
}

fn write_peer(data: &mut MessageWriter<'_>, peer: &VethPeer) {
    data.nested(VETH_INFO_PEER, |end| {
        end.header(&ifinfomsg(AF_UNSPEC, peer.index.unwrap_or(0), 0, 0));
        end.text(IFLA_IFNAME, peer.name.as_str());
        if let Some(namespace) = peer.namespace {
            end.u32(IFLA_NET_NS_FD, namespace.cast_unsigned());
        }
        super::change::write_common(end, peer.mac, peer.mtu, peer.group, peer.queues);
    });
}

fn write_bridge(data: &mut MessageWriter<'_>, bridge: &Bridge) {
    let Bridge {
        stp,
        vlan_filtering,
        multicast_snooping,
        ageing_time,
        forward_delay,
        group_forward_mask,
        default_pvid,
    } = bridge;
    if let Some(forward_delay) = *forward_delay {
        data.u32(IFLA_BR_FORWARD_DELAY, forward_delay);
    }
    if let Some(ageing_time) = *ageing_time {
        data.u32(IFLA_BR_AGEING_TIME, ageing_time);
    }
    if let Some(stp) = *stp {
        data.u32(IFLA_BR_STP_STATE, u32::from(stp));
    }
    if let Some(vlan_filtering) = *vlan_filtering {
        data.u8(IFLA_BR_VLAN_FILTERING, u8::from(vlan_filtering));
    }
    if let Some(mask) = *group_forward_mask {
        data.u16(IFLA_BR_GROUP_FWD_MASK, mask);
    }
    if let Some(snooping) = *multicast_snooping {
        data.u8(IFLA_BR_MCAST_SNOOPING, u8::from(snooping));
    }
    if let Some(pvid) = *default_pvid {
        data.u16(IFLA_BR_VLAN_DEFAULT_PVID, pvid);
    }
}

fn write_vxlan(data: &mut MessageWriter<'_>, vxlan: &Vxlan) {
    data.u32(IFLA_VXLAN_ID, vxlan.vni);
    if let Some(remote) = vxlan.remote {
        data.address(if remote.is_ipv4() { IFLA_VXLAN_GROUP } else { IFLA_VXLAN_GROUP6 }, remote);
    }
    if let Some(local) = vxlan.local {
        data.address(if local.is_ipv4() { IFLA_VXLAN_LOCAL } else { IFLA_VXLAN_LOCAL6 }, local);
    }
    if let Some(lower) = vxlan.lower {
        data.u32(IFLA_VXLAN_LINK, lower);
    }
    if let Some(port) = vxlan.port {
        data.attribute(IFLA_VXLAN_PORT, &port.to_be_bytes());
    }
    if let Some(learning) = vxlan.learning {
        data.u8(IFLA_VXLAN_LEARNING, u8::from(learning));
    }
    if let Some(ttl) = vxlan.ttl {
        data.u8(IFLA_VXLAN_TTL, ttl);
    }
}

fn macvlan_mode(mode: MacvlanMode) -> u32 {
    match mode {
        MacvlanMode::Private => 1,
        MacvlanMode::Vepa => 2,
        MacvlanMode::Bridge => 4,
        MacvlanMode::Passthru => 8,
        MacvlanMode::Source => 16,
    }
}

/// Reads the content of `IFLA_LINKINFO`. A kind whose settings have values that nslab does not know is
/// [`LinkKind::Other`].
pub(super) fn read(info: &Attributes<'_>) -> Option<LinkKind> {
    let name = info.get(IFLA_INFO_KIND)?.text();
    let data = info.get(IFLA_INFO_DATA).map_or(Attributes::new(&[]), |data| data.nested());
    let known = match name.as_str() {
        "veth" => Some(LinkKind::Veth(None)),
        "bridge" => Some(LinkKind::Bridge(read_bridge(&data))),
        "vxlan" => Some(LinkKind::Vxlan(read_vxlan(&data))),
        "macvlan" => read_macvlan(&data),
        "ipvlan" => read_ipvlan(&data),
        "vlan" => read_vlan(&data),
        "vrf" => data.get(IFLA_VRF_TABLE).and_then(|table| Some(LinkKind::Vrf(Vrf { table: table.u32()? }))),
        "tun" => read_tun(&data),
        "ifb" => Some(LinkKind::Ifb),
        "dummy" => Some(LinkKind::Dummy),
        "wireguard" => Some(LinkKind::Wireguard),
        "geneve" => Some(LinkKind::Geneve(tunnel::read_geneve(&data))),
        "bond" => bond::read(&data).map(LinkKind::Bond),
        name => Encapsulation::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .map(|kind| LinkKind::Tunnel(tunnel::read_tunnel(kind, &data))),
    };
    Some(known.unwrap_or(LinkKind::Other(name)))
}

fn read_bridge(data: &Attributes<'_>) -> Bridge {
    let mut bridge = Bridge::default();
    for attribute in data.clone() {
        match attribute.kind {
            IFLA_BR_FORWARD_DELAY => bridge.forward_delay = attribute.u32(),
            IFLA_BR_AGEING_TIME => bridge.ageing_time = attribute.u32(),
            IFLA_BR_STP_STATE => bridge.stp = attribute.u32().map(|state| state != 0),
            IFLA_BR_VLAN_FILTERING => bridge.vlan_filtering = attribute.u8().map(|on| on != 0),
            IFLA_BR_GROUP_FWD_MASK => bridge.group_forward_mask = attribute.u16(),
            IFLA_BR_MCAST_SNOOPING => bridge.multicast_snooping = attribute.u8().map(|on| on != 0),
            IFLA_BR_VLAN_DEFAULT_PVID => bridge.default_pvid = attribute.u16(),
            _ => {}
        }
    }
    bridge
}

fn read_vxlan(data: &Attributes<'_>) -> Vxlan {
    let specified = |address: Option<IpAddr>| address.filter(|address| !address.is_unspecified());
    let mut vxlan = Vxlan::default();
    for attribute in data.clone() {
        match attribute.kind {
            IFLA_VXLAN_ID => vxlan.vni = attribute.u32().unwrap_or(0),
            IFLA_VXLAN_GROUP | IFLA_VXLAN_GROUP6 => vxlan.remote = specified(attribute.address()),
            IFLA_VXLAN_LOCAL | IFLA_VXLAN_LOCAL6 => vxlan.local = specified(attribute.address()),
            IFLA_VXLAN_LINK => vxlan.lower = attribute.u32().filter(|&index| index != 0),
            IFLA_VXLAN_PORT => vxlan.port = attribute.be16(),
            IFLA_VXLAN_LEARNING => vxlan.learning = attribute.u8().map(|on| on != 0),
            IFLA_VXLAN_TTL => vxlan.ttl = attribute.u8(),
            _ => {}
        }
    }
    vxlan
}

fn read_macvlan(data: &Attributes<'_>) -> Option<LinkKind> {
    let mode = match data.get(IFLA_MACVLAN_MODE)?.u32()? {
        1 => MacvlanMode::Private,
        2 => MacvlanMode::Vepa,
        4 => MacvlanMode::Bridge,
        8 => MacvlanMode::Passthru,
        16 => MacvlanMode::Source,
        _ => return None,
    };
    Some(LinkKind::Macvlan(Macvlan { mode }))
}

fn read_ipvlan(data: &Attributes<'_>) -> Option<LinkKind> {
    let mode = match data.get(IFLA_IPVLAN_MODE)?.u16()? {
        0 => IpvlanMode::L2,
        1 => IpvlanMode::L3,
        2 => IpvlanMode::L3s,
        _ => return None,
    };
    // The kernel allows one of the flags at a time (`ipvlan_nl_validate`, `drivers/net/ipvlan/ipvlan_main.c`).
    let flags = data.get(IFLA_IPVLAN_FLAGS).and_then(|flags| flags.u16()).unwrap_or(0);
    let siblings = if flags & IPVLAN_F_PRIVATE != 0 {
        IpvlanSiblings::Private
    } else if flags & IPVLAN_F_VEPA != 0 {
        IpvlanSiblings::Vepa
    } else {
        IpvlanSiblings::Bridge
    };
    Some(LinkKind::Ipvlan(Ipvlan { mode, siblings }))
}

fn read_vlan(data: &Attributes<'_>) -> Option<LinkKind> {
    let protocol = match data.get(IFLA_VLAN_PROTOCOL).and_then(|protocol| protocol.be16()) {
        Some(0x88a8) => VlanProtocol::Dot1Ad,
        _ => VlanProtocol::Dot1Q,
    };
    Some(LinkKind::Vlan(Vlan { id: data.get(IFLA_VLAN_ID)?.u16()?, protocol }))
}

fn read_tun(data: &Attributes<'_>) -> Option<LinkKind> {
    let mode = match data.get(IFLA_TUN_TYPE)?.u8()? {
        1 => TunMode::Tun,
        2 => TunMode::Tap,
        _ => return None,
    };
    let persistent = data.get(IFLA_TUN_PERSIST).and_then(|persist| persist.u8()).is_some_and(|on| on != 0);
    let owner = data.get(IFLA_TUN_OWNER).and_then(|owner| owner.u32());
    Some(LinkKind::Tun(Tun { mode, persistent, owner }))
}
