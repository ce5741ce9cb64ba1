//! Families and hooks: where chains stand.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which packets a table sees (`NFPROTO_*`, `include/uapi/linux/netfilter.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// ARP.
    Arp,
    /// What goes over bridges.
    Bridge,
    /// What goes in and out by single devices.
    Netdev,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 6] = [Self::Inet, Self::Ip, Self::Ip6, Self::Arp, Self::Bridge, Self::Netdev];

    /// The kernel's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Arp => 3,
            Self::Netdev => 5,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }

    /// The family of the kernel's number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.number() == number)
    }

    /// nft's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Arp => "arp",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in a packet's way a base chain stands. The kernel's number for it depends on the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Right after a device took it in; before fragments are put together.
    Ingress,
    /// Before it is routed.
    Prerouting,
    /// On its way to this namespace itself.
    Input,
    /// On its way through.
    Forward,
    /// Made by this namespace itself.
    Output,
    /// After it was routed, before it leaves.
    Postrouting,
    /// Right before a device sends it.
    Egress,
    /// Another number.
    Other(u32),
}

impl Hook {
    /// `enum nf_inet_hooks` (also for bridges, `include/uapi/linux/netfilter_bridge.h`), by number.
    const INET: [Hook; 6] =
        [Self::Prerouting, Self::Input, Self::Forward, Self::Output, Self::Postrouting, Self::Ingress];
    /// `NF_ARP_*` (`include/uapi/linux/netfilter_arp.h`).
    const ARP: [Hook; 3] = [Self::Input, Self::Output, Self::Forward];
    /// `enum nf_dev_hooks`.
    const NETDEV: [Hook; 2] = [Self::Ingress, Self::Egress];

    const fn of(family: Family) -> &'static [Hook] {
        match family {
            Family::Inet | Family::Ip | Family::Ip6 | Family::Bridge => &Self::INET,
            Family::Arp => &Self::ARP,
            Family::Netdev => &Self::NETDEV,
        }
    }

    /// The kernel's number in this family; none if the family has no such hook.
    pub fn number(self, family: Family) -> Option<u32> {
        match self {
            Self::Other(number) => Some(number),
            hook => {
                let at = Self::of(family).iter().position(|&other| other == hook)?;
                u32::try_from(at).ok()
            }
        }
    }

    /// The hook of the kernel's number in this family.
    pub fn from_number(number: u32, family: Family) -> Self {
        let known = usize::try_from(number).ok().and_then(|at| Self::of(family).get(at));
        known.copied().unwrap_or(Self::Other(number))
    }

    /// nft's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Egress => "egress",
            Self::Other(_) => "unknown",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_survive_their_numbers() {
        for family in Family::ALL {
            assert_eq!(Family::from_number(family.number()), Some(family));
            for number in 0..8 {
                assert_eq!(Hook::from_number(number, family).number(family), Some(number));
            }
        }
        assert_eq!(Hook::Egress.number(Family::Netdev), Some(1));
        assert_eq!(Hook::Prerouting.number(Family::Arp), None);
        assert_eq!(Hook::Forward.number(Family::Arp), Some(2));
    }
}
