//! Hearing what the kernel tells of traced packets.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, sockopt};

use super::event::{TraceEvent, parse};
use crate::error::{Error, Result};
use crate::netlink::messages;
use crate::nftables::abi::NFT_MSG_TRACE;
use crate::nftables::monitor::subscribe;
use crate::nftables::transaction::message_type;

/// The bit of `NFNLGRP_NFTRACE` (9) among the groups (`include/uapi/linux/netfilter/nfnetlink.h`).
const NFNLGRP_NFTRACE: u32 = 1 << 8;
/// A message is at most a few hundred bytes long.
const BUFFER: usize = 16 * 1024;
/// Room for what is told before it is read: some thousand steps.
const ROOM: usize = 4 << 20;

/// What is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceNews {
    /// A step of a traced packet.
    Event(Box<TraceEvent>),
    /// The kernel had more to tell than there was room for: some is lost.
    Missed,
}

/// Hears of traced packets in the namespace in which it was opened, whoever has them traced.
#[derive(Debug)]
pub struct TraceMonitor {
    fd: OwnedFd,
}

impl TraceMonitor {
    /// Opens one in the namespace that the calling thread is in; needs `CAP_NET_ADMIN` there.
    pub fn open() -> Result<Self> {
        let fd = subscribe(NFNLGRP_NFTRACE, "news of traced packets")?;
        // Past the system's limit needs privilege over the whole host; what the limit allows is enough for one packet.
        let _ = sockopt::set_socket_recv_buffer_size_force(&fd, ROOM)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&fd, ROOM));
        Ok(Self { fd })
    }

    /// Gives what is there to `tell`, until there is nothing more.
    pub fn read(&self, mut tell: impl FnMut(TraceNews)) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let len = match rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((len, _)) => len,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(Errno::NOBUFS) => {
                    tell(TraceNews::Missed);
                    continue;
                }
                Err(errno) => return Err(Error::io("read news of traced packets", errno)),
            };
            for message in messages(&buffer[..len]) {
                if message.kind == message_type(NFT_MSG_TRACE)
                    && let Some(event) = parse(message.payload)
                {
                    tell(TraceNews::Event(Box::new(event)));
                }
            }
        }
    }
}

impl AsFd for TraceMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
