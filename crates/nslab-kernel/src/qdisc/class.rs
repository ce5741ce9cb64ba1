//! Classes of qdiscs.

use serde::{Deserialize, Serialize};

use super::{Handle, Statistics, Ticks};
use crate::link::IfIndex;

/// A class of a qdisc.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// The interface.
    pub link: IfIndex,
    /// Its name.
    pub handle: Handle,
    /// The class or qdisc that it belongs to; [`Handle::ROOT`] if it is not below another class.
    pub parent: Handle,
    /// The qdisc that hangs in it, if it has a name.
    pub leaf: Option<Handle>,
    /// What it is.
    pub kind: ClassKind,
    /// What went through it.
    pub statistics: Statistics,
}

/// What a class is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassKind {
    /// Of a hierarchical token bucket.
    Htb(HtbClass),
    /// Of a qdisc whose classes nslab does not know.
    Other {
        /// The qdisc's kind.
        name: String,
        /// Its options as the kernel shows them.
        options: Vec<u8>,
    },
}

/// Settings of a class of a hierarchical token bucket (tc-htb(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HtbClass {
    /// Bytes in a second that it has in any case.
    pub rate: u64,
    /// Bytes in a second that it has at most.
    pub ceiling: u64,
    /// How long its bucket lasts at the rate.
    pub burst: Ticks,
    /// How long its bucket lasts at the ceiling.
    pub ceiling_burst: Ticks,
    /// Bytes that it may send in its turn. The kernel derives it from the rate if it is 0, and complains in its log if
    /// what comes out is below 1000 or above 200000.
    pub quantum: u32,
    /// Lower goes first, 0 to 7.
    pub priority: u32,
}
