//! Queueing disciplines, their classes and filters (tc(8)): what an interface does to the packets it sends.
//!
//! Everything is read back as it is set. Kinds that nslab does not know are kept by name, with their options as bytes,
//! so that they can be shown and made again.

mod bpf;
mod change;
mod class;
mod codec;
mod distribution;
mod filter;
mod kind;
mod read;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use bpf::Instruction;
pub use change::{ChangeClass, ChangeFilter, ChangeQdisc};
pub use class::{Class, ClassKind, HtbClass};
pub use distribution::Distribution;
pub use filter::{BpfFilter, Filter, FilterKind};
pub use kind::{Fifo, FqCodel, Htb, Netem, Prio, QdiscKind, Share, Tbf};
pub use read::{Queues, classes, filters, list};
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use read::{parse_class, parse_filter, parse_qdisc};

pub use words::Bits;

use crate::link::IfIndex;

/// The name of a qdisc (`MAJOR:`), of a class (`MAJOR:MINOR`), or a place where one can hang.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(pub u32);

impl Handle {
    /// None in particular (`TC_H_UNSPEC`): what the kernel hangs on an interface by itself has it.
    pub const NONE: Self = Self(0);
    /// The place of an interface's outermost qdisc (`TC_H_ROOT`).
    pub const ROOT: Self = Self(0xffff_ffff);
    /// The place of `ingress` and `clsact` (`TC_H_INGRESS`).
    pub const INGRESS: Self = Self(0xffff_fff1);
    /// Where filters are for packets that come in (`TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)`).
    pub const INGRESS_FILTERS: Self = Self(0xffff_fff2);
    /// Where `clsact` has filters for packets that go out (`TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)`).
    pub const EGRESS_FILTERS: Self = Self(0xffff_fff3);

    /// The name of a qdisc.
    pub const fn qdisc(major: u16) -> Self {
        Self((major as u32) << 16)
    }

    /// A class of the qdisc, or the place in it of this number.
    #[must_use]
    pub const fn class(self, minor: u16) -> Self {
        Self(self.0 & 0xffff_0000 | minor as u32)
    }

    /// The qdisc's part.
    pub const fn major(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The class's part; 0 for a qdisc.
    pub const fn minor(self) -> u16 {
        (self.0 & 0xffff) as u16
    }
}

impl fmt::Display for Handle {
    /// As tc(8) writes it: hexadecimal, `1:`, `1:a`, `root`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ROOT => f.write_str("root"),
            Self::INGRESS => f.write_str("ingress"),
            Self::NONE => f.write_str("none"),
            Self(_) if self.minor() == 0 => write!(f, "{:x}:", self.major()),
            Self(_) => write!(f, "{:x}:{:x}", self.major(), self.minor()),
        }
    }
}

/// A time in the scheduler's ticks of 64 ns (`PSCHED_SHIFT`, `include/net/pkt_sched.h`, since Linux 2.6.31), which is
/// how the size of a bucket is told to the kernel: as the time that it lasts at the rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticks(pub u32);

impl Ticks {
    /// Nanoseconds in one.
    pub const NANOSECONDS: u64 = 64;

    /// The time in which `bytes` are sent at `rate` bytes in a second, rounded up.
    pub fn to_send(bytes: u32, rate: u64) -> Self {
        let ticks = (u128::from(bytes) * 1_000_000_000)
            .div_ceil(u128::from(rate.max(1)) * u128::from(Self::NANOSECONDS));
        Self(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    /// The bytes that are sent in this time at `rate` bytes in a second.
    pub fn bytes(self, rate: u64) -> u64 {
        let bytes = u128::from(rate) * u128::from(self.0) * u128::from(Self::NANOSECONDS) / 1_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// As a time.
    pub fn duration(self) -> Duration {
        Duration::from_nanos(u64::from(self.0) * Self::NANOSECONDS)
    }
}

/// A queueing discipline of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qdisc {
    /// The interface.
    pub link: IfIndex,
    /// Its name; [`Handle::NONE`] if the kernel hung it there by itself.
    pub handle: Handle,
    /// Where it hangs.
    pub parent: Handle,
    /// What it is.
    pub kind: QdiscKind,
    /// What went through it.
    pub statistics: Statistics,
}

/// What went through a qdisc or class (`TCA_STATS2`, `include/uapi/linux/gen_stats.h`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Bytes sent, with the link layer's header.
    pub bytes: u64,
    /// Packets sent.
    pub packets: u64,
    /// Packets dropped: lost on purpose, or because the queue was full.
    pub drops: u64,
    /// Packets that had to wait for the rate.
    pub overlimits: u64,
    /// Packets put back because the interface could not take them.
    pub requeues: u64,
    /// Packets that wait now.
    pub queue_packets: u64,
    /// Bytes that wait now.
    pub queue_bytes: u64,
}
