//! Addresses of interfaces.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::abi::*;
use crate::error::{Error, Refusal, Result};
use crate::link::IfIndex;
use crate::netlink::{MessageWriter, Reader, Request, Socket};

/// The bytes of `struct ifaddrmsg` (`include/uapi/linux/if_addr.h`).
const HEADER_LEN: usize = 8;

/// `RTM_NEWADDR` / `RTM_DELADDR` without duplicate address detection (`IFA_F_NODAD`), so that an IPv6 address can be
/// used at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeAddress {
    /// The interface.
    pub link: IfIndex,
    /// The address with its subnet's length.
    pub address: IpNet,
    /// Take it away instead.
    pub delete: bool,
}

/// An address as the kernel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The interface it is on.
    pub link: IfIndex,
    /// The address with its subnet's length.
    pub address: IpNet,
    /// The scope: 0 global, 253 link, 254 host (`RT_SCOPE_*`).
    pub scope: u8,
    /// It stays until taken away (`IFA_F_PERMANENT`).
    pub permanent: bool,
    /// Duplicate address detection is under way, so it cannot be used yet (`IFA_F_TENTATIVE`).
    pub tentative: bool,
    /// Another interface of the link owns it (`IFA_F_DADFAILED`).
    pub duplicate: bool,
    /// Another address of the same subnet came first (`IFA_F_SECONDARY`).
    pub secondary: bool,
    /// The kernel made it itself (`IFA_PROTO` of loopback, router advertisement or link-local; also any address that
    /// follows from the interface coming up).
    pub kernel: bool,
    /// The far end's address, where the link has one (`IFA_ADDRESS` beside `IFA_LOCAL`): the subnet is of that.
    #[serde(default)]
    pub peer: Option<IpAddr>,
    /// Its preferred lifetime is over (`IFA_F_DEPRECATED`): others are better sources.
    #[serde(default)]
    pub deprecated: bool,
    /// It may be used while duplicate address detection is under way (`IFA_F_OPTIMISTIC`, RFC 4429).
    #[serde(default)]
    pub optimistic: bool,
    /// A temporary one of IPv6 (`IFA_F_TEMPORARY`, RFC 8981).
    #[serde(default)]
    pub temporary: bool,
    /// A home address of Mobile IPv6 (`IFA_F_HOMEADDRESS`).
    #[serde(default)]
    pub home: bool,
}

impl fmt::Display for ChangeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, way) = if self.delete { ("take", "from") } else { ("give", "to") };
        write!(f, "{verb} the address {} {way} link number {}", self.address, self.link)
    }
}

impl Request for ChangeAddress {
    fn message_type(&self) -> u16 {
        if self.delete { RTM_DELADDR } else { RTM_NEWADDR }
    }

    fn flags(&self) -> u16 {
        if self.delete { 0 } else { NLM_F_CREATE | NLM_F_EXCL }
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let address = self.address.addr();
        // The kernel finds the scope of an IPv6 address itself; of an IPv4 one ip(8) does.
        let scope = match address {
            IpAddr::V4(address) if address.is_loopback() => RT_SCOPE_HOST,
            _ => RT_SCOPE_UNIVERSE,
        };
        let mut header = [0; HEADER_LEN];
        header[..4].copy_from_slice(&[family_of(address), self.address.prefix_len(), 0, scope]);
        header[4..].copy_from_slice(&self.link.to_ne_bytes());
        message.header(&header);
        message.address(IFA_LOCAL, address);
        message.address(IFA_ADDRESS, address);
        if address.is_ipv6() && !self.delete {
            message.u32(IFA_FLAGS, IFA_F_NODAD);
        }
    }

    fn unsupported(&self, refusal: &Refusal) -> Option<Error> {
        no_ipv6(self.address.addr().is_ipv6(), refusal)
    }
}

/// A kernel without IPv6 has nobody to answer for the address family.
pub(crate) fn no_ipv6(ipv6: bool, refusal: &Refusal) -> Option<Error> {
    (ipv6 && matches!(refusal.errno, Errno::OPNOTSUPP | Errno::AFNOSUPPORT) && refusal.text.is_none())
        .then(|| Error::Unsupported { what: "IPv6".to_owned(), option: "CONFIG_IPV6" })
}

/// `RTM_GETADDR` for all addresses of a family.
struct GetAddresses {
    family: u8,
}

impl fmt::Display for GetAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list addresses")
    }
}

impl Request for GetAddresses {
    fn message_type(&self) -> u16 {
        RTM_GETADDR
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let mut header = [0; HEADER_LEN];
        header[0] = self.family;
        message.header(&header);
    }
}

/// All addresses of the namespace that `socket` belongs to: by interface, IPv4 first, in the kernel's order, which
/// tells the primary address of a subnet from secondary ones.
pub fn list(socket: &mut Socket) -> Result<Vec<Address>> {
    let mut addresses = socket.dump_families(
        "addresses",
        |family| GetAddresses { family },
        |kind, payload| Ok((kind == RTM_NEWADDR).then(|| parse(payload)).flatten()),
    )?;
    addresses.sort_by_key(|address| (address.link, address.address.addr().is_ipv6()));
    Ok(addresses)
}

/// Reads the payload of `RTM_NEWADDR`; none if it is of another family or makes no sense.
pub(crate) fn parse(payload: &[u8]) -> Option<Address> {
    let header = Reader::new(payload);
    let attributes = header.attributes(HEADER_LEN);
    // IFA_ADDRESS is the far end's where there is a far end, and then IFA_LOCAL is ours.
    let own = attributes.get(IFA_LOCAL).or_else(|| attributes.get(IFA_ADDRESS))?.address()?;
    if family_of(own) != header.u8(0) {
        return None;
    }
    let flags = attributes.get(IFA_FLAGS).and_then(|flags| flags.u32()).unwrap_or(u32::from(header.u8(2)));
    let protocol = attributes.get(IFA_PROTO).and_then(|protocol| protocol.u8()).unwrap_or(0);
    Some(Address {
        link: header.u32(4),
        address: IpNet::new(own, header.u8(1)).ok()?,
        scope: header.u8(3),
        permanent: flags & IFA_F_PERMANENT != 0,
        tentative: flags & IFA_F_TENTATIVE != 0,
        duplicate: flags & IFA_F_DADFAILED != 0,
        secondary: own.is_ipv4() && flags & IFA_F_SECONDARY != 0,
        // IFAPROT_KERNEL_LO, _RA, _LL; Linux before 5.18 does not say.
        kernel: (1..=3).contains(&protocol)
            || own.is_loopback() && header.u8(3) == RT_SCOPE_HOST && host(own),
        peer: attributes.get(IFA_ADDRESS).and_then(|far| far.address()).filter(|&far| far != own),
        deprecated: flags & IFA_F_DEPRECATED != 0,
        optimistic: flags & IFA_F_OPTIMISTIC != 0,
        // The same bit as IFA_F_SECONDARY.
        temporary: own.is_ipv6() && flags & IFA_F_SECONDARY != 0,
        home: flags & IFA_F_HOMEADDRESS != 0,
    })
}

/// Whether it is one of the two addresses that the kernel itself gives to a loopback interface.
fn host(address: IpAddr) -> bool {
    address == IpAddr::from([127, 0, 0, 1]) || address.is_ipv6()
}
