//! Interfaces' kinds in the kernel's terms and in the lab file's.

use std::time::Duration;

use nslab_kernel::link as kernel;
use nslab_kernel::link::{IfIndex, Link, LinkKind};
use nslab_topology::model::{self, BondMode, Encapsulation, InterfaceKind, IpvlanMode, MacvlanMode};
use nslab_types::IfName;

/// What is asked of the kernel for an interface of this kind; `index` finds the interfaces that it is on. A tun is not
/// made by netlink, but its kind is the same.
pub(crate) fn to_kernel(
    kind: &InterfaceKind,
    index: impl Fn(IfName) -> Result<IfIndex, String>,
) -> Result<LinkKind, String> {
    Ok(match kind {
        InterfaceKind::Vlan { id, protocol, .. } => LinkKind::Vlan(kernel::Vlan {
            id: *id,
            protocol: match protocol {
                model::VlanProtocol::Dot1Q => kernel::VlanProtocol::Dot1Q,
                model::VlanProtocol::Dot1Ad => kernel::VlanProtocol::Dot1Ad,
            },
        }),
        InterfaceKind::Vxlan { id, port, local, remotes, link, learning } => LinkKind::Vxlan(kernel::Vxlan {
            vni: *id,
            remote: remotes.first().filter(|_| remotes.len() == 1).copied(),
            local: *local,
            port: Some(*port),
            lower: link.map(&index).transpose()?,
            learning: Some(*learning),
            ttl: None,
        }),
        InterfaceKind::Geneve { id, port, remote } => {
            LinkKind::Geneve(kernel::Geneve { vni: *id, remote: Some(*remote), port: Some(*port), ttl: None })
        }
        InterfaceKind::Tunnel { encapsulation, local, remote, key, ttl, link } => {
            LinkKind::Tunnel(kernel::Tunnel {
                encapsulation: encapsulations()
                    .find(|(model, _)| model == encapsulation)
                    .map_or(kernel::Encapsulation::Gre, |(_, kernel)| kernel),
                local: *local,
                remote: Some(*remote),
                lower: link.map(&index).transpose()?,
                key: *key,
                ttl: Some(*ttl),
            })
        }
        InterfaceKind::Wireguard { .. } => LinkKind::Wireguard,
        InterfaceKind::Macvlan { mode, .. } => LinkKind::Macvlan(kernel::Macvlan {
            mode: match mode {
                MacvlanMode::Private => kernel::MacvlanMode::Private,
                MacvlanMode::Vepa => kernel::MacvlanMode::Vepa,
                MacvlanMode::Bridge => kernel::MacvlanMode::Bridge,
                MacvlanMode::Passthru => kernel::MacvlanMode::Passthru,
            },
        }),
        InterfaceKind::Ipvlan { mode, .. } => LinkKind::Ipvlan(kernel::Ipvlan {
            mode: match mode {
                IpvlanMode::L2 => kernel::IpvlanMode::L2,
                IpvlanMode::L3 => kernel::IpvlanMode::L3,
                IpvlanMode::L3s => kernel::IpvlanMode::L3s,
            },
            siblings: kernel::IpvlanSiblings::Bridge,
        }),
        InterfaceKind::Dummy => LinkKind::Dummy,
        InterfaceKind::Bond { mode, miimon, primary } => LinkKind::Bond(kernel::Bond {
            mode: bond_modes()
                .find(|(model, _)| model == mode)
                .map_or(kernel::BondMode::BalanceRr, |(_, kernel)| kernel),
            miimon: u32::try_from(miimon.as_millis()).unwrap_or(u32::MAX),
            primary: primary.map(&index).transpose()?,
        }),
        InterfaceKind::Bridge { stp } => {
            LinkKind::Bridge(kernel::Bridge { stp: Some(*stp), ..kernel::Bridge::default() })
        }
        InterfaceKind::Vrf { table } => LinkKind::Vrf(kernel::Vrf { table: *table }),
        InterfaceKind::Tun { tap, owner } => LinkKind::Tun(kernel::Tun {
            mode: if *tap { kernel::TunMode::Tap } else { kernel::TunMode::Tun },
            persistent: true,
            owner: *owner,
        }),
    })
}

/// The interface that one of this kind is made on (`IFLA_LINK`).
pub(crate) fn lower(kind: &InterfaceKind) -> Option<IfName> {
    match kind {
        InterfaceKind::Vlan { link, .. }
        | InterfaceKind::Macvlan { link, .. }
        | InterfaceKind::Ipvlan { link, .. } => Some(*link),
        _ => None,
    }
}

