//! The order in which many pairs are pinged.
//!
//! - A pair's second direction comes a good while after its first: by then the destination knows the source's MAC
//!   from the first, and need not ask the whole wire for it, which is what costs most in a matrix.
//! - No host is in many pairs that come one after the other.
//! - Pairs are grouped into tiles, blocks of sources times blocks of destinations, so that the neighbour entries of one
//!   tile belong to few namespaces and can be made and taken away in a few calls.

use super::Probe;

/// Namespaces in a block, at most: a tile has up to 32 · 32 pairs, twice that in probes and in neighbour entries.
const BLOCK: usize = 32;
/// Probes in a tile where the destinations are nobody's that we know.
const UNKNOWN: usize = 1024;

/// Groups probes, given by their indexes, into tiles. `owner` tells the namespace that has a probe's destination.
pub(super) fn tiles(
    probes: &[Probe],
    namespaces: usize,
    owner: impl Fn(&Probe) -> Option<usize>,
) -> Vec<Vec<u32>> {
    let blocks = namespaces.div_ceil(BLOCK).max(1);
    let block = namespaces.div_ceil(blocks).max(1);
    let mut keyed: Vec<_> = probes
        .iter()
        .zip(0_u32..)
        .map(|(probe, index)| match owner(probe) {
            Some(to) => {
                let (low, high) = (probe.source.min(to), probe.source.max(to));
                // In a tile: first everything from low to high, by distance, then the other way.
                ((0, low / block, high / block), (probe.source > to, high - low, low), index)
            }
            None => ((1, index as usize / UNKNOWN, 0), (false, 0, 0), index),
        })
        .collect();
    keyed.sort_unstable();
    keyed.chunk_by(|a, b| a.0 == b.0).map(|tile| tile.iter().map(|&(_, _, index)| index).collect()).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn matrix(hosts: usize) -> Vec<Probe> {
        let address = |host: usize| IpAddr::from(u128::from(host as u64).to_be_bytes());
        let pairs = (0..hosts).flat_map(|from| (0..hosts).map(move |to| (from, to)));
        pairs.filter(|(from, to)| from != to).map(|(from, to)| Probe::new(from, address(to))).collect()
    }

    fn owner(probe: &Probe) -> Option<usize> {
        let IpAddr::V6(address) = probe.destination else { return None };
        usize::try_from(u128::from(address)).ok()
    }

    #[test]
    fn every_probe_is_in_one_tile() {
        for hosts in [2, 3, 31, 32, 33, 100, 130] {
            let probes = matrix(hosts);
            let tiles = tiles(&probes, hosts, owner);
            let mut all: Vec<_> = tiles.concat();
            all.sort_unstable();
            assert_eq!(all, (0..u32::try_from(probes.len()).unwrap()).collect::<Vec<_>>());
            assert!(tiles.iter().all(|tile| tile.len() <= 2 * BLOCK * BLOCK));
        }
        assert_eq!(tiles(&matrix(50), 50, |_| None).len(), 50_usize * 49 / UNKNOWN + 1);
    }

    #[test]
    fn both_directions_are_in_one_tile_and_apart() {
        let probes = matrix(100);
        for tile in tiles(&probes, 100, owner) {
            let pairs: Vec<_> = tile
                .iter()
                .map(|&index| (probes[index as usize].source, owner(&probes[index as usize]).unwrap()))
                .collect();
            for (place, &(from, to)) in pairs.iter().enumerate() {
                let back = pairs.iter().position(|&pair| pair == (to, from)).expect("the other direction");
                assert!(place.abs_diff(back) >= pairs.len() / 2 - 1);
            }
        }
    }
}
