//! Kinds of qdiscs and their settings.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Distribution, Ticks};

/// A share of packets, as the kernel counts it: parts of 2³² − 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(pub u32);

impl Share {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(u32::MAX);

    /// From parts of one, 0 to 1.
    pub fn new(part: f64) -> Self {
        // A cast from a float keeps within the range of the integer.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
        Self((part.clamp(0.0, 1.0) * f64::from(u32::MAX)).round() as u32)
    }

    /// As parts of one.
    pub fn part(self) -> f64 {
        f64::from(self.0) / f64::from(u32::MAX)
    }
}

/// What a qdisc is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QdiscKind {
    /// Delays, loses, doubles, reorders and damages packets (`CONFIG_NET_SCH_NETEM`).
    Netem(Netem),
    /// Lets packets go at a rate (`CONFIG_NET_SCH_TBF`).
    Tbf(Tbf),
    /// Sorts packets into classes, each with a rate (`CONFIG_NET_SCH_HTB`).
    Htb(Htb),
    /// First in, first out; the limit counts packets.
    Pfifo(Fifo),
    /// First in, first out; the limit counts bytes.
    Bfifo(Fifo),
    /// Bands by priority (`CONFIG_NET_SCH_PRIO`).
    Prio(Prio),
    /// Fair queueing that keeps the delay low (`CONFIG_NET_SCH_FQ_CODEL`).
    FqCodel(FqCodel),
    /// Three bands by type of service: the kernel's own default for hardware.
    PfifoFast,
    /// No queue at all: the kernel's own default for virtual interfaces.
    Noqueue,
    /// Drops all and says that it was sent (part of `CONFIG_NET_SCHED`).
    Blackhole,
    /// No queue, but a place for filters of what comes in (`CONFIG_NET_SCH_INGRESS`).
    Ingress,
    /// The same for both directions.
    Clsact,
    /// A kind that nslab does not know.
    Other {
        /// Its name.
        name: String,
        /// Its options as the kernel shows them.
        options: Vec<u8>,
    },
}

impl QdiscKind {
    /// The kernel's name for it (`TCA_KIND`).
    pub fn name(&self) -> &str {
        match self {
            Self::Netem(_) => "netem",
            Self::Tbf(_) => "tbf",
            Self::Htb(_) => "htb",
            Self::Pfifo(_) => "pfifo",
            Self::Bfifo(_) => "bfifo",
            Self::Prio(_) => "prio",
            Self::FqCodel(_) => "fq_codel",
            Self::PfifoFast => "pfifo_fast",
            Self::Noqueue => "noqueue",
            Self::Blackhole => "blackhole",
            Self::Ingress => "ingress",
            Self::Clsact => "clsact",
            Self::Other { name, .. } => name,
        }
    }

    /// The build option without which a kernel does not know the kind; none for kinds nslab has not heard of.
    pub fn config_option(&self) -> Option<&'static str> {
        Some(match self.name() {
            "netem" => "CONFIG_NET_SCH_NETEM",
            "tbf" => "CONFIG_NET_SCH_TBF",
            "htb" => "CONFIG_NET_SCH_HTB",
            "pfifo" | "bfifo" => "CONFIG_NET_SCH_FIFO",
            "prio" => "CONFIG_NET_SCH_PRIO",
            "fq_codel" => "CONFIG_NET_SCH_FQ_CODEL",
            "ingress" | "clsact" => "CONFIG_NET_SCH_INGRESS",
            "pfifo_fast" | "noqueue" | "blackhole" => "CONFIG_NET_SCHED",
            "sfq" => "CONFIG_NET_SCH_SFQ",
            "cake" => "CONFIG_NET_SCH_CAKE",
            "fq" => "CONFIG_NET_SCH_FQ",
            "red" => "CONFIG_NET_SCH_RED",
            _ => return None,
        })
    }
}

/// Settings of netem (tc-netem(8)). Setting them replaces all that were there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Netem {
    /// How long packets are held.
    pub delay: Duration,
    /// By how much that varies, to either side.
    pub jitter: Duration,
    /// How much one packet's delay depends on that of the packet before.
    pub delay_correlation: Share,
    /// How the delay is spread by the jitter; evenly if none is given. The kernel does not show it (`netem_dump`,
    /// `net/sched/sch_netem.c`): read back it is never there. One that is set stays until another is, or the qdisc is
    /// made anew (`netem_change`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// Packets lost.
    pub loss: Share,
    /// How much that depends on the packet before.
    pub loss_correlation: Share,
    /// Packets sent twice.
    pub duplicate: Share,
    /// How much that depends on the packet before.
    pub duplicate_correlation: Share,
    /// Packets sent at once, before those that are held.
    pub reorder: Share,
    /// How much that depends on the packet before.
    pub reorder_correlation: Share,
    /// Only each so-manieth packet is a candidate for that; 0 if none is.
    pub reorder_gap: u32,
    /// Packets with one bit turned over.
    pub corrupt: Share,
    /// How much that depends on the packet before.
    pub corrupt_correlation: Share,
    /// Bytes in a second; 0 for as many as come.
    pub rate: u64,
    /// The most packets that are held; what comes then is dropped.
    pub limit: u32,
    /// What its random numbers begin with (`TCA_NETEM_PRNG_SEED`, since Linux 6.6); without it, and on older kernels,
    /// chance. Read back it is always there on kernels that know it.
    pub seed: Option<u64>,
}

impl Default for Netem {
    /// Does nothing, with tc(8)'s limit of 1000 packets.
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            delay_correlation: Share::NONE,
            distribution: None,
            loss: Share::NONE,
            loss_correlation: Share::NONE,
            duplicate: Share::NONE,
            duplicate_correlation: Share::NONE,
            reorder: Share::NONE,
            reorder_correlation: Share::NONE,
            reorder_gap: 0,
            corrupt: Share::NONE,
            corrupt_correlation: Share::NONE,
            rate: 0,
            limit: 1000,
            seed: None,
        }
    }
}

/// Settings of a token bucket (tc-tbf(8)), without a peak rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tbf {
    /// Bytes in a second, link-layer header included.
    pub rate: u64,
    /// How long the bucket lasts at this rate: what may go at once. A packet that does not fit is split if it can be,
    /// and dropped if not. The kernel keeps at most 2³² ns.
    pub burst: Ticks,
    /// Bytes that may wait.
    pub limit: u32,
}

/// Settings of the whole of a hierarchical token bucket (tc-htb(8)); those of its classes are
/// [`HtbClass`](super::HtbClass).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Htb {
    /// The minor number of the class for packets that no filter puts into one; 0 lets them go at once.
    pub default_class: u32,
    /// How many packets without a class may wait for the interface; the interface's own queue length if not given.
    pub direct_limit: Option<u32>,
}

/// Settings of a plain queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fifo {
    /// Packets or bytes that may wait.
    pub limit: u32,
}

/// Settings of bands by priority (tc-prio(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prio {
    /// How many, 2 to 16.
    pub bands: u32,
    /// The band of each of the kernel's 16 priorities.
    pub map: [u8; 16],
}

/// Settings of fair queueing with controlled delay (tc-fq_codel(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FqCodel {
    /// Packets that may wait.
    pub limit: u32,
    /// Flows that are told apart.
    pub flows: u32,
    /// Bytes that a flow may send in its turn.
    pub quantum: u32,
    /// The delay aimed at, in µs.
    pub target: u32,
    /// The time over which it is measured, in µs.
    pub interval: u32,
    /// Marks instead of drops.
    pub ecn: bool,
}
