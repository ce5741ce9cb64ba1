//! Neighbours (ARP and ND) and bridge forwarding entries, which share one message; VLANs of bridges.

pub mod fdb;
pub mod vlan;

pub use fdb::{ChangeFdb, FdbEntry};
pub use vlan::{BridgeVlan, ChangeBridgeVlan};

use std::fmt;
use std::net::IpAddr;

use nslab_types::MacAddr;
use serde::{Deserialize, Serialize};

use crate::abi::*;
use crate::address::no_ipv6;
use crate::error::{Error, Refusal, Result};
use crate::link::IfIndex;
use crate::netlink::{Attribute, MessageWriter, Reader, Request, Socket};

/// The bytes of `struct ndmsg` (`include/uapi/linux/neighbour.h`).
const HEADER_LEN: usize = 12;

/// A neighbour as the kernel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The interface it is behind.
    pub link: IfIndex,
    /// Its address.
    pub address: IpAddr,
    /// Its MAC, once known.
    pub mac: Option<MacAddr>,
    /// `NUD_*` (`include/uapi/linux/neighbour.h`): 0x01 incomplete, 0x02 reachable, 0x04 stale, 0x08 delay,
    /// 0x10 probe, 0x20 failed, 0x40 no ARP, 0x80 permanent.
    pub state: u16,
    /// Answer for it on this interface (`NTF_PROXY`).
    pub proxy: bool,
}

/// Adds or replaces a permanent neighbour, or takes a neighbour of any state away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeNeighbour {
    /// The interface it is behind.
    pub link: IfIndex,
    /// Its address.
    pub address: IpAddr,
    /// Its MAC; `None` takes the neighbour away.
    pub mac: Option<MacAddr>,
}

/// Adds or takes away an address that this host answers for on an interface (`ip neigh add proxy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeProxy {
    /// The interface on which it answers.
    pub link: IfIndex,
    /// The address.
    pub address: IpAddr,
    /// Take it away instead.
    pub delete: bool,
}

/// `struct ndmsg`.
fn ndmsg(family: u8, link: IfIndex, state: u16, flags: u8) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[0] = family;
    header[4..8].copy_from_slice(&link.to_ne_bytes());
    header[8..10].copy_from_slice(&state.to_ne_bytes());
    header[10] = flags;
    header
}

fn mac(attribute: &Attribute<'_>) -> Option<MacAddr> {
    <[u8; 6]>::try_from(attribute.payload).ok().map(MacAddr)
}

impl fmt::Display for ChangeNeighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link, address, mac } = self;
        match mac {
            Some(mac) => write!(f, "set the neighbour {address} of link number {link} to {mac}"),
            None => write!(f, "delete the neighbour {address} of link number {link}"),
        }
    }
}

impl Request for ChangeNeighbour {
    fn message_type(&self) -> u16 {
        if self.mac.is_some() { RTM_NEWNEIGH } else { RTM_DELNEIGH }
    }

    fn flags(&self) -> u16 {
        if self.mac.is_some() { NLM_F_CREATE | NLM_F_REPLACE } else { 0 }
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&ndmsg(family_of(self.address), self.link, NUD_PERMANENT, 0));
        message.address(NDA_DST, self.address);
        if let Some(mac) = self.mac {
            message.attribute(NDA_LLADDR, &mac.0);
        }
    }

    fn unsupported(&self, refusal: &Refusal) -> Option<Error> {
        no_ipv6(self.address.is_ipv6(), refusal)
    }
}

impl fmt::Display for ChangeProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.delete { "stop answering" } else { "answer" };
        write!(f, "{verb} for the neighbour {} on link number {}", self.address, self.link)
    }
}

impl Request for ChangeProxy {
    fn message_type(&self) -> u16 {
        if self.delete { RTM_DELNEIGH } else { RTM_NEWNEIGH }
    }

    fn flags(&self) -> u16 {
        if self.delete { 0 } else { NLM_F_CREATE | NLM_F_EXCL }
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&ndmsg(family_of(self.address), self.link, NUD_PERMANENT, NTF_PROXY));
        message.address(NDA_DST, self.address);
    }

    fn unsupported(&self, refusal: &Refusal) -> Option<Error> {
        no_ipv6(self.address.is_ipv6(), refusal)
    }
}

/// `RTM_GETNEIGH` for the neighbours of all families, or the proxies.
struct GetNeighbours {
    proxies: bool,
}

impl fmt::Display for GetNeighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.proxies { "list neighbours that are answered for" } else { "list neighbours" })
    }
}

impl Request for GetNeighbours {
    fn message_type(&self) -> u16 {
        RTM_GETNEIGH
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&ndmsg(AF_UNSPEC, 0, 0, if self.proxies { NTF_PROXY } else { 0 }));
    }
}

/// All neighbours of the namespace that `socket` belongs to, those it answers for included: by interface and address.
pub fn list(socket: &mut Socket) -> Result<Vec<Neighbour>> {
    read(socket, &[false, true])
}

/// The same without those it answers for. The kernel walks the neighbours of all namespaces for each list.
pub fn entries(socket: &mut Socket) -> Result<Vec<Neighbour>> {
    read(socket, &[false])
}

fn read(socket: &mut Socket, lists: &[bool]) -> Result<Vec<Neighbour>> {
    let mut neighbours = Vec::new();
    for &proxies in lists {
        neighbours.extend(socket.dump("neighbours", &GetNeighbours { proxies }, |kind, payload| {
            Ok((kind == RTM_NEWNEIGH).then(|| parse(payload)).flatten())
        })?);
    }
    neighbours.sort_by_key(|neighbour| (neighbour.link, neighbour.address, neighbour.proxy));
    Ok(neighbours)
}

/// Reads the payload of `RTM_NEWNEIGH`; none if it is of another family or makes no sense.
pub(crate) fn parse(payload: &[u8]) -> Option<Neighbour> {
    let header = Reader::new(payload);
    let attributes = header.attributes(HEADER_LEN);
    let address = attributes.get(NDA_DST)?.address().filter(|&address| family_of(address) == header.u8(0))?;
    Some(Neighbour {
        link: header.u32(4),
        address,
        mac: attributes.get(NDA_LLADDR).and_then(|address| mac(&address)),
        state: header.u16(8),
        proxy: header.u8(10) & NTF_PROXY != 0,
    })
}
