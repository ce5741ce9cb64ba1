//! The smallest network in which something still holds.

use crate::network::Network;

/// Leaves out whole namespaces, then lines, as long as `holds` of the rest. `needed` namespaces stay, though their lines
/// may go.
pub fn shrink(network: &Network, mut holds: impl FnMut(&Network) -> bool) -> Network {
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
