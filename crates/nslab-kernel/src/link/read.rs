//! Reading interfaces.

use std::fmt;

use nslab_types::{IfName, MacAddr};

use super::{AddressGeneration, BondPort, BridgePort, IfIndex, Ipv4Settings, Ipv6Settings, Link, kind_codec};
use crate::abi::*;
use crate::error::{Error, Result};
use crate::netlink::{Attribute, Attributes, MessageWriter, Reader, Request, Socket};

/// The bytes of `struct ifinfomsg`.
const HEADER_LEN: usize = 16;

/// `RTM_GETLINK` for all interfaces, or for one.
enum GetLink {
    All,
    Index(IfIndex),
    Name(IfName),
}

impl fmt::Display for GetLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("list links"),
            Self::Index(index) => write!(f, "look at link number {index}"),
            Self::Name(name) => write!(f, "look at link {name}"),
        }
    }
}

impl Request for GetLink {
    fn message_type(&self) -> u16 {
        RTM_GETLINK
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let index = if let Self::Index(index) = self { *index } else { 0 };
        message.header(&ifinfomsg(AF_UNSPEC, index, 0, 0));
        if let Self::Name(name) = self {
            message.text(IFLA_IFNAME, name.as_str());
        }
        message.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    }
}

/// All interfaces of the namespace that `socket` belongs to, by number.
pub fn list(socket: &mut Socket) -> Result<Vec<Link>> {
    let mut links = socket.dump("links", &GetLink::All, |kind, payload| {
        Ok((kind == RTM_NEWLINK).then(|| parse(payload)).flatten())
    })?;
    links.sort_by_key(|link| link.index);
    Ok(links)
}

/// The interface with this number.
pub fn find(socket: &mut Socket, index: IfIndex) -> Result<Link> {
    socket.get(&GetLink::Index(index), |_, payload| parse(payload).ok_or(MALFORMED))
}

/// The interface of this name.
pub fn find_by_name(socket: &mut Socket, name: IfName) -> Result<Link> {
    socket.get(&GetLink::Name(name), |_, payload| parse(payload).ok_or(MALFORMED))
}

const MALFORMED: Error = Error::Malformed { what: "a link", problem: "it has no number or no name" };

/// Reads the payload of `RTM_NEWLINK`; none if it lacks number or name.
pub(crate) fn parse(payload: &[u8]) -> Option<Link> {
    let header = Reader::new(payload);
    let flags = header.u32(8);
    let mut link = Link {
        index: Some(header.u32(4)).filter(|&index| index != 0)?,
        name: IfName::LOOPBACK,
        kind: None,
        loopback: header.u16(2) == ARPHRD_LOOPBACK,
        mac: None,
        mtu: 0,
        up: flags & IFF_UP != 0,
        carrier: flags & IFF_LOWER_UP != 0,
        master: None,
        lower: None,
        lower_nsid: None,
        group: 0,
        alias: None,
        alt_names: Vec::new(),
        address_generation: None,
        tx_queues: 1,
        qdisc: String::new(),
        bridge_port: None,
        bond_port: None,
        ipv4: None,
        ipv6: None,
        xdp: None,
    };
    let mut named = false;
    for attribute in header.attributes(HEADER_LEN) {
        match attribute.kind {
            IFLA_IFNAME => {
                link.name = lossy_name(&attribute);
                named = true;
            }
            IFLA_ADDRESS => link.mac = <[u8; 6]>::try_from(attribute.payload).ok().map(MacAddr),
            IFLA_MTU => link.mtu = attribute.u32().unwrap_or(0),
            IFLA_MASTER => link.master = attribute.u32(),
            // Of some tunnels it is 0: no interface in particular.
            IFLA_LINK => link.lower = attribute.u32().filter(|&index| index != 0),
            IFLA_LINK_NETNSID => link.lower_nsid = attribute.i32(),
            IFLA_GROUP => link.group = attribute.u32().unwrap_or(0),
            IFLA_IFALIAS => link.alias = Some(attribute.text()),
            IFLA_NUM_TX_QUEUES => link.tx_queues = attribute.u32().unwrap_or(1),
            IFLA_QDISC => link.qdisc = attribute.text(),
            IFLA_PROP_LIST => link.alt_names = alternative_names(attribute.nested()),
            IFLA_AF_SPEC => {
                let families = attribute.nested();
                let of = |family: u8, kind| families.get(u16::from(family))?.nested().get(kind);
                link.address_generation = address_generation(&families);
                link.ipv4 = of(AF_INET, IFLA_INET_CONF).map(|values| Ipv4Settings::read(&values));
                link.ipv6 = of(AF_INET6, IFLA_INET6_CONF).map(|values| Ipv6Settings::read(&values));
            }
            IFLA_XDP => link.xdp = xdp(&attribute.nested()),
            IFLA_LINKINFO => {
                link.kind = kind_codec::read(&attribute.nested());
                read_port(&attribute.nested(), &mut link);
            }
            _ => {}
        }
    }
    named.then_some(link)
}

/// The kernel allows more in a name than [`IfName`] does: what that does not take is shown as `?`.
pub(crate) fn lossy_name(attribute: &Attribute<'_>) -> IfName {
    let text = attribute.text();
    IfName::new(&text).unwrap_or_else(|_| {
        let readable: String = attribute
            .payload
            .iter()
            .take_while(|&&byte| byte != 0)
            .take(IfName::MAX_LEN)
            .map(
                |&byte| {
                    if byte.is_ascii_graphic() && !b"/:%.".contains(&byte) { char::from(byte) } else { '?' }
                },
            )
            .collect();
        IfName::new(&readable).unwrap_or_else(|_| IfName::new("?").unwrap_or(IfName::LOOPBACK))
    })
}

fn alternative_names(properties: Attributes<'_>) -> Vec<String> {
    let mut names: Vec<String> = properties
        .filter(|property| property.kind == IFLA_ALT_IFNAME)
        .map(|property| property.text())
        .collect();
    names.sort();
    names
}

fn address_generation(families: &Attributes<'_>) -> Option<AddressGeneration> {
    let mode = families.get(u16::from(AF_INET6))?.nested().get(IFLA_INET6_ADDR_GEN_MODE)?.u8()?;
    AddressGeneration::from_kernel(mode)
}

/// What the interface is to the one that it is a member of.
fn read_port(info: &Attributes<'_>, link: &mut Link) {
    let Some(data) = info.get(IFLA_INFO_SLAVE_DATA) else { return };
    match info.get(IFLA_INFO_SLAVE_KIND).map(|kind| kind.text()).as_deref() {
        Some("bridge") => link.bridge_port = Some(BridgePort::parse(data.nested())),
        Some("bond") => link.bond_port = Some(BondPort::parse(&data.nested())),
        _ => {}
    }
}

/// The number of the program; of several, that of the first.
fn xdp(attached: &Attributes<'_>) -> Option<u32> {
    attached.get(IFLA_XDP_ATTACHED)?.u8().filter(|&mode| mode != 0)?;
    let programs = [IFLA_XDP_PROG_ID, IFLA_XDP_DRV_PROG_ID, IFLA_XDP_SKB_PROG_ID, IFLA_XDP_HW_PROG_ID];
    Some(programs.iter().find_map(|&kind| attached.get(kind)?.u32()).unwrap_or(0))
}
