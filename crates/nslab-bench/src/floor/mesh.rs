//! Routers, each with a cable to each other.

use std::time::Instant;

use super::{Batch, End, Floor, MOST_BYTES};
use crate::error::Result;
use crate::shape::{Cable, cables};

const LOOPBACK: u32 = 1;

/// The interface of a router that leads to another, given both from 0.
fn index(of: usize, to: usize) -> u32 {
    u32::try_from(if to > of { to + 1 } else { to + 2 }).unwrap_or(0)
}

pub(super) fn build(floor: &mut Floor, routers: usize) -> Result<()> {
    let held = super::make_all(floor, 0..routers, || super::sysctl("/proc/sys/net/ipv4/ip_forward", "1"))?;
    let tricks = floor.tricks;
    let cables = cables(routers);
    let names: Vec<String> = (0..routers).map(Cable::interface_to).collect();
    let start = Instant::now();
    for cables in cables.chunk_by(|a, b| a.ends.0 == b.ends.0) {
        let mut batch = Batch::default();
        for &Cable { ends: (low, high), .. } in cables {
            let one_queue = tricks.one_queue;
            let end =
                End { index: index(low, high), name: &names[high], up: true, one_queue, ..End::default() };
            let namespace = Some(held[high].fd());
            let peer =
                End { index: index(high, low), name: &names[low], namespace, one_queue, ..End::default() };
            // Up at once would come before what keeps it quiet.
            batch.veth(&End { up: !tricks.quiet_hosts, ..end }, &peer);
            if batch.size() > MOST_BYTES {
                held[low].socket.send(std::mem::take(&mut batch), "veth pairs")?;
            }
        }
        if let Some(first) = cables.first() {
            held[first.ends.0].socket.send(batch, "veth pairs")?;
        }
    }
    let wired = Instant::now();
    let settings = |router: usize| -> Result<()> {
        let mut batch = Batch::default();
        batch.up(LOOPBACK);
        for Cable { ends: (low, high), addresses } in &cables {
            let (link, address, is_up) = match router {
                r if r == *low => (index(*low, *high), addresses.0, !tricks.quiet_hosts),
                r if r == *high => (index(*high, *low), addresses.1, false),
                _ => continue,
            };
            batch.address(link, address, 30);
            if tricks.quiet_hosts {
                batch.no_link_local(link);
            }
            if !is_up {
                batch.up(link);
            }
        }
        held[router].socket.send(batch, "a router's settings")
    };
    (0..routers).try_for_each(settings)?;
    floor.phases.pairs += wired - start;
    floor.phases.settings += wired.elapsed();
    Ok(())
}
