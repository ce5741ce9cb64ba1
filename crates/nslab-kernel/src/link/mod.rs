//! Network interfaces: making, changing, reading.

mod bond;
mod carrier;
mod change;
mod kind;
mod kind_codec;
mod monitor;
mod port;
mod protocol;
mod read;
mod tunnel;

pub use bond::{Bond, BondMode, BondPort};
pub use carrier::settled_carrier;
pub use monitor::{LinkEvent, LinkMonitor};
pub use port::{BridgePort, SetBridgePort};
pub use protocol::{Ipv4Settings, Ipv6Settings};
pub(crate) use read::lossy_name;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use read::parse;
pub use read::{find, find_by_name, list};

pub use kind::{
    Bridge, Ipvlan, IpvlanMode, IpvlanSiblings, LinkKind, Macvlan, MacvlanMode, Tun, TunMode, VethPeer, Vlan,
    VlanProtocol, Vrf, Vxlan,
};
pub use tunnel::{Encapsulation, Geneve, Tunnel};

use std::os::fd::RawFd;

use nslab_types::{IfName, MacAddr};
use serde::{Deserialize, Serialize};

/// An interface's number, unique in its namespace, from 1 on.
pub type IfIndex = u32;

/// `RTM_NEWLINK`: makes an interface, in the namespace of the socket unless told otherwise.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// Its name.
    pub name: IfName,
    /// The number it shall have; the kernel chooses if none. Refused with `EBUSY` if taken.
    pub index: Option<IfIndex>,
    /// What it is.
    pub kind: LinkKind,
    /// The namespace it is made in (`IFLA_NET_NS_FD`); the descriptor must be open when the request is sent.
    pub namespace: Option<RawFd>,
    /// Its MAC; the kernel chooses if none.
    pub mac: Option<MacAddr>,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// The interface below it, as a VLAN's (`IFLA_LINK`).
    pub lower: Option<IfIndex>,
    /// The bridge, VRF or bond it joins.
    pub master: Option<IfIndex>,
    /// The interface group (`IFLA_GROUP`); 0 is the default one.
    pub group: u32,
    /// Bring it up at once. The far end of a veth pair cannot be brought up in the same request.
    pub up: bool,
    /// Transmit and receive queues (`IFLA_NUM_TX_QUEUES`, `IFLA_NUM_RX_QUEUES`). Unless told, a veth has as many as
    /// the machine may have CPUs (`veth_get_num_queues`).
    pub queues: Option<u32>,
}

impl NewLink {
    /// An interface that is down, with all else left to the kernel.
    pub fn new(name: IfName, kind: LinkKind) -> Self {
        Self {
            name,
            index: None,
            kind,
            namespace: None,
            mac: None,
            mtu: None,
            lower: None,
            master: None,
            group: 0,
            up: false,
            queues: None,
        }
    }
}

/// How an interface gets its IPv6 link-local address (`IFLA_INET6_ADDR_GEN_MODE`,
/// `include/uapi/linux/if_link.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressGeneration {
    /// From its MAC.
    Eui64,
    /// Not at all.
    None,
    /// From the stable secret.
    StablePrivacy,
    /// At random.
    Random,
}

/// `RTM_SETLINK`: changes what is given of an interface, leaves the rest.
#[derive(Debug, Clone, Default)]
pub struct SetLink {
    /// The interface, by number if not 0, else by [`SetLink::name`].
    pub index: IfIndex,
    /// The interface by name, where the number is 0.
    pub name: Option<IfName>,
    /// Its new name; takes [`SetLink::index`], else the request is refused with `EINVAL`. Until 6.2 the kernel renamed only
    /// interfaces that are down.
    pub rename: Option<IfName>,
    /// Administratively up or down.
    pub up: Option<bool>,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// Its MAC.
    pub mac: Option<MacAddr>,
    /// The bridge or VRF it joins, leaving the one it was in; with 0 it leaves that and joins none.
    pub master: Option<IfIndex>,
    /// The interface group.
    pub group: Option<u32>,
    /// The alias (`IFLA_IFALIAS`), up to 255 bytes; an empty one takes it away.
    pub alias: Option<String>,
    /// How it gets its link-local IPv6 address. The kernel brings an interface up *before* it looks at this, so that one
    /// which is to have no such address takes two requests: this first, [`SetLink::up`] in the next. It cannot be given
    /// when making an interface (`EAFNOSUPPORT`, Linux 6.18); new ones follow the sysctl
    /// `net.ipv6.conf.default.addr_gen_mode` of their namespace, which costs no request at all.
    pub address_generation: Option<AddressGeneration>,
    /// The namespace to move it to.
    pub namespace: Option<RawFd>,
    /// Bridge settings to change, where it is a bridge.
    pub bridge: Option<Bridge>,
}

