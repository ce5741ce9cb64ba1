//! Filters: which class a packet belongs to.

use serde::{Deserialize, Serialize};

use super::{Handle, Instruction};
use crate::link::IfIndex;

/// A filter of a qdisc or class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// The interface.
    pub link: IfIndex,
    /// What it belongs to.
    pub parent: Handle,
    /// The order in which filters are asked, lowest first.
    pub priority: u16,
    /// The `EtherType` of the packets that it is asked about; 3 (`ETH_P_ALL`) for all.
    pub protocol: u16,
    /// Its number among those of the same parent and priority.
    pub handle: u32,
    /// What it is.
    pub kind: FilterKind,
}

/// What a filter is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterKind {
    /// A program in classic BPF (`CONFIG_NET_CLS_BPF`).
    Bpf(BpfFilter),
    /// A kind that nslab does not know, or a program in extended BPF.
    Other {
        /// Its name.
        name: String,
        /// Its options as the kernel shows them.
        options: Vec<u8>,
    },
}

/// A program in classic BPF. It gives the class, 0 if the packet is none of its, or 2³² − 1 for
/// [`BpfFilter::class`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BpfFilter {
    /// The class that the program may give without naming it.
    pub class: Option<Handle>,
    /// The program, 1 to 4096 instructions (`BPF_MAXINSNS`).
    pub program: Vec<Instruction>,
}
