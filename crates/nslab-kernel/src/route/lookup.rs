//! Asking the kernel which route it would take (`RTM_GETROUTE` without a dump, `ip route get`).

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use rustix::io::Errno;

use super::read::{parse_any, parse_path_mtu};
use super::{Route, RouteAction};
use crate::abi::*;
use crate::error::{Error, Result};
use crate::link::IfIndex;
use crate::netlink::{MessageWriter, Request, Socket};

/// A packet whose way is asked for (`inet_rtm_getroute`, `net/ipv4/route.c`; `inet6_rtm_getroute`,
/// `net/ipv6/route.c`). Nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookup {
    /// Where it goes.
    pub to: IpAddr,
    /// Where it comes from, of the same family; none if the kernel is to choose.
    pub from: Option<IpAddr>,
    /// The interface it came in by; none if it is made here.
    pub iif: Option<IfIndex>,
    /// The interface it is to leave by.
    pub oif: Option<IfIndex>,
    /// Its mark; 0 for none.
    pub mark: u32,
    /// Its type of service, or traffic class.
    pub tos: u8,
    /// Its protocol: the kernel knows TCP, UDP and ICMP here, and takes 0 for UDP.
    pub protocol: u8,
    /// Its ports, where they are not 0.
    pub ports: (u16, u16),
    /// Whose socket sends it; none for the caller's own user.
    pub user: Option<u32>,
    /// Answer with the route that matched as it is in its table, rather than with the way that results from it
    /// (`RTM_F_FIB_MATCH`, Linux 4.13).
    pub fib_match: bool,
}

/// What the kernel would do with a packet: the route's next hop and type. Its prefix is the destination's address alone,
/// unless the matching route was asked for. [`Route::source`] is the source that the packet would get.
pub type Answer = Route;

/// What a namespace takes a way to carry, apart from the MTU of the interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PathMtu {
    /// In bytes: what the route says, or an ICMP error did; none if nothing was said.
    pub mtu: Option<u32>,
    /// It was learned from an ICMP error, and is forgotten after this time (`net.ipv4.route.mtu_expires`,
    /// `net.ipv6.route.mtu_expires`).
    pub expires: Option<Duration>,
}

impl Lookup {
    /// A packet that is made here, with nothing known of it but where it goes.
    pub fn new(to: IpAddr) -> Self {
        Self {
            to,
            from: None,
            iif: None,
            oif: None,
            mark: 0,
            tos: 0,
            protocol: 0,
            ports: (0, 0),
            user: None,
            fib_match: false,
        }
    }

    /// Asks the kernel about the namespace that `socket` belongs to. A packet that would not get through is refused:
    /// with `ENETUNREACH` where there is no route, `EHOSTUNREACH` where it would have to be forwarded and is not,
    /// `EACCES` where it is prohibited, `EINVAL` where it is dropped without a word.
    pub fn ask(&self, socket: &mut Socket) -> Result<Answer> {
        socket.get(self, |_, payload| {
            parse_any(payload)
                .ok_or(Error::Malformed { what: "a route that was looked up", problem: "it is no route" })
        })
    }

    /// What the namespace that `socket` belongs to takes the way to carry. Refused as [`Self::ask`] is; not to be asked with
    /// [`Self::fib_match`], which passes over what was learned.
    pub fn path_mtu(&self, socket: &mut Socket) -> Result<PathMtu> {
        socket.get(self, |_, payload| Ok(parse_path_mtu(payload)))
    }
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "look up the route to {}", self.to)
    }
}

impl Request for Lookup {
    fn message_type(&self) -> u16 {
        RTM_GETROUTE
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let bits = if self.to.is_ipv6() { 128 } else { 32 };
        // struct rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags.
        let from_bits = if self.from.is_some() { bits } else { 0 };
        message.header(&[family_of(self.to), bits, from_bits, self.tos, 0, 0, 0, 0]);
        // IPv6 names the table in any case and refuses to be asked to.
        let table = if self.to.is_ipv6() { 0 } else { RTM_F_LOOKUP_TABLE };
        let flags = table | if self.fib_match { RTM_F_FIB_MATCH } else { 0 };
        message.header(&flags.to_ne_bytes());
        message.address(RTA_DST, self.to);
        if let Some(from) = self.from {
            message.address(RTA_SRC, from);
        }
        let links = [(RTA_IIF, self.iif), (RTA_OIF, self.oif), (RTA_UID, self.user)];
        for (kind, value) in links {
            if let Some(value) = value {
                message.u32(kind, value);
            }
        }
        if self.mark != 0 {
            message.u32(RTA_MARK, self.mark);
        }
        if self.protocol != 0 {
            message.u8(RTA_IP_PROTO, self.protocol);
        }
        for (kind, port) in [(RTA_SPORT, self.ports.0), (RTA_DPORT, self.ports.1)] {
            if port != 0 {
                message.attribute(kind, &port.to_be_bytes());
            }
        }
    }
}

/// Whether the socket's namespace takes packets for `address` as its own by now. An IPv6 address that was just added
/// may need a moment, also without duplicate address detection: its local route is made by a work queue
/// (`addrconf_dad_work`, `net/ipv6/addrconf.c`).
pub fn is_local(socket: &mut Socket, address: IpAddr) -> Result<bool> {
    match Lookup::new(address).ask(socket) {
        Ok(answer) => Ok(matches!(answer.action, RouteAction::Local(_))),
        Err(error)
            if matches!(error.errno(), Some(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ACCESS)) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
