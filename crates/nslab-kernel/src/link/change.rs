//! Making, changing and deleting interfaces: the requests on the wire.

use std::fmt;

use nslab_types::MacAddr;
use rustix::io::Errno;

use super::{AddressGeneration, AltName, Bridge, DelLink, LinkKind, NewLink, SetLink, kind_codec};
use crate::abi::*;
use crate::error::{Error, Refusal};
use crate::netlink::{MessageWriter, Request};

/// What either end of a veth, or any other new interface, may be given.
pub(super) fn write_common(
    message: &mut MessageWriter<'_>,
    mac: Option<MacAddr>,
    mtu: Option<u32>,
    group: u32,
    queues: Option<u32>,
) {
    if let Some(mac) = mac {
        message.attribute(IFLA_ADDRESS, &mac.0);
    }
    if let Some(mtu) = mtu {
        message.u32(IFLA_MTU, mtu);
    }
    if group != 0 {
        message.u32(IFLA_GROUP, group);
    }
    if let Some(queues) = queues {
        message.u32(IFLA_NUM_TX_QUEUES, queues);
        message.u32(IFLA_NUM_RX_QUEUES, queues);
    }
}

impl fmt::Display for NewLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "create link {} ({})", self.name, self.kind.name())
    }
}

impl Request for NewLink {
    fn message_type(&self) -> u16 {
        RTM_NEWLINK
    }

    fn flags(&self) -> u16 {
        NLM_F_CREATE | NLM_F_EXCL
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let up = if self.up { IFF_UP } else { 0 };
        message.header(&ifinfomsg(AF_UNSPEC, self.index.unwrap_or(0), up, up));
        message.text(IFLA_IFNAME, self.name.as_str());
        if let Some(namespace) = self.namespace {
            message.u32(IFLA_NET_NS_FD, namespace.cast_unsigned());
        }
        write_common(message, self.mac, self.mtu, self.group, self.queues);
        if let Some(lower) = self.lower {
            message.u32(IFLA_LINK, lower);
        }
        if let Some(master) = self.master {
            message.u32(IFLA_MASTER, master);
        }
        kind_codec::write_new(message, &self.kind);
    }

    fn unsupported(&self, refusal: &Refusal) -> Option<Error> {
        if refusal.errno != Errno::OPNOTSUPP {
            return None;
        }
        let unknown_kind = match &refusal.text {
            // rtnl_newlink, net/core/rtnetlink.c
            Some(text) => text.contains("Unknown device type"),
            None => !filters_vlans(&self.kind),
        };
        if unknown_kind {
            let option = self.kind.config_option()?;
            return Some(Error::Unsupported { what: format!("a link of kind {}", self.kind.name()), option });
        }
        filters_vlans(&self.kind).then(no_vlan_filtering)
    }
}

fn filters_vlans(kind: &LinkKind) -> bool {
    matches!(kind, LinkKind::Bridge(Bridge { vlan_filtering: Some(true), .. }))
}

fn no_vlan_filtering() -> Error {
    Error::Unsupported {
        what: "VLAN filtering by bridges".to_owned(),
        option: "CONFIG_BRIDGE_VLAN_FILTERING",
    }
}

impl fmt::Display for SetLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.index) {
            (Some(name), _) => write!(f, "change link {name}"),
            (None, index) => write!(f, "change link number {index}"),
        }?;
        let changes: Vec<String> = [
            self.rename.map(|name| format!("rename it to {name}")),
            self.namespace.map(|_| "move it to another namespace".to_owned()),
            self.up.map(|up| if up { "bring it up" } else { "take it down" }.to_owned()),
            self.mtu.map(|mtu| format!("MTU {mtu}")),
            self.mac.map(|mac| format!("MAC {mac}")),
            self.master.map(|master| match master {
                0 => "leave its master".to_owned(),
                _ => format!("join link number {master}"),
            }),
            self.group.map(|group| format!("group {group}")),
            self.alias.as_ref().map(|alias| format!("alias {alias:?}")),
            self.address_generation.map(|_| "IPv6 address generation".to_owned()),
            self.bridge.as_ref().map(|_| "bridge settings".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect();
        if changes.is_empty() { Ok(()) } else { write!(f, " ({})", changes.join(", ")) }
    }
}

