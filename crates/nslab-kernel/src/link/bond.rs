//! Bonds and their members: settings and state, and those on the wire (`IFLA_BOND_*`, `IFLA_BOND_SLAVE_*`;
//! `include/uapi/linux/if_link.h`).

use serde::{Deserialize, Serialize};

use super::IfIndex;
use crate::abi::*;
use crate::netlink::{Attributes, MessageWriter};

/// A bond's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bond {
    /// How its members share the work.
    pub mode: BondMode,
    /// Every how many milliseconds its members' carriers are looked at; 0 is never.
    pub miimon: u32,
    /// The member that is used whenever it can be, in the modes that [have one](BondMode::has_primary). The kernel keeps
    /// its name, and shows it as long as the interface of that name is a member.
    pub primary: Option<IfIndex>,
}

/// `IFLA_BOND_MODE` (`include/uapi/linux/if_bonding.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BondMode {
    /// One after the other.
    #[serde(rename = "balance-rr")]
    BalanceRr,
    /// One at a time.
    #[serde(rename = "active-backup")]
    ActiveBackup,
    /// By addresses.
    #[serde(rename = "balance-xor")]
    BalanceXor,
    /// All at once.
    #[serde(rename = "broadcast")]
    Broadcast,
    /// As LACP agrees (IEEE 802.1AX).
    #[serde(rename = "802.3ad")]
    Lacp,
    /// By load, sending only.
    #[serde(rename = "balance-tlb")]
    BalanceTlb,
    /// By load, both ways.
    #[serde(rename = "balance-alb")]
    BalanceAlb,
}

impl BondMode {
    /// All of them, by the kernel's number.
    pub const ALL: [Self; 7] = [
        Self::BalanceRr,
        Self::ActiveBackup,
        Self::BalanceXor,
        Self::Broadcast,
        Self::Lacp,
        Self::BalanceTlb,
        Self::BalanceAlb,
    ];

    /// The name it has in ip(8).
    pub fn name(self) -> &'static str {
        match self {
            Self::BalanceRr => "balance-rr",
            Self::ActiveBackup => "active-backup",
            Self::BalanceXor => "balance-xor",
            Self::Broadcast => "broadcast",
            Self::Lacp => "802.3ad",
            Self::BalanceTlb => "balance-tlb",
            Self::BalanceAlb => "balance-alb",
        }
    }

    /// Whether one of the members can be preferred (`BOND_OPT_PRIMARY`, `drivers/net/bonding/bond_options.c`).
    pub fn has_primary(self) -> bool {
        matches!(self, Self::ActiveBackup | Self::BalanceTlb | Self::BalanceAlb)
    }
}

/// What a bond makes of one of its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BondPort {
    /// The bond sends by it and takes what comes in by it (`BOND_STATE_ACTIVE`).
    pub active: bool,
    /// The bond has seen that it has carrier (`BOND_LINK_UP`), which is when it next looks.
    pub link_up: bool,
    /// The state that LACP has agreed on: the bits of a LACPDU's `Actor_State` (IEEE 802.1AX, 6.4.2.3); only in that mode.
    pub lacp: Option<u8>,
}

impl BondPort {
    /// The bit of [`BondPort::lacp`] by which both ends know that the other one takes frames (`LACP_STATE_DISTRIBUTING`,
    /// `include/net/bond_3ad.h`).
    pub const DISTRIBUTING: u8 = 0x20;

    /// Reads `IFLA_INFO_SLAVE_DATA`.
    pub(super) fn parse(data: &Attributes<'_>) -> Self {
        let byte = |kind| data.get(kind).and_then(|value| value.u8());
        Self {
            active: byte(IFLA_BOND_SLAVE_STATE) == Some(BOND_STATE_ACTIVE),
            link_up: byte(IFLA_BOND_SLAVE_MII_STATUS) == Some(BOND_LINK_UP),
            lacp: byte(IFLA_BOND_SLAVE_AD_ACTOR_OPER_PORT_STATE),
        }
    }
}

pub(super) fn write(data: &mut MessageWriter<'_>, bond: Bond) {
    let mode = BondMode::ALL.iter().position(|mode| *mode == bond.mode).unwrap_or_default();
    data.u8(IFLA_BOND_MODE, u8::try_from(mode).unwrap_or_default());
    data.u32(IFLA_BOND_MIIMON, bond.miimon);
    if let Some(primary) = bond.primary {
        data.u32(IFLA_BOND_PRIMARY, primary);
    }
}

pub(super) fn read(data: &Attributes<'_>) -> Option<Bond> {
    let mode = *BondMode::ALL.get(usize::from(data.get(IFLA_BOND_MODE)?.u8()?))?;
    let miimon = data.get(IFLA_BOND_MIIMON).and_then(|time| time.u32()).unwrap_or(0);
    let primary = data.get(IFLA_BOND_PRIMARY).and_then(|member| member.u32());
    Some(Bond { mode, miimon, primary })
}
