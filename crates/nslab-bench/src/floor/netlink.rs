//! Netlink messages written by hand: just those that the floor needs.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::error::{Doing, Error, Result};
use crate::sys;

const HEADER: usize = 16;
// As <linux/netlink.h> has them; libc has them as wider integers.
const REQUEST: u16 = 0x001;
const ACKNOWLEDGE: u16 = 0x004;
const CREATE: u16 = 0x400 | 0x200;
const INET6: u16 = 10;
const IFA_LOCAL: u16 = 2;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_GROUP: u16 = 27;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_MULTIPATH: u16 = 9;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_MODE_NONE: u8 = 1;
const UP: u32 = libc::IFF_UP as u32;

/// A route netlink socket.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Of the namespace that the thread is in.
    pub fn open() -> Result<Self> {
        sys::netlink_socket().doing(|| "open a netlink socket".to_owned()).map(Self)
    }

    /// Sends all messages at once and waits for the answer to the last, or the first refusal.
    pub fn send(&self, batch: Batch, what: &'static str) -> Result<()> {
        let Some((bytes, last)) = batch.finish() else { return Ok(()) };
        sys::send(self.0.as_fd(), &bytes).doing(|| format!("send {what}"))?;
        let mut buffer = [0_u8; 8192];
        loop {
            let got = sys::receive(self.0.as_fd(), &mut buffer)
                .doing(|| format!("receive the answer to {what}"))?;
            let answer = buffer.get(..got).unwrap_or_default();
            let (sequence, code) = (word(answer, 8), word(answer, HEADER).cast_signed());
            if code != 0 {
                return Err(Error::Netlink {
                    what,
                    sequence,
                    source: std::io::Error::from_raw_os_error(-code),
                });
            }
            if sequence == last {
                return Ok(());
            }
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|slice| slice.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// One end of a veth pair.
#[derive(Debug, Clone, Copy, Default)]
pub struct End<'a> {
    /// Its index, which must be free in its namespace.
    pub index: u32,
    /// Its name there.
    pub name: &'a str,
    /// Its namespace; that of the socket if `None`.
    pub namespace: Option<BorrowedFd<'a>>,
    /// The index of the bridge that it is a port of. For the first end only.
    pub master: Option<u32>,
    /// Up from the start. For the first end only.
    pub up: bool,
    /// Its group; 0 is the kernel's default.
    pub group: u32,
    /// One queue instead of one for each processor that the machine may have.
    pub one_queue: bool,
}

/// Many requests in one send. Only the last asks for an acknowledgement; refusals are answered anyway.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    last: usize,
    sequence: u32,
}

impl Batch {
    /// How many bytes it has grown to.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// A bridge, up from the start or not.
    pub fn bridge(&mut self, index: u32, name: &str, up: bool) {
        self.message(libc::RTM_NEWLINK, CREATE, |body| {
            body.link_header(index, up);
            body.text(IFLA_IFNAME, name);
            body.nest(IFLA_LINKINFO, |info| info.text(INFO_KIND, "bridge"));
        });
    }

    /// A veth pair, each end in its final namespace with its final name.
    pub fn veth(&mut self, end: &End<'_>, peer: &End<'_>) {
        self.message(libc::RTM_NEWLINK, CREATE, |body| {
            body.end(end);
            body.nest(IFLA_LINKINFO, |info| {
                info.text(INFO_KIND, "veth");
                info.nest(INFO_DATA, |data| {
                    // Up for the peer would be refused with ENOTCONN: it is registered before it has a peer itself.
                    data.nest(VETH_INFO_PEER, |body| body.end(&End { up: false, master: None, ..*peer }));
                });
            });
        });
    }

    /// An IPv4 address.
    pub fn address(&mut self, index: u32, address: Ipv4Addr, prefix: u8) {
        self.message(libc::RTM_NEWADDR, CREATE, |body| {
            body.0.extend([2, prefix, 0, 0]);
            body.word(index);
            body.attribute(IFA_LOCAL, &address.octets());
        });
    }

