//! Settings of a namespace's IPv4 and IPv6 as a whole, by `RTM_GETNETCONF` (`include/uapi/linux/netconf.h`).
//!
//! The same as some sysctls, but asked for over a socket: the files below `/proc/sys` of all namespaces share the hash
//! chain of their name (`proc_sys_compare`, `fs/proc/proc_sysctl.c`), so that with a thousand namespaces looking one up
//! takes a thousand steps.

use std::fmt;

use crate::abi::*;
use crate::error::{Error, Result};
use crate::netlink::{MessageWriter, Reader, Request, Socket};

/// The bytes of `struct netconfmsg`, padded.
const HEADER_LEN: usize = 4;

struct GetNetconf {
    ipv6: bool,
}

impl fmt::Display for GetNetconf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "look at the settings of IPv{}", if self.ipv6 { 6 } else { 4 })
    }
}

impl Request for GetNetconf {
    fn message_type(&self) -> u16 {
        RTM_GETNETCONF
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&[if self.ipv6 { AF_INET6 } else { AF_INET }, 0, 0, 0]);
        message.u32(NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL.cast_unsigned());
    }
}

/// Whether the namespace that `socket` belongs to forwards: `net.ipv4.conf.all.forwarding`, which `net.ipv4.ip_forward`
/// is another name for, or `net.ipv6.conf.all.forwarding`. Errors where the kernel has no such protocol.
pub fn forwarding(socket: &mut Socket, ipv6: bool) -> Result<bool> {
    socket.get(&GetNetconf { ipv6 }, |_, payload| {
        let value = Reader::new(payload).attributes(HEADER_LEN).get(NETCONFA_FORWARDING);
        value.and_then(|value| value.i32()).map(|value| value != 0).ok_or(Error::Malformed {
            what: "settings of a protocol",
            problem: "forwarding is not among them",
        })
    })
}
