//! The smallest network in which something still holds.

use std::time::{Duration, Instant};

use crate::network::Network;

/// After so long what there is is small enough.
const LIMIT: Duration = Duration::from_secs(40);

/// Leaves out whole namespaces, then lines, as long as it `holds` of the rest.
pub fn shrink(network: &Network, holds: impl Fn(&Network) -> bool) -> Network {
    let limit = Instant::now() + LIMIT;
    let holds = |network: &Network| Instant::now() < limit && holds(network);
    let mut network = network.clone();
    for space in (0..network.spaces).rev() {
        let mut fewer = network.clone();
        fewer.lines.retain(|line| line.space != space && !line.names(space));
        if fewer != network && holds(&fewer) {
            network = fewer;
        }
    }
    let mut step = network.lines.len().div_ceil(2).max(1);
    loop {
        let mut place = 0;
        let mut changed = false;
        while place < network.lines.len() {
            let mut fewer = network.clone();
            fewer.lines.drain(place..(place + step).min(network.lines.len()));
            if holds(&fewer) {
                network = fewer;
                changed = true;
            } else {
                place += step;
            }
        }
        if step == 1 && !changed {
            return network;
        }
        step = (step / 2).max(1);
    }
}
