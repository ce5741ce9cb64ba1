//! Which distribution a netem draws its delays from, written where it can be read back.
//!
//! The kernel keeps the table and does not show it (`netem_dump`, `net/sched/sch_netem.c`). The limit of packets is
//! chosen by nslab and has room for a little more, so its remainder by four says it.

use nslab_kernel::qdisc::Distribution;

const ALL: [Option<Distribution>; 4] =
    [None, Some(Distribution::Normal), Some(Distribution::Pareto), Some(Distribution::ParetoNormal)];

/// A limit of at least `limit` that says so.
pub(super) fn written(limit: u32, distribution: Option<Distribution>) -> u32 {
    let place = ALL.iter().position(|one| *one == distribution).unwrap_or(0);
    limit.next_multiple_of(4) + u32::try_from(place).unwrap_or(0)
}

/// What a limit that nslab chose says.
pub(super) fn read(limit: u32) -> Option<Distribution> {
    ALL[(limit % 4) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for limit in [0, 1, 2, 3, 4, 1833, 50_000_000] {
            for one in ALL {
                let marked = written(limit, one);
                assert_eq!(read(marked), one);
                assert!((limit..limit + 8).contains(&marked));
            }
        }
    }
}
