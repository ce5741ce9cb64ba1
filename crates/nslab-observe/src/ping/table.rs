//! The requests about neighbours that pinging many pairs takes (`include/uapi/linux/neighbour.h`).

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use nslab_kernel::Result;
use nslab_kernel::netlink::{MessageWriter, Reader, Request, Socket};
use rustix::io::Errno;

/// `AF_INET`, `AF_INET6` as a message's header has them (`include/linux/socket.h`).
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
const RTM_GETNEIGH: u16 = 30;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const NDA_DST: u16 = 1;
const NTF_EXT_LEARNED: u8 = 0x10;
const NTF_PROXY: u8 = 0x08;
const NUD_NONE: u16 = 0;
/// `struct ndmsg`.
const NDMSG: usize = 12;
/// `struct ifinfomsg`.
const IFINFOMSG: usize = 16;
const IFLA_EXT_MASK: u16 = 29;
const RTEXT_FILTER_SKIP_STATS: u32 = 8;
const IFF_LOOPBACK: u32 = 0x8;
const IFF_POINTOPOINT: u32 = 0x10;
const IFF_NOARP: u32 = 0x80;

/// A neighbour entry's state (`NUD_*`): an answer to ARP or ND is still awaited, or never came.
pub(super) const UNRESOLVED: u16 = 0x01 | 0x20;
/// What an entry looks like that came from traffic: reachable, stale or in delay.
pub(super) const FROM_TRAFFIC: u16 = 0x02 | 0x04 | 0x08;

/// The key of a neighbour entry in its namespace: interface and address.
pub(super) type Key = (u32, IpAddr);

/// Makes an entry that knows nothing yet, exempt from the collector (`NTF_EXT_LEARNED`) and so not counted against
/// `gc_thresh3`. The kernel resolves it as any other when it is first used. Refused with `EEXIST` where there is one.
pub(super) struct Reserve(pub(super) Key);

/// Takes an entry away.
pub(super) struct Forget(pub(super) Key);

struct Get(Key);
struct List;
struct ListLinks;

impl fmt::Display for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reserve a neighbour entry for {} on interface {}", self.0.1, self.0.0)
    }
}

impl fmt::Display for Forget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "take away the neighbour {} on interface {}", self.0.1, self.0.0)
    }
}

impl fmt::Display for Get {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "look at the neighbour {} on interface {}", self.0.1, self.0.0)
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list neighbours")
    }
}

impl fmt::Display for ListLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list interfaces")
    }
}

impl Request for Reserve {
    fn message_type(&self) -> u16 {
        RTM_NEWNEIGH
    }

    fn flags(&self) -> u16 {
        NLM_F_CREATE | NLM_F_EXCL
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        write_entry(message, self.0, NTF_EXT_LEARNED);
    }
}

impl Request for Forget {
    fn message_type(&self) -> u16 {
        RTM_DELNEIGH
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        write_entry(message, self.0, 0);
    }
}

impl Request for Get {
    fn message_type(&self) -> u16 {
        RTM_GETNEIGH
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        write_entry(message, self.0, 0);
    }
}

impl Request for List {
    fn message_type(&self) -> u16 {
        RTM_GETNEIGH
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&[0; NDMSG]);
    }
}

impl Request for ListLinks {
    fn message_type(&self) -> u16 {
        RTM_GETLINK
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&[0; IFINFOMSG]);
        message.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    }
}

fn write_entry(message: &mut MessageWriter<'_>, (link, address): Key, flags: u8) {
    let mut header = [0; NDMSG];
    header[0] = if address.is_ipv4() { AF_INET } else { AF_INET6 };
    header[4..8].copy_from_slice(&link.to_ne_bytes());
    header[8..10].copy_from_slice(&NUD_NONE.to_ne_bytes());
    header[10] = flags;
    message.header(&header);
    message.address(NDA_DST, address);
}

/// The state of one neighbour of the namespace that `socket` belongs to; `None` if there is none.
pub(super) fn state(socket: &mut Socket, key: Key) -> Result<Option<u16>> {
    match socket.get(&Get(key), |_, payload| Ok(Reader::new(payload).u16(8))) {
        Ok(state) => Ok(Some(state)),
        // ENODEV: the interface went away.
        Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The neighbours of the namespace that `socket` belongs to, with their states.
pub(super) fn list(socket: &mut Socket) -> Result<Vec<(Key, u16)>> {
    socket.dump("neighbours", &List, |kind, payload| {
        let reader = Reader::new(payload);
        let address = reader.attributes(NDMSG).get(NDA_DST).and_then(|attribute| attribute.address());
        let entry = address.map(|address| ((reader.u32(4), address), reader.u16(8)));
        Ok(entry.filter(|_| kind == RTM_NEWNEIGH && reader.u8(10) & NTF_PROXY == 0))
    })
}

/// The interfaces on which neighbours are found by asking, by ARP or ND.
pub(super) fn asking_links(socket: &mut Socket) -> Result<HashSet<u32>> {
    let links = socket.dump("interfaces", &ListLinks, |kind, payload| {
        let reader = Reader::new(payload);
        let (index, flags) = (reader.u32(4), reader.u32(8));
        let asks = kind == RTM_NEWLINK && flags & (IFF_LOOPBACK | IFF_POINTOPOINT | IFF_NOARP) == 0;
        Ok(asks.then_some(index))
    })?;
    Ok(links.into_iter().collect())
}
