//! Carrier that counts.

use std::os::fd::{AsFd, AsRawFd};

use nslab_types::IfName;

use crate::error::{Error, Result};
use crate::netlink::Socket;

/// `ETHTOOL_GLINK` (`include/uapi/linux/ethtool.h`).
const ETHTOOL_GLINK: u32 = 0x0a;
/// `SIOCETHTOOL` (`include/uapi/linux/sockios.h`).
const SIOCETHTOOL: libc::Ioctl = 0x8946;

/// `struct ethtool_value`.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// Whether an interface of the socket's namespace has carrier, after the kernel has acted on its last change.
///
/// When a veth's other end comes up, carrier is there at once, but the interface drops what is sent until a work queue
/// has started its transmit queue (`net/core/link_watch.c`): on a busy machine that may take long enough for the first
/// packets to be lost. Asking this way makes the kernel do it now (`linkwatch_sync_dev`, called by
/// `ethtool_op_get_link`).
pub fn settled_carrier(socket: &Socket, name: IfName) -> Result<bool> {
    let mut value = EthtoolValue { command: ETHTOOL_GLINK, data: 0 };
    // SAFETY: an all-zero ifreq is a valid one: integers, and a pointer that is set next.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, &from) in request.ifr_name.iter_mut().zip(name.as_str().as_bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request is a whole ifreq whose data points to an ethtool_value; both live through the call, and the
    // kernel writes the latter only.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    if result < 0 {
        return Err(Error::io(format!("ask {name} for its carrier"), std::io::Error::last_os_error()));
    }
    Ok(value.data != 0)
}
