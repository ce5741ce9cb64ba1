//! Reading qdiscs, classes and filters.

use std::fmt;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::change::tcmsg;
use super::{Class, Filter, Handle, Qdisc, QdiscKind, Statistics, codec};
use crate::abi::*;
use crate::error::Result;
use crate::link::IfIndex;
use crate::netlink::{Attributes, MessageWriter, Reader, Request, Socket};

/// The bytes of `struct tcmsg`.
const HEADER_LEN: usize = 20;

/// All qdiscs of a namespace, with the classes and filters of those that have any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queues {
    /// By interface and name.
    pub qdiscs: Vec<Qdisc>,
    /// By interface and name.
    pub classes: Vec<Class>,
    /// By interface, parent, priority and number.
    pub filters: Vec<Filter>,
}

impl Queues {
    /// Reads those of the namespace that `socket` belongs to.
    pub fn read(socket: &mut Socket) -> Result<Self> {
        let mut queues = Self { qdiscs: list(socket)?, ..Self::default() };
        for qdisc in &queues.qdiscs {
            match qdisc.kind {
                // Only these are asked for: each question is one more to the kernel.
                QdiscKind::Htb(_) | QdiscKind::Other { .. } => {
                    let own = classes(socket, qdisc.link)?;
                    let new = own.into_iter().filter(|class| class.handle.major() == qdisc.handle.major());
                    queues.classes.extend(new);
                    queues.filters.extend(filters(socket, qdisc.link, qdisc.handle)?);
                }
                QdiscKind::Prio(_) => queues.filters.extend(filters(socket, qdisc.link, qdisc.handle)?),
                QdiscKind::Ingress | QdiscKind::Clsact => {
                    for hook in [Handle::INGRESS_FILTERS, Handle::EGRESS_FILTERS] {
                        queues.filters.extend(filters(socket, qdisc.link, hook)?);
                    }
                }
                _ => {}
            }
        }
        Ok(queues)
    }
}

/// A dump of qdiscs, classes or filters.
struct Get {
    message: u16,
    link: IfIndex,
    parent: Handle,
}

impl fmt::Display for Get {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message {
            RTM_GETQDISC => f.write_str("list queueing disciplines"),
            RTM_GETTCLASS => write!(f, "list the classes of link number {}", self.link),
            _ => write!(f, "list the filters of {} of link number {}", self.parent, self.link),
        }
    }
}

impl Request for Get {
    fn message_type(&self) -> u16 {
        self.message
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&tcmsg(self.link, 0, self.parent, 0));
    }
}

/// All qdiscs of the namespace that `socket` belongs to, by interface and name; empty on a kernel without any
/// (`CONFIG_NET_SCHED`).
pub fn list(socket: &mut Socket) -> Result<Vec<Qdisc>> {
    let request = Get { message: RTM_GETQDISC, link: 0, parent: Handle::NONE };
    let listed = socket.dump("queueing disciplines", &request, |kind, payload| {
        Ok((kind == RTM_NEWQDISC).then(|| parse_qdisc(payload)).flatten())
    });
    let mut qdiscs = match listed {
        Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        other => other?,
    };
    qdiscs.sort_by_key(|qdisc| (qdisc.link, qdisc.handle, qdisc.parent));
    Ok(qdiscs)
}

/// The classes of an interface's qdiscs, by name.
pub fn classes(socket: &mut Socket, link: IfIndex) -> Result<Vec<Class>> {
    let request = Get { message: RTM_GETTCLASS, link, parent: Handle::NONE };
    let mut classes = socket.dump("classes", &request, |kind, payload| {
        Ok((kind == RTM_NEWTCLASS).then(|| parse_class(payload)).flatten())
    })?;
    classes.sort_by_key(|class| class.handle);
    Ok(classes)
}