    /// An IPv4 route of the main table by all these gateways and interfaces.
    pub fn route(&mut self, to: Ipv4Addr, prefix: u8, ways: &[(Ipv4Addr, u32)]) {
        self.message(libc::RTM_NEWROUTE, CREATE, |body| {
            // struct rtmsg: static, unicast, everywhere.
            body.0.extend([2, prefix, 0, 0, 254, 4, 0, 1]);
            body.word(0);
            if prefix > 0 {
                body.attribute(RTA_DST, &to.octets());
            }
            if let [(gateway, index)] = ways {
                body.attribute(RTA_GATEWAY, &gateway.octets());
                body.attribute(RTA_OIF, &index.to_ne_bytes());
                return;
            }
            body.nest(RTA_MULTIPATH, |hops| {
                for (gateway, index) in ways {
                    // struct rtnexthop with the gateway behind it.
                    hops.0.extend(16_u16.to_ne_bytes());
                    hops.0.extend([0, 0]);
                    hops.word(*index);
                    hops.attribute(RTA_GATEWAY, &gateway.octets());
                }
            });
        });
    }

    /// Brings a link up.
    pub fn up(&mut self, index: u32) {
        self.message(libc::RTM_NEWLINK, 0, |body| body.link_header(index, true));
    }

    /// No IPv6 link-local address, and so none of the traffic that comes with one. Before the link is up.
    pub fn no_link_local(&mut self, index: u32) {
        self.message(libc::RTM_NEWLINK, 0, |body| {
            body.link_header(index, false);
            body.nest(IFLA_AF_SPEC, |families| {
                families.nest(INET6, |inet6| {
                    inet6.attribute(INET6_ADDR_GEN_MODE, &[ADDR_GEN_MODE_NONE]);
                });
            });
        });
    }

    /// Removes all links of a group.
    pub fn delete_group(&mut self, group: u32) {
        self.message(libc::RTM_DELLINK, 0, |body| {
            body.link_header(0, false);
            body.attribute(IFLA_GROUP, &group.to_ne_bytes());
        });
    }

    fn message(&mut self, kind: u16, flags: u16, write: impl FnOnce(&mut Body<'_>)) {
        let start = self.bytes.len();
        self.last = start;
        self.sequence += 1;
        self.bytes.extend(0_u32.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((flags | REQUEST).to_ne_bytes());
        self.bytes.extend(self.sequence.to_ne_bytes());
        self.bytes.extend(0_u32.to_ne_bytes());
        write(&mut Body(&mut self.bytes));
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    fn finish(mut self) -> Option<(Vec<u8>, u32)> {
        // The flags stand at 6.
        let at = self.last + 6;
        let flags = u16::from_ne_bytes(self.bytes.get(at..at + 2)?.try_into().ok()?) | ACKNOWLEDGE;
        self.bytes[at..at + 2].copy_from_slice(&flags.to_ne_bytes());
        Some((self.bytes, self.sequence))
    }
}

struct Body<'a>(&'a mut Vec<u8>);

impl Body<'_> {
    fn word(&mut self, value: u32) {
        self.0.extend(value.to_ne_bytes());
    }

    fn link_header(&mut self, index: u32, up: bool) {
        self.word(0);
        self.word(index);
        let flags = if up { UP } else { 0 };
        self.word(flags);
        self.word(flags);
    }

    fn end(&mut self, end: &End<'_>) {
        self.link_header(end.index, end.up);
        self.text(IFLA_IFNAME, end.name);
        if let Some(namespace) = end.namespace {
            self.attribute(IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
        }
        if let Some(master) = end.master {
            self.attribute(IFLA_MASTER, &master.to_ne_bytes());
        }
        if end.group != 0 {
            self.attribute(IFLA_GROUP, &end.group.to_ne_bytes());
        }
        if end.one_queue {
            self.attribute(IFLA_NUM_TX_QUEUES, &1_u32.to_ne_bytes());
            self.attribute(IFLA_NUM_RX_QUEUES, &1_u32.to_ne_bytes());
        }
    }

    fn text(&mut self, kind: u16, text: &str) {
        self.nest(kind, |inner| {
            inner.0.extend(text.as_bytes());
            inner.0.push(0);
        });
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.nest(kind, |inner| inner.0.extend(value));
    }

    fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Body<'_>)) {
        let start = self.0.len();
        self.0.extend([0, 0]);
        self.0.extend(kind.to_ne_bytes());
        write(&mut Body(self.0));
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}
