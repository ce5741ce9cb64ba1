//! Which subnets and interfaces ways out have.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nslab_topology::model::Topology;
use nslab_types::{IfName, MacAddr};

use super::host::Host;
use super::{Carrier, HOST, WayOut, cannot};
use crate::error::Result;
use crate::joined::Ledger;
use crate::paths::LabPaths;

/// Where IPv4 subnets are looked for, one after the other: ends of private blocks that home routers and engines seldom
/// use (RFC 1918), and the block between carriers and customers (RFC 6598).
const POOLS: [(Ipv4Net, u32); 3] = [
    (Ipv4Net::new_assert(std::net::Ipv4Addr::new(192, 168, 192, 0), 18), 1 << 12),
    (Ipv4Net::new_assert(std::net::Ipv4Addr::new(172, 28, 0, 0), 14), 1 << 16),
    (Ipv4Net::new_assert(std::net::Ipv4Addr::new(100, 64, 0, 0), 10), 1 << 20),
];
/// `fd` and "nslu" in ASCII (RFC 4193).
const POOL_IPV6: Ipv6Net =
    Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfd00, 0x6e73, 0x6c75, 0, 0, 0, 0, 0), 48);

/// Chooses; what is held already stays what it is as long as nothing of the lab or the host uses it.
pub(super) fn choose(topology: &Topology, host: &Host, ledger: &Ledger) -> Result<Vec<WayOut>> {
    let held: Vec<IfName> = ledger.all_of(HOST).flat_map(|held| held.links.iter().copied()).collect();
    let mut taken = host.prefixes(&held);
    taken.extend(topology.segments.iter().flat_map(|segment| segment.prefixes.iter().copied()));
    for node in &topology.nodes {
        taken.extend(node.loopback.iter().map(IpNet::trunc));
        taken.extend(node.routes.iter().map(|route| route.to).filter(|to| to.prefix_len() > 0));
    }
    let mut ways = Vec::new();
    for (place, node) in topology.nodes.iter().enumerate() {
        let Some(uplink) = &node.uplink else { continue };
        let name = format!("{}-{}", topology.name, node.name);
        let host_interface = IfName::shortened(&name)
            .map_err(|error| cannot(format!("{name} cannot name an interface: {error}"), "rename the lab"))?;
        let held: Vec<IpNet> = ledger
            .all_of(HOST)
            .flat_map(|held| &held.addresses)
            .filter(|(link, _)| *link == host_interface)
            .map(|(_, address)| address.trunc())
            .collect();
        let ipv6 = match uplink.ipv6 {
            Some(wanted) => wanted,
            None => !host.ways(true).is_empty() && Host::forwards_ipv6_by_interface(),
        };
        let seed = hash(&name);
        let none_free = |family: &str| {
            cannot(format!("no private {family} subnet is free for the way out of {}", node.name), "free one")
        };
        let mut way = WayOut {
            node: place,
            name: node.name.clone(),
            uplink: uplink.clone(),
            host_interface,
            macs: [format!("{}/{}:{}", topology.name, node.name, uplink.interface), format!("{name}@host")]
                .map(|seed| MacAddr::from_seed(&seed)),
            ipv4: None,
            ipv6: None,
            outside: Vec::new(),
            carrier: None,
        };
        if uplink.ipv4 {
            let net = held.iter().find_map(|held| match held {
                IpNet::V4(held) if is_free(IpNet::V4(*held), &taken) => Some(*held),
                _ => None,
            });
            let net = net.or_else(|| free_ipv4(seed, 30, &taken)).ok_or_else(|| none_free("IPv4"))?;
            taken.push(net.into());
            way.ipv4 = Some(net);
            way.outside.extend(host.ways(false));
        }
        if ipv6 {
            let net = held.iter().find_map(|held| match held {
                IpNet::V6(held) if POOL_IPV6.contains(held) && is_free(IpNet::V6(*held), &taken) => {
                    Some(*held)
                }
                _ => None,
            });
            let net = net.or_else(|| free_ipv6(seed, &taken)).ok_or_else(|| none_free("IPv6"))?;
            taken.push(net.into());
            way.ipv6 = Some(net);
            way.outside.extend(host.ways(true));
        }
        way.outside.sort_unstable();
        way.outside.dedup();
        ways.push(way);
    }
    Ok(ways)
}