/// `RTM_DELLINK`: deletes an interface (with its peer, if a veth).
#[derive(Debug, Clone, Copy)]
pub enum DelLink {
    /// By number.
    Index(IfIndex),
    /// By name.
    Name(IfName),
    /// All of a group at once, which costs little more than one.
    Group(u32),
}

/// `RTM_NEWLINKPROP` / `RTM_DELLINKPROP`: an alternative name, up to 127 bytes, by which the interface can be named too
/// (kernel 5.5).
#[derive(Debug, Clone)]
pub struct AltName {
    /// The interface.
    pub index: IfIndex,
    /// The name.
    pub name: String,
    /// Take it away instead.
    pub delete: bool,
}

/// An interface as the kernel shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its number.
    pub index: IfIndex,
    /// Its name.
    pub name: IfName,
    /// What it is, with its settings. `None` for hardware and loopback.
    pub kind: Option<LinkKind>,
    /// Whether it is the loopback interface (`ARPHRD_LOOPBACK`).
    pub loopback: bool,
    /// Its MAC, where it has one of six bytes.
    pub mac: Option<MacAddr>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Administratively up (`IFF_UP`).
    pub up: bool,
    /// It has carrier (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// The bridge, VRF or bond it is in.
    pub master: Option<IfIndex>,
    /// The peer of a veth, the lower interface of a VLAN and the like (`IFLA_LINK`), by its number in the namespace
    /// [`Link::lower_nsid`].
    pub lower: Option<IfIndex>,
    /// The namespace of [`Link::lower`], by the id it has in this one (`IFLA_LINK_NETNSID`); `None` is this one.
    pub lower_nsid: Option<i32>,
    /// Its group.
    pub group: u32,
    /// Its alias.
    pub alias: Option<String>,
    /// Its alternative names.
    pub alt_names: Vec<String>,
    /// How it gets its link-local IPv6 address.
    pub address_generation: Option<AddressGeneration>,
    /// Transmit queues.
    pub tx_queues: u32,
    /// The kind of its outermost queueing discipline (`IFLA_QDISC`): `noqueue` where packets do not wait, `noop` before
    /// it is first up.
    #[serde(default)]
    pub qdisc: String,
    /// Its settings as a bridge's port.
    pub bridge_port: Option<BridgePort>,
    /// What the bond that it is a member of makes of it.
    pub bond_port: Option<BondPort>,
    /// What IPv4 does at it; none without IPv4.
    #[serde(default)]
    pub ipv4: Option<Ipv4Settings>,
    /// What IPv6 does at it; none without IPv6.
    #[serde(default)]
    pub ipv6: Option<Ipv6Settings>,
    /// The number of the XDP program that sees its packets before all else.
    #[serde(default)]
    pub xdp: Option<u32>,
}

impl Link {
    /// Whether frames can go out and come in: administratively up, with carrier.
    pub fn is_running(&self) -> bool {
        self.up && self.carrier
    }

    /// Whether packets wait in it, or may: it has a queueing discipline worth the name.
    pub fn has_queue(&self) -> bool {
        !matches!(&self.qdisc[..], "noqueue" | "noop")
    }

    /// Whether it is a veth.
    pub fn is_veth(&self) -> bool {
        matches!(self.kind, Some(LinkKind::Veth(_)))
    }

    /// Its settings as a bridge, if it is one.
    pub fn as_bridge(&self) -> Option<&Bridge> {
        match &self.kind {
            Some(LinkKind::Bridge(bridge)) => Some(bridge),
            _ => None,
        }
    }

    /// Whether `name` is its name or one of its alternative names.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name.as_str() == name || self.alt_names.iter().any(|other| other == name)
    }
}
