//! What expressions are made of.

use serde::{Deserialize, Serialize};

use super::bits::{LogFlags, NatFlags};
use super::{Expr, LogLevel, ObjectKind, RejectIcmpx};
use crate::nftables::data::{Data, Register};
use crate::nftables::family::Family;

/// What [`Expr::Bitwise`] calculates.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BitwiseOp {
    /// `(source & mask) ^ xor`, which can express and, or and xor with fixed values (`NFT_BITWISE_MASK_XOR`).
    MaskXor {
        /// The mask.
        mask: Data,
        /// What is turned round then.
        xor: Data,
    },
    /// To the left by so many bits; words of four bytes in the machine's order, the first being the highest.
    ShiftLeft(u32),
    /// To the right.
    ShiftRight(u32),
    /// And, or, xor (3, 4, 5) with another register (Linux 6.13).
    Register {
        /// Its number (`enum nft_bitwise_ops`).
        op: u32,
        /// The other register.
        other: Register,
    },
}

/// A connection's direction (`enum ip_conntrack_dir`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CtDirection {
    /// That of its first packet.
    Original,
    /// That of the answer.
    Reply,
}

/// What becomes of what a lookup finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookupInto {
    /// Nothing: it is only asked whether the set holds it.
    Nothing,
    /// It is the verdict.
    Verdict,
    /// It goes into a register.
    Register(Register),
}

/// Registers that hold the least and the greatest of what may be chosen; the same twice for one choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RegisterRange {
    /// The least.
    pub first: Register,
    /// The greatest.
    pub last: Register,
}

impl RegisterRange {
    /// No choice: what this register holds.
    pub const fn one(register: Register) -> Self {
        Self { first: register, last: register }
    }
}

/// What [`Expr::Hash`] hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashKind {
    /// A register (`jhash`).
    Jenkins {
        /// Which.
        source: Register,
        /// How many bytes of it.
        len: u32,
        /// The start; none lets the kernel choose one.
        seed: Option<u32>,
    },
    /// The packet's addresses, ports and protocol, alike in both directions (`symhash`).
    Symmetric,
}

/// See [`Expr::Dynset`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dynset {
    /// The set's name.
    pub set: String,
    /// 0 add, 1 add or renew, 2 take out (`enum nft_dynset_ops`).
    pub op: u32,
    /// The element.
    pub key: Register,
    /// What a map is to have for it.
    pub data: Option<Register>,
    /// After how many milliseconds the element goes; none is the set's own timeout.
    pub timeout: Option<u64>,
    /// Goes on if the set held it not (`NFT_DYNSET_F_INV`).
    pub inverted: bool,
    /// What comes with the element, as a limit of its own.
    pub expressions: Vec<Expr>,
}

/// See [`Expr::Objref`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objref {
    /// An object by its name.
    Named {
        /// What it is.
        kind: ObjectKind,
        /// Its name.
        name: String,
    },
    /// The object that a map has for a register.
    Map {
        /// The map's name.
        set: String,
        /// The register.
        source: Register,
    },
}

/// See [`Expr::Limit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limit {
    /// How many in each `seconds`.
    pub rate: u64,
    /// The length of time, as 1, 60, 3600, 86400 or 604800.
    pub seconds: u64,
    /// How many more at once.
    pub burst: u32,
    /// Bytes are counted rather than packets.
    pub bytes: bool,
    /// Goes on if the rate is exceeded.
    pub inverted: bool,
}

/// See [`Expr::Quota`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Quota {
    /// How many bytes.
    pub bytes: u64,
    /// How many of them are used.
    pub consumed: u64,
    /// `NFT_QUOTA_F_*`: 1 goes on once they are used up, 2 they are.
    pub flags: u32,
}

/// See [`Expr::Log`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Log {
    /// What the line starts with; at most 127 bytes.
    pub prefix: Option<String>,
    /// How serious; of the kernel's log only.
    pub level: Option<LogLevel>,
    /// What else is shown; of the kernel's log only.
    pub flags: LogFlags,
    /// To programs that listen to this group (`nfnetlink_log`) rather than to the kernel's log.
    pub group: Option<u16>,
    /// How many bytes of the packet they get.
    pub snaplen: Option<u32>,
    /// How many packets are gathered before they are sent.
    pub threshold: Option<u16>,
}

/// See [`Expr::Reject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reject {
    /// ICMP (IPv4) or `ICMPv6` (IPv6) "destination unreachable" with this code.
    Icmp(u8),
    /// The same, for tables of both families.
    Icmpx(RejectIcmpx),
    /// A TCP reset.
    TcpReset,
}

/// See [`Expr::Nat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Nat {
    /// The destination rather than the source.
    pub destination: bool,
    /// Of the addresses; [`Family::Inet`] where there are none and both may come.
    pub family: Family,
    /// The new address.
    pub addresses: Option<RegisterRange>,
    /// The new port.
    pub ports: Option<RegisterRange>,
    /// How.
    pub flags: NatFlags,
}

/// See [`Expr::Synproxy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Synproxy {
    /// Largest segment that is told.
    pub mss: u16,
    /// Window scale that is told.
    pub window_scale: u8,
    /// `NF_SYNPROXY_OPT_*`: 1 MSS, 2 window scale, 4 SACK, 8 timestamps.
    pub flags: u32,
}

/// See [`Expr::Queue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueNumber {
    /// One, or one of several.
    Fixed {
        /// The first.
        first: u16,
        /// How many.
        total: u16,
    },
    /// The one whose number a register holds.
    Register(Register),
}