impl Request for SetLink {
    fn message_type(&self) -> u16 {
        // RTM_SETLINK passes over IFLA_LINKINFO; RTM_NEWLINK without NLM_F_CREATE changes what exists.
        if self.bridge.is_some() { RTM_NEWLINK } else { RTM_SETLINK }
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let up = if self.up == Some(true) { IFF_UP } else { 0 };
        let change = if self.up.is_some() { IFF_UP } else { 0 };
        message.header(&ifinfomsg(AF_UNSPEC, self.index, up, change));
        // With a number the name is the new one, without it is the link's own. Renaming by name is thus impossible: with
        // neither number nor name the kernel answers EINVAL.
        match (self.index, self.name, self.rename) {
            (0, Some(name), None) => message.text(IFLA_IFNAME, name.as_str()),
            (1.., _, Some(rename)) => message.text(IFLA_IFNAME, rename.as_str()),
            _ => {}
        }
        if let Some(namespace) = self.namespace {
            message.u32(IFLA_NET_NS_FD, namespace.cast_unsigned());
        }
        write_common(message, self.mac, self.mtu, 0, None);
        if let Some(group) = self.group {
            message.u32(IFLA_GROUP, group);
        }
        if let Some(alias) = &self.alias {
            message.attribute(IFLA_IFALIAS, alias.as_bytes());
        }
        if let Some(master) = self.master {
            message.u32(IFLA_MASTER, master);
        }
        if let Some(generation) = self.address_generation {
            message.nested(IFLA_AF_SPEC, |families| {
                families.nested(u16::from(AF_INET6), |inet6| {
                    inet6.u8(IFLA_INET6_ADDR_GEN_MODE, generation.to_kernel());
                });
            });
        }
        if let Some(bridge) = &self.bridge {
            kind_codec::write_bridge_change(message, bridge);
        }
    }

    fn unsupported(&self, refusal: &Refusal) -> Option<Error> {
        let filtering = self.bridge.as_ref().is_some_and(|bridge| bridge.vlan_filtering.is_some());
        (filtering && refusal.errno == Errno::OPNOTSUPP).then(no_vlan_filtering)
    }
}

impl AddressGeneration {
    /// `enum in6_addr_gen_mode`, `include/uapi/linux/if_link.h`.
    pub(super) fn to_kernel(self) -> u8 {
        match self {
            Self::Eui64 => 0,
            Self::None => 1,
            Self::StablePrivacy => 2,
            Self::Random => 3,
        }
    }

    pub(super) fn from_kernel(mode: u8) -> Option<Self> {
        [Self::Eui64, Self::None, Self::StablePrivacy, Self::Random].get(usize::from(mode)).copied()
    }
}

impl fmt::Display for DelLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "delete link number {index}"),
            Self::Name(name) => write!(f, "delete link {name}"),
            Self::Group(group) => write!(f, "delete the links of group {group}"),
        }
    }
}

impl Request for DelLink {
    fn message_type(&self) -> u16 {
        RTM_DELLINK
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let index = if let Self::Index(index) = self { *index } else { 0 };
        message.header(&ifinfomsg(AF_UNSPEC, index, 0, 0));
        match self {
            Self::Index(_) => {}
            Self::Name(name) => message.text(IFLA_IFNAME, name.as_str()),
            Self::Group(group) => message.u32(IFLA_GROUP, *group),
        }
    }
}

impl fmt::Display for AltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, way) = if self.delete { ("take", "from") } else { ("give", "to") };
        write!(f, "{verb} the alternative name {} {way} link number {}", self.name, self.index)
    }
}

impl Request for AltName {
    fn message_type(&self) -> u16 {
        if self.delete { RTM_DELLINKPROP } else { RTM_NEWLINKPROP }
    }

    fn flags(&self) -> u16 {
        if self.delete { 0 } else { NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND }
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&ifinfomsg(AF_UNSPEC, self.index, 0, 0));
        message.nested(IFLA_PROP_LIST, |names| names.text(IFLA_ALT_IFNAME, &self.name));
    }

    fn unsupported(&self, refusal: &Refusal) -> Option<Error> {
        (refusal.errno == Errno::OPNOTSUPP).then(|| Error::Unsupported {
            what: "an alternative name of a link".to_owned(),
            option: "it takes Linux 5.5",
        })
    }
}
