//! A fat-tree of routers: forwarding, a cable's addresses at both ends, a default route in each host, and in each router a
//! route with all its ways to each cable that it is not on.

use std::net::Ipv4Addr;
use std::time::Instant;

use super::{Batch, End, Floor, MOST_BYTES};
use crate::error::Result;
use crate::shape::{Cable, FatTree};

const LOOPBACK: u32 = 1;
const FIRST: u32 = 2;

/// A cable as one of its ends sees it.
#[derive(Debug, Clone, Copy)]
struct Port {
    index: u32,
    own: Ipv4Addr,
    other: usize,
    gateway: Ipv4Addr,
}

pub(super) fn build(floor: &mut Floor, tree: FatTree) -> Result<()> {
    let hosts = tree.hosts();
    let nodes = hosts + tree.routers();
    let cables = tree.cables();
    let mut held = super::make_all(floor, 0..hosts, || Ok(()))?;
    held.extend(super::make_all(floor, hosts..nodes, || {
        super::sysctl("/proc/sys/net/ipv4/ip_forward", "1")
    })?);
    let tricks = floor.tricks;
    let mut ports: Vec<Vec<Port>> = vec![Vec::new(); nodes];
    for cable in &cables {
        let (low, high) = cable.ends;
        for (own, other, address, gateway) in [
            (low, high, cable.addresses.0, cable.addresses.1),
            (high, low, cable.addresses.1, cable.addresses.0),
        ] {
            let index = FIRST + u32::try_from(ports[own].len()).unwrap_or(0);
            ports[own].push(Port { index, own: address, other, gateway });
        }
    }
    let start = Instant::now();
    let mut next = vec![0_usize; nodes];
    for cables in cables.chunk_by(|a, b| a.ends.0 == b.ends.0) {
        let mut batch = Batch::default();
        for &Cable { ends: (low, high), .. } in cables {
            let (one, other) = (ports[low][next[low]].index, ports[high][next[high]].index);
            (next[low], next[high]) = (next[low] + 1, next[high] + 1);
            let names = [one, other].map(|index| format!("eth{}", index - FIRST));
            let one_queue = tricks.one_queue;
            let end = End { index: one, name: &names[0], up: true, one_queue, ..End::default() };
            let namespace = Some(held[high].fd());
            batch.veth(&end, &End { index: other, name: &names[1], namespace, one_queue, ..End::default() });
        }
        held[cables[0].ends.0].socket.send(batch, "veth pairs")?;
    }
    let wired = Instant::now();
    for (node, held) in held.iter().enumerate() {
        let mut batch = Batch::default();
        batch.up(LOOPBACK);
        for port in &ports[node] {
            batch.address(port.index, port.own, 30);
            batch.up(port.index);
        }
        held.socket.send(batch, "a node's settings")?;
    }
    for (node, held) in held.iter().enumerate() {
        let mut batch = Batch::default();
        if node < hosts {
            let port = ports[node][0];
            batch.route(Ipv4Addr::UNSPECIFIED, 0, &[(port.gateway, port.index)]);
        } else {
            for (net, ways) in routes(node, &ports, &cables, hosts) {
                batch.route(net, 30, &ways);
                if batch.size() > MOST_BYTES {
                    held.socket.send(std::mem::take(&mut batch), "routes")?;
                }
            }
        }
        held.socket.send(batch, "routes")?;
    }
    floor.phases.pairs += wired - start;
    floor.phases.settings += wired.elapsed();
    Ok(())
}

/// A router's routes: the subnets that it is not on, each with the gateways of all shortest ways and their interfaces.
fn routes(
    router: usize,
    ports: &[Vec<Port>],
    cables: &[Cable],
    hosts: usize,
) -> Vec<(Ipv4Addr, Vec<(Ipv4Addr, u32)>)> {
    let distance = distances(router, ports, hosts);
    let near: Vec<(Port, Vec<usize>)> = ports[router]
        .iter()
        .filter(|port| port.other >= hosts)
        .map(|port| (*port, distances(port.other, ports, hosts)))
        .collect();
    let mut all = Vec::new();
    for cable in cables.iter().filter(|cable| cable.ends.0 != router && cable.ends.1 != router) {
        let far = |distance: &[usize]| distance[cable.ends.0].min(distance[cable.ends.1]);
        let ways = near.iter().filter(|(_, from)| far(from) < far(&distance));
        let ways = ways.map(|(port, _)| (port.gateway, port.index)).collect();
        all.push((Ipv4Addr::from_bits(cable.addresses.0.to_bits() & !3), ways));
    }
    all
}

/// How many cables each router is away; hosts lead nowhere.
fn distances(from: usize, ports: &[Vec<Port>], hosts: usize) -> Vec<usize> {
    let mut distance = vec![usize::MAX; ports.len()];
    distance[from] = 0;
    let mut round = vec![from];
    while !round.is_empty() {
        let mut next = Vec::new();
        for node in round {
            for port in ports[node].iter().filter(|port| port.other >= hosts) {
                if distance[port.other] == usize::MAX {
                    distance[port.other] = distance[node] + 1;
                    next.push(port.other);
                }
            }
        }
        round = next;
    }
    distance
}