/// Chooses for ways out that a program carries: a subnet each that the lab does not use.
pub(super) fn choose_carried(paths: &LabPaths, topology: &Topology, carrier: Carrier) -> Result<Vec<WayOut>> {
    let mut ways = choose(topology, &Host::default(), &Ledger::default())?;
    let mut taken: Vec<IpNet> =
        topology.segments.iter().flat_map(|segment| segment.prefixes.clone()).collect();
    for node in &topology.nodes {
        taken.extend(node.loopback.iter().map(IpNet::trunc));
        taken.extend(node.routes.iter().map(|route| route.to).filter(|to| to.prefix_len() > 0));
    }
    for way in ways.iter_mut().filter(|way| way.ipv4.is_some()) {
        let (held, held_ipv6) = super::user::subnets(paths, &way.name).unzip();
        let held = held.filter(|held| is_free((*held).into(), &taken));
        way.ipv4 = held.or_else(|| free_ipv4(hash(&way.name), 24, &taken));
        way.carrier = Some(carrier);
        taken.extend(way.ipv4.map(IpNet::from));
        let held_ipv6 = held_ipv6.flatten().filter(|held| is_free((*held).into(), &taken));
        way.ipv6 = carrier.ipv6(way.ipv6.map(|chosen| held_ipv6.unwrap_or(chosen)));
        if let Some(net) = way.ipv6.filter(|net| !is_free((*net).into(), &taken)) {
            return Err(cannot(
                format!("{} has {net} for IPv6, which the lab uses itself", carrier.program()),
                "use other addresses in the lab, or install pasta (the package passt)",
            ));
        }
        if carrier == Carrier::Pasta {
            taken.extend(way.ipv6.map(IpNet::from));
        }
    }
    Ok(ways)
}

fn is_free(net: IpNet, taken: &[IpNet]) -> bool {
    !taken.iter().any(|taken| taken.contains(&net) || net.contains(taken))
}

fn free_ipv4(seed: u64, length: u8, taken: &[IpNet]) -> Option<Ipv4Net> {
    POOLS.iter().find_map(|(pool, count)| {
        let count = &(count >> (30 - length));
        // More than the lab and the host can hold of it, and few enough to be looked through at once.
        let tries = (*count).min(1 << 13);
        (0..tries).find_map(|step| {
            let number = u32::try_from(seed % u64::from(*count)).ok()?.wrapping_add(step) % count;
            let net =
                Ipv4Net::new((u32::from(pool.network()) + (number << (32 - length))).into(), length).ok()?;
            is_free(net.into(), taken).then_some(net)
        })
    })
}

fn free_ipv6(seed: u64, taken: &[IpNet]) -> Option<Ipv6Net> {
    (0..1_u64 << 13).find_map(|step| {
        let number = u128::from(seed.wrapping_add(step) & 0xffff);
        let net = Ipv6Net::new((u128::from(POOL_IPV6.network()) + (number << 64)).into(), 64).ok()?;
        is_free(net.into(), taken).then_some(net)
    })
}

/// FNV-1a: the same in every run and on every machine.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_do_not_collide() {
        let mut taken: Vec<IpNet> = vec!["192.168.0.0/16".parse().unwrap(), "172.16.0.0/12".parse().unwrap()];
        let first = free_ipv4(7, 30, &taken).unwrap();
        assert!("100.64.0.0/10".parse::<Ipv4Net>().unwrap().contains(&first));
        taken.push(first.into());
        let second = free_ipv4(7, 30, &taken).unwrap();
        assert_ne!(first, second);
        taken.push("100.64.0.0/10".parse().unwrap());
        assert_eq!(free_ipv4(7, 30, &taken), None);
        assert_eq!(free_ipv4(7, 30, &[]), free_ipv4(7, 30, &[]));
        let v6 = free_ipv6(7, &[]).unwrap();
        assert_ne!(free_ipv6(7, &[v6.into()]), Some(v6));
    }
}
