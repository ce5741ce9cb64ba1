//! Generic netlink: families by name (`include/uapi/linux/genetlink.h`).

use std::fmt;

use rustix::io::Errno;

use super::{MessageWriter, Reader, Request, Socket};
use crate::error::{Error, Result};

/// `GENL_ID_CTRL`: the family that knows the others.
const CONTROLLER: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// The bytes of `struct genlmsghdr`.
pub(crate) const HEADER_LEN: usize = 4;

/// `struct genlmsghdr`.
pub(crate) fn header(command: u8, version: u8) -> [u8; HEADER_LEN] {
    [command, version, 0, 0]
}

/// `CTRL_CMD_GETFAMILY` by name.
struct GetFamily(&'static str);

impl fmt::Display for GetFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "find the generic netlink family {}", self.0)
    }
}

impl Request for GetFamily {
    fn message_type(&self) -> u16 {
        CONTROLLER
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&header(CTRL_CMD_GETFAMILY, 1));
        message.text(CTRL_ATTR_FAMILY_NAME, self.0);
    }
}

/// The message type of a family of generic netlink; none if the kernel has no such family.
pub(crate) fn family(socket: &mut Socket, name: &'static str) -> Result<Option<u16>> {
    let found = socket.get(&GetFamily(name), |_, payload| {
        let attributes = Reader::new(payload).attributes(HEADER_LEN);
        attributes
            .get(CTRL_ATTR_FAMILY_ID)
            .and_then(|id| id.u16())
            .ok_or(Error::Malformed { what: "a generic netlink family", problem: "it has no number" })
    });
    match found {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.errno() == Some(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}
