//! Setting qdiscs, classes and filters.

use std::fmt;

use rustix::io::Errno;

use super::{ClassKind, FilterKind, Handle, QdiscKind, codec};
use crate::abi::*;
use crate::error::{Error, Refusal};
use crate::link::IfIndex;
use crate::netlink::{MessageWriter, Request};

/// Hangs a qdisc onto an interface, or takes it away.
///
/// One that hangs there under the same name is changed in place, and the packets in it stay; its kind cannot change.
/// One of another name is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeQdisc {
    /// The interface.
    pub link: IfIndex,
    /// Its name; [`Handle::NONE`] leaves it to the kernel.
    pub handle: Handle,
    /// Where it hangs.
    pub parent: Handle,
    /// What it is; none takes away what hangs there.
    pub kind: Option<QdiscKind>,
}

/// Sets a class of a qdisc, or takes it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeClass {
    /// The interface.
    pub link: IfIndex,
    /// Its name.
    pub handle: Handle,
    /// The qdisc or class that it belongs to.
    pub parent: Handle,
    /// What it is; none takes it away.
    pub kind: Option<ClassKind>,
}

/// Sets a filter, or takes it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeFilter {
    /// The interface.
    pub link: IfIndex,
    /// The qdisc or class that it belongs to.
    pub parent: Handle,
    /// Its priority, from 1.
    pub priority: u16,
    /// The `EtherType` that it is asked about; 3 for all.
    pub protocol: u16,
    /// Its number, from 1.
    pub handle: u32,
    /// What it is.
    pub kind: FilterKind,
    /// Take it away.
    pub delete: bool,
}

/// `struct tcmsg` (`include/uapi/linux/rtnetlink.h`).
pub(super) fn tcmsg(link: IfIndex, handle: u32, parent: Handle, info: u32) -> [u8; 20] {
    let mut header = [0; 20];
    header[4..8].copy_from_slice(&link.to_ne_bytes());
    header[8..12].copy_from_slice(&handle.to_ne_bytes());
    header[12..16].copy_from_slice(&parent.0.to_ne_bytes());
    header[16..20].copy_from_slice(&info.to_ne_bytes());
    header
}

/// `TC_H_MAKE(priority << 16, htons(protocol))`.
pub(super) fn filter_info(priority: u16, protocol: u16) -> u32 {
    u32::from(priority) << 16 | u32::from(protocol.to_be())
}

/// The kernel says `ENOENT` of a kind that it does not know (`qdisc_create`, `net/sched/sch_api.c`;
/// `tcf_proto_lookup_ops`, `net/sched/cls_api.c`), with a text of its own since Linux 4.16.
fn is_unknown(refusal: &Refusal) -> bool {
    let says = |text: &str| text.contains("unknown") || text.contains("not found");
    refusal.errno == Errno::NOENT && refusal.text.as_deref().is_none_or(says)
}

impl fmt::Display for ChangeQdisc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Some(kind) => {
                write!(f, "set the queue of link number {} at {} to {}", self.link, self.parent, kind.name())
            }
            None => write!(f, "delete the queue of link number {} at {}", self.link, self.parent),
        }
    }
}

impl Request for ChangeQdisc {
    fn message_type(&self) -> u16 {
        if self.kind.is_some() { RTM_NEWQDISC } else { RTM_DELQDISC }
    }

    fn flags(&self) -> u16 {
        if self.kind.is_some() { NLM_F_CREATE | NLM_F_REPLACE } else { 0 }
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&tcmsg(self.link, self.handle.0, self.parent, 0));
        if let Some(kind) = &self.kind {
            message.text(TCA_KIND, kind.name());
            codec::write_qdisc(kind, message);
        }
    }

    fn unsupported(&self, refusal: &Refusal) -> Option<Error> {
        let kind = self.kind.as_ref().filter(|_| is_unknown(refusal))?;
        Some(Error::Unsupported {
            what: format!("the queueing discipline {}", kind.name()),
            option: kind.config_option()?,
        })
    }
}

impl fmt::Display for ChangeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.kind.is_some() { "set" } else { "delete" };
        write!(f, "{verb} class {} of link number {}", self.handle, self.link)
    }
}

impl Request for ChangeClass {
    fn message_type(&self) -> u16 {
        if self.kind.is_some() { RTM_NEWTCLASS } else { RTM_DELTCLASS }
    }

    fn flags(&self) -> u16 {
        if self.kind.is_some() { NLM_F_CREATE | NLM_F_REPLACE } else { 0 }
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&tcmsg(self.link, self.handle.0, self.parent, 0));
        if let Some(kind) = &self.kind {
            let name = match kind {
                ClassKind::Htb(_) => "htb",
                ClassKind::Other { name, .. } => name,
            };
            message.text(TCA_KIND, name);
            codec::write_class(kind, message);
        }
    }
}

impl fmt::Display for ChangeFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.delete { "delete" } else { "set" };
        write!(f, "{verb} filter {} of {} of link number {}", self.priority, self.parent, self.link)
    }
}

impl Request for ChangeFilter {
    fn message_type(&self) -> u16 {
        if self.delete { RTM_DELTFILTER } else { RTM_NEWTFILTER }
    }

    fn flags(&self) -> u16 {
        if self.delete { 0 } else { NLM_F_CREATE }
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let info = filter_info(self.priority, self.protocol);
        message.header(&tcmsg(self.link, self.handle, self.parent, info));
        let name = match &self.kind {
            FilterKind::Bpf(_) => "bpf",
            FilterKind::Other { name, .. } => name,
        };
        message.text(TCA_KIND, name);
        if !self.delete {
            codec::write_filter(&self.kind, message);
        }
    }

    fn unsupported(&self, refusal: &Refusal) -> Option<Error> {
        let option = match &self.kind {
            FilterKind::Bpf(_) => "CONFIG_NET_CLS_BPF",
            FilterKind::Other { .. } => return None,
        };
        (!self.delete && is_unknown(refusal))
            .then(|| Error::Unsupported { what: "the classifier bpf".to_owned(), option })
    }
}
