//! Stateful objects and flowtables.

use serde::{Deserialize, Serialize};

use super::data::{Data, RawAttribute};
use super::expr::{Limit, ObjectKind, Quota, Synproxy};
use super::family::{Family, Hook};
use super::flags::flags;

/// A stateful object: something with a state and a name that rules and maps refer to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its name, at most 255 bytes, unique among objects of its kind.
    pub name: String,
    /// The kernel's number for it; 0 for one that is to be made.
    #[serde(default)]
    pub handle: u64,
    /// What it is.
    pub content: ObjectContent,
    /// What its maker notes on it.
    #[serde(default)]
    pub user_data: Data,
    /// What else the kernel tells of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<RawAttribute>,
}

impl Object {
    /// An object.
    pub fn new(name: impl Into<String>, content: ObjectContent) -> Self {
        Self { name: name.into(), handle: 0, content, user_data: Data::empty(), other: Vec::new() }
    }
}

/// What a stateful object is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectContent {
    /// Packets and bytes counted.
    Counter {
        /// Packets so far.
        packets: u64,
        /// Bytes so far.
        bytes: u64,
    },
    /// A number of bytes to be used up.
    Quota(Quota),
    /// A rate.
    Limit(Limit),
    /// A number of connections.
    Connlimit {
        /// How many.
        count: u32,
        /// Goes on if there are more.
        inverted: bool,
    },
    /// A conntrack helper.
    CtHelper {
        /// The kernel's name of it, as `ftp`.
        name: String,
        /// Of which family; [`Family::Inet`] is both.
        family: Family,
        /// IP protocol.
        protocol: u8,
    },
    /// Conntrack timeouts.
    CtTimeout {
        /// Of which family.
        family: Family,
        /// IP protocol.
        protocol: u8,
        /// Seconds by the protocol's state, as the kernel numbers them (`CTA_TIMEOUT_TCP_*`, `CTA_TIMEOUT_UDP_*` …).
        seconds: Vec<(u16, u32)>,
    },
    /// A conntrack expectation.
    CtExpectation {
        /// Of which family.
        family: Family,
        /// IP protocol.
        protocol: u8,
        /// Port that is expected.
        port: u16,
        /// Milliseconds for which it is expected.
        timeout: u32,
        /// How many at once.
        size: u8,
    },
    /// A security context.
    SecurityMark(String),
    /// A SYN proxy.
    Synproxy(Synproxy),
    /// Something that this crate does not know (wholly).
    Unknown {
        /// What it is.
        kind: ObjectKind,
        /// What `NFTA_OBJ_DATA` holds.
        data: Data,
    },
}

impl ObjectContent {
    /// What it is.
    pub const fn kind(&self) -> ObjectKind {
        match self {
            Self::Counter { .. } => ObjectKind::Counter,
            Self::Quota(_) => ObjectKind::Quota,
            Self::Limit(_) => ObjectKind::Limit,
            Self::Connlimit { .. } => ObjectKind::Connlimit,
            Self::CtHelper { .. } => ObjectKind::CtHelper,
            Self::CtTimeout { .. } => ObjectKind::CtTimeout,
            Self::CtExpectation { .. } => ObjectKind::CtExpectation,
            Self::SecurityMark(_) => ObjectKind::SecurityMark,
            Self::Synproxy(_) => ObjectKind::Synproxy,
            Self::Unknown { kind, .. } => *kind,
        }
    }
}

/// A flowtable: connections that it has taken over pass the hooks by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flowtable {
    /// Its name, at most 255 bytes.
    pub name: String,
    /// The kernel's number for it; 0 for one that is to be made.
    #[serde(default)]
    pub handle: u64,
    /// Where it stands; [`Hook::Ingress`].
    pub hook: Hook,
    /// In which order, lowest first.
    pub priority: i32,
    /// Of which devices.
    #[serde(default)]
    pub devices: Vec<String>,
    /// How it is.
    #[serde(default)]
    pub flags: FlowtableFlags,
    /// What else the kernel tells of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<RawAttribute>,
}

flags! {
    /// How a flowtable is (`enum nft_flowtable_flags`).
    FlowtableFlags {
        /// Carried out by the device.
        HW_OFFLOAD = 0x1,
        /// Connections' counters go on.
        COUNTER = 0x2,
    }
}
