//! Tables, chains and rules.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::data::{Data, RawAttribute};
use super::expr::Expr;
use super::family::{Family, Hook};
use super::flags::flags;
use super::object::{Flowtable, Object};
use super::set::Set;

/// The name by which a table is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableId {
    /// Which packets it sees.
    pub family: Family,
    /// Its name, at most 255 bytes.
    pub name: String,
}

impl TableId {
    /// A table's name.
    pub fn new(family: Family, name: impl Into<String>) -> Self {
        Self { family, name: name.into() }
    }
}

/// As nft writes it: family, then name.
impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}

/// A table with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its family and name.
    pub id: TableId,
    /// The kernel's number for it; 0 for one that is to be made.
    #[serde(default)]
    pub handle: u64,
    /// How it is.
    #[serde(default)]
    pub flags: TableFlags,
    /// The netlink port of the program that owns it.
    #[serde(default)]
    pub owner: Option<u32>,
    /// What its maker notes on it ([`crate::nftables::UserData`]).
    #[serde(default)]
    pub user_data: Data,
    /// Its chains, in the order in which they were made.
    #[serde(default)]
    pub chains: Vec<Chain>,
    /// Its sets and maps, anonymous ones too.
    #[serde(default)]
    pub sets: Vec<Set>,
    /// Its stateful objects.
    #[serde(default)]
    pub objects: Vec<Object>,
    /// Its flowtables.
    #[serde(default)]
    pub flowtables: Vec<Flowtable>,
    /// What else the kernel tells of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<RawAttribute>,
}

impl Table {
    /// An empty table.
    pub fn new(family: Family, name: impl Into<String>) -> Self {
        Self {
            id: TableId::new(family, name),
            handle: 0,
            flags: TableFlags::empty(),
            owner: None,
            user_data: Data::empty(),
            chains: Vec::new(),
            sets: Vec::new(),
            objects: Vec::new(),
            flowtables: Vec::new(),
            other: Vec::new(),
        }
    }

    /// The chain of this name.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == name)
    }

    /// The set or map of this name.
    pub fn set(&self, name: &str) -> Option<&Set> {
        self.sets.iter().find(|set| set.name == name)
    }

    /// The object of this name.
    pub fn object(&self, name: &str) -> Option<&Object> {
        self.objects.iter().find(|object| object.name == name)
    }
}

flags! {
    /// How a table is (`enum nft_table_flags`).
    TableFlags {
        /// Its base chains are not evaluated.
        DORMANT = 0x1,
        /// It belongs to one program, and goes with it.
        OWNER = 0x2,
        /// It stays when its owner goes (Linux 6.9).
        PERSIST = 0x4,
    }
}

/// A chain with its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Its name, at most 255 bytes.
    pub name: String,
    /// The kernel's number for it; 0 for one that is to be made.
    #[serde(default)]
    pub handle: u64,
    /// Where packets come to it by themselves; none for a chain that is only jumped to.
    #[serde(default)]
    pub base: Option<BaseChain>,
    /// How it is.
    #[serde(default)]
    pub flags: ChainFlags,
    /// What its maker notes on it.
    #[serde(default)]
    pub user_data: Data,
    /// Its rules, in the order in which they are evaluated.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What else the kernel tells of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<RawAttribute>,
}

impl Chain {
    /// A chain that is only jumped to.
    pub fn regular(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            handle: 0,
            base: None,
            flags: ChainFlags::empty(),
            user_data: Data::empty(),
            rules: Vec::new(),
            other: Vec::new(),
        }
    }

    /// A chain that stands at a hook.
    pub fn base(name: impl Into<String>, base: BaseChain) -> Self {
        Self { base: Some(base), ..Self::regular(name) }
    }

    /// Whether it exists only for the jump to it, as nft's `jump { … }` makes one.
    pub fn is_anonymous(&self) -> bool {
        self.flags.contains(ChainFlags::BINDING)
    }
}

flags! {
    /// How a chain is (`enum nft_chain_flags`).
    ChainFlags {
        /// Its rules are carried out by the device.
        HW_OFFLOAD = 0x2,
        /// It exists only for the one jump to it.
        BINDING = 0x4,
    }
}

/// Where a base chain stands, and what it does with packets that no rule decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseChain {
    /// Which kind of work its rules do.
    pub kind: ChainKind,
    /// Where.
    pub hook: Hook,
    /// In which order among all that stand there, lowest first; connection tracking is at −200, and so on
    /// ([`priority`]).
    pub priority: i32,
    /// What becomes of packets that no rule decides.
    pub policy: Policy,
    /// Of which devices, for [`Hook::Ingress`] and [`Hook::Egress`].
    #[serde(default)]
    pub devices: Vec<String>,
    /// Packets and bytes that came to the policy, if they are counted.
    #[serde(default)]
    pub counters: Option<(u64, u64)>,
}

impl BaseChain {
    /// A chain that filters, at the usual priority, and accepts what no rule decides.
    pub fn filter(hook: Hook) -> Self {
        Self {
            kind: ChainKind::Filter,
            hook,
            priority: priority::FILTER,
            policy: Policy::Accept,
            devices: Vec::new(),
            counters: None,
        }
    }
}

/// Usual priorities of base chains (`enum nf_ip_hook_priorities`, `include/uapi/linux/netfilter_ipv4.h`).
pub mod priority {
    /// Before connections are tracked.
    pub const RAW: i32 = -300;
    /// Where connections are tracked.
    pub const CONNTRACK: i32 = -200;
    /// Where packets are changed.
    pub const MANGLE: i32 = -150;
    /// Where destinations are translated.
    pub const DSTNAT: i32 = -100;
    /// Where packets are filtered.
    pub const FILTER: i32 = 0;
    /// After the filters.
    pub const SECURITY: i32 = 50;
    /// Where sources are translated.
    pub const SRCNAT: i32 = 100;
}

/// Which kind of work the rules of a base chain do (`include/net/netfilter/nf_tables.h`, `enum nft_chain_types`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainKind {
    /// Pass and drop.
    Filter,
    /// Translate addresses; it sees only the first packet of each connection.
    Nat,
    /// As a filter; packets whose mark or addresses it changes are routed again.
    Route,
    /// Another.
    Other(String),
}

impl ChainKind {
    /// The kernel's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for ChainKind {
    fn from(name: String) -> Self {
        match name.as_str() {
            "filter" => Self::Filter,
            "nat" => Self::Nat,
            "route" => Self::Route,
            _ => Self::Other(name),
        }
    }
}

/// What a base chain does with packets that no rule decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// They pass.
    Accept,
    /// They are gone.
    Drop,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The kernel's number for it, unique within its table; 0 for one that is to be made.
    #[serde(default)]
    pub handle: u64,
    /// What is evaluated, in this order.
    pub expressions: Vec<Expr>,
    /// What its maker notes on it, as a comment ([`crate::nftables::UserData`]).
    #[serde(default)]
    pub user_data: Data,
    /// What else the kernel tells of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<RawAttribute>,
}

impl Rule {
    /// A rule of these expressions.
    pub fn new(expressions: impl IntoIterator<Item = Expr>) -> Self {
        Self {
            handle: 0,
            expressions: expressions.into_iter().collect(),
            user_data: Data::empty(),
            other: Vec::new(),
        }
    }

    /// Packets and bytes that its first counter has counted.
    pub fn counter(&self) -> Option<(u64, u64)> {
        self.expressions.iter().find_map(|expr| match expr {
            Expr::Counter { packets, bytes } => Some((*packets, *bytes)),
            _ => None,
        })
    }
}