/// What a link is in the lab file's terms, as far as that is settled when it is made: without `WireGuard`'s peers and the
/// several remote ends of a VXLAN. None for what lab files cannot say. `name` gives the names of the namespace's links.
pub fn from_kernel(link: &Link, name: impl Fn(IfIndex) -> Option<IfName>) -> Option<InterfaceKind> {
    let lower = || link.lower.filter(|_| link.lower_nsid.is_none()).and_then(&name);
    Some(match link.kind.as_ref()? {
        LinkKind::Vlan(vlan) => InterfaceKind::Vlan {
            link: lower()?,
            id: vlan.id,
            protocol: match vlan.protocol {
                kernel::VlanProtocol::Dot1Q => model::VlanProtocol::Dot1Q,
                kernel::VlanProtocol::Dot1Ad => model::VlanProtocol::Dot1Ad,
            },
        },
        LinkKind::Vxlan(vxlan) => InterfaceKind::Vxlan {
            id: vxlan.vni,
            port: vxlan.port.unwrap_or_default(),
            local: vxlan.local,
            remotes: vxlan.remote.into_iter().collect(),
            link: vxlan.lower.and_then(&name),
            learning: vxlan.learning.unwrap_or(true),
        },
        LinkKind::Geneve(geneve) => InterfaceKind::Geneve {
            id: geneve.vni,
            port: geneve.port.unwrap_or_default(),
            remote: geneve.remote?,
        },
        LinkKind::Tunnel(tunnel) => InterfaceKind::Tunnel {
            encapsulation: encapsulations()
                .find(|(_, kernel)| *kernel == tunnel.encapsulation)
                .map(|(model, _)| model)?,
            local: tunnel.local,
            remote: tunnel.remote?,
            key: tunnel.key,
            ttl: tunnel.ttl.unwrap_or_default(),
            link: tunnel.lower.and_then(&name),
        },
        LinkKind::Wireguard => InterfaceKind::Wireguard { port: 0, peers: Vec::new() },
        LinkKind::Macvlan(macvlan) => InterfaceKind::Macvlan {
            link: lower()?,
            mode: match macvlan.mode {
                kernel::MacvlanMode::Private => MacvlanMode::Private,
                kernel::MacvlanMode::Vepa => MacvlanMode::Vepa,
                kernel::MacvlanMode::Bridge => MacvlanMode::Bridge,
                kernel::MacvlanMode::Passthru => MacvlanMode::Passthru,
                kernel::MacvlanMode::Source => return None,
            },
        },
        LinkKind::Ipvlan(ipvlan) => InterfaceKind::Ipvlan {
            link: lower()?,
            mode: match ipvlan.mode {
                kernel::IpvlanMode::L2 => IpvlanMode::L2,
                kernel::IpvlanMode::L3 => IpvlanMode::L3,
                kernel::IpvlanMode::L3s => IpvlanMode::L3s,
            },
        },
        LinkKind::Dummy => InterfaceKind::Dummy,
        LinkKind::Bond(bond) => InterfaceKind::Bond {
            mode: bond_modes().find(|(_, kernel)| *kernel == bond.mode).map(|(model, _)| model)?,
            miimon: Duration::from_millis(u64::from(bond.miimon)),
            primary: bond.primary.and_then(&name),
        },
        LinkKind::Bridge(bridge) => InterfaceKind::Bridge { stp: bridge.stp.unwrap_or_default() },
        LinkKind::Vrf(vrf) => InterfaceKind::Vrf { table: vrf.table },
        LinkKind::Tun(tun) if tun.persistent => {
            InterfaceKind::Tun { tap: tun.mode == kernel::TunMode::Tap, owner: tun.owner }
        }
        _ => return None,
    })
}

fn encapsulations() -> impl Iterator<Item = (Encapsulation, kernel::Encapsulation)> {
    let models = Encapsulation::WORDS.iter().map(|(_, model)| *model);
    models.filter_map(|model| {
        let same = kernel::Encapsulation::ALL.into_iter().find(|kernel| kernel.name() == model.name())?;
        Some((model, same))
    })
}

fn bond_modes() -> impl Iterator<Item = (BondMode, kernel::BondMode)> {
    let models = BondMode::WORDS.iter().map(|(_, model)| *model);
    models.filter_map(|model| {
        let same = kernel::BondMode::ALL.into_iter().find(|kernel| kernel.name() == model.name())?;
        Some((model, same))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_equal_in_the_kernel() {
        assert_eq!(encapsulations().count(), Encapsulation::WORDS.len());
        assert_eq!(bond_modes().count(), BondMode::WORDS.len());
    }
}
