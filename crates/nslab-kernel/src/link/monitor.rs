//! Interfaces that come, change and go while somebody looks.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

use super::{IfIndex, Link, read};
use crate::abi::{AF_BRIDGE, RTM_DELLINK, RTM_NEWLINK};
use crate::error::{Context, Error, Result};
use crate::netlink::messages;

/// `RTMGRP_LINK` (`include/uapi/linux/rtnetlink.h`).
const RTMGRP_LINK: u32 = 1;
/// No message about one interface is nearly as long.
const BUFFER: usize = 32 * 1024;

/// What happened to an interface.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkEvent {
    /// It is there, new or changed.
    Present(Box<Link>),
    /// It is gone.
    Gone(IfIndex),
    /// The kernel had more to tell than there was room for: [list](super::list) them anew.
    Missed,
}

/// Tells of the interfaces of the namespace in which it was opened.
#[derive(Debug)]
pub struct LinkMonitor {
    fd: OwnedFd,
}

impl LinkMonitor {
    /// Opens one in the namespace that the calling thread is in. It tells what happens from here on; list what there is
    /// after it was opened, and nothing is missed.
    pub fn open() -> Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)
            .context(|| "open a netlink socket")?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, RTMGRP_LINK))
            .context(|| "ask for news of interfaces")?;
        Ok(Self { fd })
    }

    /// Gives what happened to `tell`, until there is nothing more.
    pub fn read(&self, mut tell: impl FnMut(LinkEvent)) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let len = match rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((len, _)) => len,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(Errno::NOBUFS) => {
                    tell(LinkEvent::Missed);
                    continue;
                }
                Err(errno) => return Err(Error::io("read news of interfaces", errno)),
            };
            for message in messages(&buffer[..len]) {
                // A port that joins or leaves a bridge is told of in the same words, of another family.
                if message.payload.first() == Some(&AF_BRIDGE) {
                    continue;
                }
                let Some(link) = read::parse(message.payload) else { continue };
                match message.kind {
                    RTM_NEWLINK => tell(LinkEvent::Present(Box::new(link))),
                    RTM_DELLINK => tell(LinkEvent::Gone(link.index)),
                    _ => {}
                }
            }
        }
    }
}

impl AsFd for LinkMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
