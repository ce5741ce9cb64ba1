//! Hearing of what nftables has to tell.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, netlink};

use crate::error::{Context, Error, Result};

/// The bit of `NFNLGRP_NFTABLES` (7) among the groups (`include/uapi/linux/netfilter/nfnetlink.h`).
const NFNLGRP_NFTABLES: u32 = 1 << 6;

/// A socket that hears of some groups in the namespace that the calling thread is in; needs `CAP_NET_ADMIN` there.
pub(super) fn subscribe(groups: u32, what: &'static str) -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::NETFILTER))
            .context(|| "open a netlink socket")?;
    rustix::net::bind(&fd, &SocketAddrNetlink::new(0, groups)).context(|| format!("ask for {what}"))?;
    Ok(fd)
}

/// Hears that rules change, in the namespace in which it was opened, whoever changes them.
#[derive(Debug)]
pub struct RulesetMonitor {
    fd: OwnedFd,
}

impl RulesetMonitor {
    /// Opens one in the namespace that the calling thread is in; needs `CAP_NET_ADMIN` there.
    pub fn open() -> Result<Self> {
        Ok(Self { fd: subscribe(NFNLGRP_NFTABLES, "news of rules")? })
    }

    /// Whether a transaction changed anything since this was last asked.
    pub fn has_changed(&self) -> Result<bool> {
        let mut any = false;
        // What it was is not looked at: the rest of a message is cut off.
        let mut byte = [0];
        loop {
            match rustix::net::recv(&self.fd, &mut byte[..], RecvFlags::DONTWAIT) {
                // There was more than there is room for.
                Ok(_) | Err(Errno::NOBUFS) => any = true,
                Err(Errno::AGAIN) => return Ok(any),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::io("read news of rules", errno)),
            }
        }
    }
}

impl AsFd for RulesetMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
