//! What a matrix comes to.

use std::time::Duration;

use super::{Cell, Matrix, milliseconds};
use crate::Style;
use crate::style::Role;

/// One line: how many pairs were answered, and their round-trip times. Empty if nothing was asked.
pub(super) fn line(matrix: &Matrix<'_>, style: &Style) -> String {
    let pairs = matrix.all().count();
    if pairs == 0 {
        return String::new();
    }
    let mut times: Vec<Duration> = matrix
        .all()
        .filter_map(|(.., cell)| if let Cell::Answered(time) = cell { Some(*time) } else { None })
        .collect();
    times.sort_unstable();
    let pairs_word = if pairs == 1 { "pair" } else { "pairs" };
    if matrix.predicted {
        let reached = matrix.all().filter(|(.., cell)| **cell == Cell::Reached).count();
        return predicted(pairs, reached, style);
    }
    let answered = match pairs - times.len() {
        0 => style.paint(Role::Good, "all answered").into_owned(),
        lost => {
            let lost = style.paint(Role::Bad, format!("{lost} not ({})", share(lost, pairs))).into_owned();
            format!("{} answered, {lost}", times.len())
        }
    };
    let text = format!("{pairs} {pairs_word}: {answered}");
    if let (Some(min), Some(max)) = (times.first(), times.last()) {
        let [min, median, p99, max] = [*min, rank(&times, 50), rank(&times, 99), *max].map(milliseconds);
        return format!("{text}   RTT min {min}, median {median}, p99 {p99}, max {max} ms\n");
    }
    text + "\n"
}

/// The same of what is predicted.
fn predicted(pairs: usize, reached: usize, style: &Style) -> String {
    let word = if pairs == 1 { "pair" } else { "pairs" };
    match pairs - reached {
        0 => format!("{pairs} {word}: {}\n", style.paint(Role::Good, "all reach each other")),
        lost => {
            let lost = style.paint(Role::Bad, format!("{lost} do not ({})", share(lost, pairs))).into_owned();
            format!("{pairs} {word}: {reached} reach, {lost}\n")
        }
    }
}

/// The smallest time that at least `percent` per cent of the sorted times do not exceed (nearest rank).
fn rank(times: &[Duration], percent: usize) -> Duration {
    let place = (times.len() * percent).div_ceil(100).max(1) - 1;
    times.get(place).copied().unwrap_or_default()
}

/// Per cent, never `0%` of something nor `100%` of less than all.
fn share(part: usize, whole: usize) -> String {
    let tenths = (part * 1000 + whole / 2) / whole;
    match tenths {
        0 => "<0.1%".to_owned(),
        1..100 => format!("{}.{}%", tenths / 10, tenths % 10),
        _ if part < whole && tenths >= 995 => ">99%".to_owned(),
        _ => format!("{}%", (tenths + 5) / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_shares() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!(rank(&times, 50), Duration::from_micros(100));
        assert_eq!(rank(&times, 99), Duration::from_micros(198));
        assert_eq!(rank(&times[..1], 99), Duration::from_micros(1));
        for (part, whole, text) in [
            (1, 3, "33%"),
            (2, 3, "67%"),
            (1, 10_000, "<0.1%"),
            (9, 1640, "0.5%"),
            (999, 1000, ">99%"),
            (5, 5, "100%"),
        ] {
            assert_eq!(share(part, whole), text);
        }
    }
}
