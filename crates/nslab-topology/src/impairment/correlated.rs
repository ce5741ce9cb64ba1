//! What netem's correlation does to a share.

use super::{Chance, Share};

/// Cells into which the numbers from 0 to 1 are cut.
const CELLS: usize = 4096;

impl Chance {
    /// The share of packets to which it really happens.
    ///
    /// netem draws evenly and mixes each number with its last result by the correlation ρ: yₙ = (1 − ρ)·uₙ + ρ·yₙ₋₁
    /// (`get_crandom`, `net/sched/sch_netem.c`). It then happens if yₙ is at most the share; but y is not even any more.
    /// Its distribution is what that step leaves as it is, and is found by doing the step until nothing changes.
    pub fn effective(self) -> Share {
        let correlation = self.correlation().part();
        if correlation == 0.0 || correlation >= 0.999 {
            return self.share();
        }
        // How much of y is below each cell's end.
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let place = |cell: usize| cell as f64 / CELLS as f64;
        let mut below: Vec<f64> = (0..=CELLS).map(place).collect();
        for _ in 0..200 {
            // ∫ of it, so that each step is two look-ups.
            let mut integral = vec![0.0; CELLS + 1];
            for cell in 1..=CELLS {
                integral[cell] = integral[cell - 1] + f64::midpoint(below[cell - 1], below[cell]) * place(1);
            }
            let up_to = |x: f64| {
                if x <= 0.0 {
                    return 0.0;
                }
                if x >= 1.0 {
                    return integral[CELLS] + (x - 1.0);
                }
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 4096")]
                let cell = (x / place(1)) as usize;
                let (start, rest) = (integral[cell], x - place(cell));
                let slope = (below[cell + 1] - below[cell]) / place(1);
                start + below[cell] * rest + slope * rest * rest / 2.0
            };
            // P(y ≤ z) = ∫ P(y' ≤ (z − (1 − ρ)u) / ρ) du, over u from 0 to 1.
            let next: Vec<f64> = (0..=CELLS)
                .map(|cell| {
                    let z = place(cell);
                    let scale = correlation / (1.0 - correlation);
                    (scale * (up_to(z / correlation) - up_to((z - (1.0 - correlation)) / correlation)))
                        .min(1.0)
                })
                .collect();
            let moved = next.iter().zip(&below).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
            below = next;
            if moved < 1e-9 {
                break;
            }
        }
        let at = self.share().part() / place(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 4096")]
        let cell = (at as usize).min(CELLS - 1);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let rest = at - cell as f64;
        Share::new(below[cell] + (below[cell + 1] - below[cell]) * rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by doing what the kernel does, with numbers of `SplitMix64`.
    fn drawn(chance: Chance) -> f64 {
        let (mut seed, mut last, mut hits) = (1_u64, 0.5, 0);
        for _ in 0..400_000 {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let even =
                f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0)) / f64::from(u32::MAX);
            last = even * (1.0 - chance.correlation().part()) + last * chance.correlation().part();
            hits += i32::from(last <= chance.share().part());
        }
        f64::from(hits) / 400_000.0
    }

    #[test]
    fn is_what_comes_out_of_drawing() {
        for (share, correlation) in
            [(0.01, 0.25), (0.1, 0.25), (0.3, 0.25), (0.5, 0.5), (0.05, 0.1), (0.9, 0.8)]
        {
            let chance = Chance::new(Share::new(share), Share::new(correlation));
            let (is, drawn) = (chance.effective().part(), drawn(chance));
            assert!((is - drawn).abs() < 0.004, "{share} {correlation}: {is} {drawn}");
        }
        let plain = Chance::from(Share::new(0.01));
        assert_eq!(plain.effective(), plain.share());
    }
}
