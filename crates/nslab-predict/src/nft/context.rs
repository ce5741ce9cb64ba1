//! What an evaluation is told.

use std::net::IpAddr;

use nslab_kernel::nftables::{Family, FibFlags, Hook};

use super::connection::Tracking;
use super::outcome::Part;
use crate::{Doubt, Packet};

/// Where a packet is, and what the kernel knows of it there.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Whose hook it is: [`Family::Ip`] and [`Family::Ip6`] (whose hooks see `inet` tables too), [`Family::Bridge`],
    /// [`Family::Arp`] (no byte of whose packets is known) or [`Family::Netdev`].
    pub family: Family,
    /// The hook.
    pub hook: Hook,
    /// The packet.
    pub packet: &'a Packet,
    /// What of the packet is not known, as [`Branch::vague`](super::Branch::vague) of the hook before tells it.
    pub vague: &'a [(Part, Doubt)],
    /// The interface that it came in by; none at output and postrouting, unless it is forwarded.
    pub input: Option<Device<'a>>,
    /// The interface that it leaves by; none at prerouting and input.
    pub output: Option<Device<'a>>,
    /// What connection tracking makes of it (chains before −200 do not see that yet).
    pub tracking: Tracking,
    /// It was tracked before this hook, as what came by `lo` is: chains before −200 see [`Context::tracking`] too.
    pub tracked_before: bool,
    /// What is before its network header.
    pub link_header: LinkHeader,
    /// For whom it is on its link (`PACKET_HOST` 0, `PACKET_BROADCAST` 1, `PACKET_MULTICAST` 2, `PACKET_OTHERHOST` 3).
    pub packet_type: Option<u8>,
    /// Its socket.
    pub socket: Socket,
    /// Its traffic class (`skb->priority`), where that is known.
    pub priority: Option<u32>,
}

/// An interface, as rules can tell it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its number.
    pub index: u32,
    /// Its group; 0 unless it was given one.
    pub group: u32,
    /// Its kind, as `veth`; none of `lo` and of hardware.
    pub kind: Option<&'a str>,
    /// Its hardware type (`ARPHRD_*`): 1 of Ethernet, 772 of `lo`.
    pub hardware: u16,
    /// The bridge that it is a port of.
    pub bridge: Option<&'a str>,
    /// The VRF that it is in.
    pub vrf: Option<&'a str>,
}

impl Device<'_> {
    /// `ARPHRD_LOOPBACK`.
    pub(super) fn is_loopback(&self) -> bool {
        self.hardware == 772
    }
}

/// What is before a packet's network header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkHeader {
    /// Nothing: the packet is made here, or came by an interface without such headers.
    Absent,
    /// That of Ethernet: destination, source, `EtherType`.
    Ethernet([u8; 14]),
    /// That is not known.
    Unknown,
}

/// The socket that a packet is from, or (at input) for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socket {
    /// None: it comes from elsewhere, or the kernel makes it itself.
    Absent,
    /// That of this user and group.
    Owned {
        /// The user's number.
        user: u32,
        /// The group's number.
        group: u32,
    },
    /// That is not known.
    Unknown,
}

/// What a `fib` expression asks the routing tables.
#[derive(Debug, Clone)]
pub struct FibQuestion<'a> {
    /// Where the packet is.
    pub context: &'a Context<'a>,
    /// The packet as it is now.
    pub packet: &'a Packet,
    /// What of it is looked for, and how.
    pub flags: FibFlags,
}

/// What other modules know: routes and addresses.
///
/// The implementations here know nothing.
pub trait Surroundings {
    /// The type of the packet's source or destination address (`RTN_UNICAST` 1, `RTN_LOCAL` 2, …), as `fib … type` gives it
    /// (`nft_fib4_eval_type`, `nft_fib6_eval_type`). Of IPv4 only the table `local` is asked: what is not in it is unicast,
    /// whether there is a route or not.
    fn address_type(&self, _question: &FibQuestion<'_>) -> Result<u32, Doubt> {
        Err(Doubt::new("fib type", "The routing tables."))
    }

    /// Number and name of the interface that a route to the source (or destination) leads by, as `fib … oif` gives it
    /// (`nft_fib4_eval`, `nft_fib6_eval`): none where there is no such route, or where it does not lead by the interface that
    /// the question's flags demand.
    fn route_device(&self, _question: &FibQuestion<'_>) -> Result<Option<(u32, String)>, Doubt> {
        Err(Doubt::new("fib oif", "The routing tables."))
    }

    /// The source that `masquerade` gives the packet (`inet_select_addr`, `ipv6_dev_get_saddr`); none lets it be dropped.
    fn masquerade(&self, _context: &Context<'_>, _packet: &Packet) -> Result<Option<IpAddr>, Doubt> {
        Err(Doubt::new("masquerade", "The address of the outgoing interface."))
    }

    /// The destination that `redirect` gives a packet that comes in by an interface (its first address, in IPv6 one of the
    /// destination's scope); none lets it be dropped.
    fn redirect(&self, _context: &Context<'_>, _packet: &Packet) -> Result<Option<IpAddr>, Doubt> {
        Err(Doubt::new("redirect", "The address of the incoming interface."))
    }
}

/// Surroundings of which nothing is known.
#[derive(Debug, Clone, Copy)]
pub struct NothingKnown;

impl Surroundings for NothingKnown {}