/// The filters of an interface's qdisc or class, in the order in which they are asked.
pub fn filters(socket: &mut Socket, link: IfIndex, parent: Handle) -> Result<Vec<Filter>> {
    let request = Get { message: RTM_GETTFILTER, link, parent };
    let mut filters = socket.dump("filters", &request, |kind, payload| {
        Ok((kind == RTM_NEWTFILTER).then(|| parse_filter(payload)).flatten())
    })?;
    filters.sort_by_key(|filter| (filter.priority, filter.handle));
    Ok(filters)
}

fn link_of(header: &Reader<'_>) -> Option<IfIndex> {
    Some(header.u32(4)).filter(|&link| link != 0)
}

fn options<'a>(attributes: &Attributes<'a>) -> &'a [u8] {
    attributes.get(TCA_OPTIONS).map_or(&[], |options| options.payload)
}

/// Reads the payload of `RTM_NEWQDISC`.
pub(crate) fn parse_qdisc(payload: &[u8]) -> Option<Qdisc> {
    let header = Reader::new(payload);
    let attributes = header.attributes(HEADER_LEN);
    let name = attributes.get(TCA_KIND)?.text();
    Some(Qdisc {
        link: link_of(&header)?,
        handle: Handle(header.u32(8)),
        parent: Handle(header.u32(12)),
        kind: codec::read_qdisc(&name, options(&attributes)),
        statistics: statistics(&attributes),
    })
}

/// Reads the payload of `RTM_NEWTCLASS`.
pub(crate) fn parse_class(payload: &[u8]) -> Option<Class> {
    let header = Reader::new(payload);
    let attributes = header.attributes(HEADER_LEN);
    let name = attributes.get(TCA_KIND)?.text();
    Some(Class {
        link: link_of(&header)?,
        handle: Handle(header.u32(8)),
        parent: Handle(header.u32(12)),
        leaf: Some(Handle(header.u32(16))).filter(|&leaf| leaf != Handle::NONE),
        kind: codec::read_class(&name, options(&attributes)),
        statistics: statistics(&attributes),
    })
}

/// Reads the payload of `RTM_NEWTFILTER`; none if it only says that there are filters of some priority.
pub(crate) fn parse_filter(payload: &[u8]) -> Option<Filter> {
    let header = Reader::new(payload);
    let attributes = header.attributes(HEADER_LEN);
    let name = attributes.get(TCA_KIND)?.text();
    let info = header.u32(16);
    Some(Filter {
        link: link_of(&header)?,
        handle: Some(header.u32(8)).filter(|&handle| handle != 0)?,
        parent: Handle(header.u32(12)),
        priority: (info >> 16) as u16,
        #[expect(clippy::cast_possible_truncation, reason = "two halves of a word")]
        protocol: u16::from_be(info as u16),
        kind: codec::read_filter(&name, options(&attributes)),
    })
}

/// `TCA_STATS2`; zeros where there is none.
fn statistics(attributes: &Attributes<'_>) -> Statistics {
    let Some(all) = attributes.get(TCA_STATS2).map(|all| all.nested()) else {
        return Statistics::default();
    };
    let mut statistics = Statistics::default();
    if let Some(basic) = all.get(TCA_STATS_BASIC) {
        statistics.bytes = basic.u64().unwrap_or(0);
        statistics.packets = u64::from(Reader::new(basic.payload).u32(8));
    }
    // Since Linux 5.5; the older count is of 32 bits.
    if let Some(packets) = all.get(TCA_STATS_PKT64).and_then(|packets| packets.u64()) {
        statistics.packets = packets;
    }
    if let Some(queue) = all.get(TCA_STATS_QUEUE) {
        let queue = Reader::new(queue.payload);
        let [packets, bytes, drops, requeues, overlimits] =
            [0, 4, 8, 12, 16].map(|at| u64::from(queue.u32(at)));
        (statistics.queue_packets, statistics.queue_bytes) = (packets, bytes);
        (statistics.drops, statistics.requeues, statistics.overlimits) = (drops, requeues, overlimits);
    }
    statistics
}
