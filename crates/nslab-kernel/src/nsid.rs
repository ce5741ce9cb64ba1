//! Numbers by which one namespace knows another (`include/uapi/linux/net_namespace.h`).
//!
//! [`Link::lower_nsid`](crate::link::Link::lower_nsid) is such a number: with it the peer of a veth that lies in another
//! namespace can be found.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd};

use crate::abi::*;
use crate::error::Result;
use crate::namespace::Namespace;
use crate::netlink::{MessageWriter, Reader, Request, Socket};

/// The bytes of `struct rtgenmsg`, padded.
const HEADER_LEN: usize = 4;
/// "None", or when assigning "whichever is free" (`NETNSA_NSID_NOT_ASSIGNED`).
const NOT_ASSIGNED: i32 = -1;

struct GetNsid {
    fd: i32,
}

impl fmt::Display for GetNsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("look up the number of a network namespace")
    }
}

impl Request for GetNsid {
    fn message_type(&self) -> u16 {
        RTM_GETNSID
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&[0; HEADER_LEN]);
        message.u32(NETNSA_FD, self.fd.cast_unsigned());
    }
}

struct NewNsid {
    fd: i32,
    nsid: i32,
}

impl fmt::Display for NewNsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("give a number to a network namespace")
    }
}

impl Request for NewNsid {
    fn message_type(&self) -> u16 {
        RTM_NEWNSID
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&[0; HEADER_LEN]);
        message.u32(NETNSA_NSID, self.nsid.cast_unsigned());
        message.u32(NETNSA_FD, self.fd.cast_unsigned());
    }
}

/// The number by which the namespace that `socket` belongs to knows `namespace`; none if it does not know it.
pub fn get(socket: &mut Socket, namespace: &Namespace) -> Result<Option<i32>> {
    let request = GetNsid { fd: namespace.as_fd().as_raw_fd() };
    socket.get(&request, |_, payload| {
        let nsid = Reader::new(payload).attributes(HEADER_LEN).get(NETNSA_NSID).and_then(|nsid| nsid.i32());
        Ok(nsid.filter(|&nsid| nsid != NOT_ASSIGNED))
    })
}

/// The same, after giving it a number if it has none.
pub fn assign(socket: &mut Socket, namespace: &Namespace) -> Result<i32> {
    use rustix::io::Errno;
    match socket.request(&NewNsid { fd: namespace.as_fd().as_raw_fd(), nsid: NOT_ASSIGNED }) {
        Ok(()) => {}
        Err(error) if error.errno() == Some(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    get(socket, namespace)?.ok_or(crate::Error::Malformed {
        what: "a namespace's number",
        problem: "it was given and is not there",
    })
}
