//! Asking the kernel which route it would take.

use std::fmt;
use std::net::IpAddr;

use rustix::io::Errno;

use crate::abi::*;
use crate::error::Result;
use crate::netlink::{MessageWriter, Reader, Request, Socket};

/// Where `rtm_type` stands in `struct rtmsg` (`include/uapi/linux/rtnetlink.h`).
const TYPE_OFFSET: usize = 7;
/// `RTN_LOCAL`.
const LOCAL: u8 = 2;

struct Lookup {
    to: IpAddr,
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
        let (family, bits) = if self.to.is_ipv6() { (libc::AF_INET6, 128) } else { (libc::AF_INET, 32) };
        let mut header = [0; 12];
        header[0] = u8::try_from(family).unwrap_or_default();
        header[1] = bits;
        message.header(&header);
        message.address(RTA_DST, self.to);
    }
}

/// Whether the socket's namespace takes packets for `address` as its own by now. An IPv6 address that was just added
/// may need a moment, also without duplicate address detection: its local route is made by a work queue
/// (`addrconf_dad_work`, `net/ipv6/addrconf.c`).
pub fn is_local(socket: &mut Socket, address: IpAddr) -> Result<bool> {
    match socket.get(&Lookup { to: address }, |_, payload| Ok(Reader::new(payload).u8(TYPE_OFFSET) == LOCAL))
    {
        Err(error)
            if matches!(error.errno(), Some(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ACCESS)) =>
        {
            Ok(false)
        }
        result => result,
    }
}
