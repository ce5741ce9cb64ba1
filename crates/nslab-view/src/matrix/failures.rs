//! Failures, alike ones in one line.

use std::collections::BTreeMap;

use super::{Cell, Matrix};
use crate::Style;
use crate::names::fold;
use crate::style::Role;

/// So many lines at most, the ones that stand for most failures.
const MOST: usize = 20;

/// Some sources that fail to reach the same destinations for the same reason.
struct Group<'a> {
    reason: &'a str,
    sources: Vec<usize>,
    destinations: Vec<usize>,
    pairs: usize,
}

/// The failures with their reasons, as `h1..h9 → db: no answer (9)`.
pub(super) fn lines(matrix: &Matrix<'_>, style: &Style) -> String {
    let groups = groups(matrix);
    let mut text: String = groups.iter().take(MOST).map(|group| line(group, matrix, style)).collect();
    let rest = groups.get(MOST..).unwrap_or_default();
    if !rest.is_empty() {
        let pairs: usize = rest.iter().map(|group| group.pairs).sum();
        text.extend([style.sign("…", "..."), &format!(" {} more lines like these ({pairs})\n", rest.len())]);
    }
    text
}

fn line(group: &Group<'_>, matrix: &Matrix<'_>, style: &Style) -> String {
    let sources = side(&group.sources, &group.destinations, matrix.sources, false);
    let destinations = side(&group.destinations, &group.sources, matrix.destinations, true);
    let arrow = style.sign("→", "->");
    let reason = style.paint(Role::Bad, group.reason);
    let count = if group.pairs > 1 { format!(" ({})", group.pairs) } else { String::new() };
    format!("{sources} {arrow} {destinations}: {reason}{count}\n")
}

/// Names of one side. All of them, or all but those of the other side, are said in a word.
fn side(own: &[usize], other: &[usize], names: &[String], second: bool) -> String {
    if own.len() > 3 && own.len() == names.len() {
        return if second { "each other".to_owned() } else { "all".to_owned() };
    }
    let others = |name: &usize| other.contains(name);
    if own.len() > 3 && other.len() < 3 && own.len() + other.len() == names.len() && !own.iter().any(others) {
        return "all others".to_owned();
    }
    // One alone is not said to fail to reach itself.
    let is_other = |name: &&usize| own.len() == 1 || other.len() != 1 || other[0] != **name;
    fold(own.iter().filter(is_other).map(|&name| names[name].as_str()))
}

/// Groups in the way that gives the fewest: by equal destinations of a source, or equal sources of a destination, with
/// a node counted as failing to reach itself or not (which tells "nobody reaches anybody" in one line).
fn groups<'a>(matrix: &Matrix<'a>) -> Vec<Group<'a>> {
    let mut failed: BTreeMap<&'a str, Vec<(usize, usize)>> = BTreeMap::new();
    for (row, cells) in matrix.cells.iter().take(matrix.sources.len()).enumerate() {
        for (column, cell) in cells.iter().take(matrix.destinations.len()).enumerate() {
            if let Cell::Failed(reason) = cell {
                failed.entry(reason).or_default().push((row, column));
            }
        }
    }
    let square = matrix.sources == matrix.destinations;
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (reason, pairs) in failed {
        let ways = [(false, false), (true, false), (false, true), (true, true)];
        let ways = ways.into_iter().filter(|(_, with_itself)| square || !with_itself);
        let best = ways
            .map(|(by_column, with_itself)| group(reason, &pairs, by_column, with_itself))
            .min_by_key(Vec::len);
        groups.extend(best.unwrap_or_default());
    }
    // The order of the list where they stand for equally many.
    groups.sort_by_key(|group| (std::cmp::Reverse(group.pairs), group.sources.first().copied()));
    groups
}

fn group<'a>(
    reason: &'a str,
    pairs: &[(usize, usize)],
    by_column: bool,
    with_itself: bool,
) -> Vec<Group<'a>> {
    let mut others_of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &(row, column) in pairs {
        let (own, other) = if by_column { (column, row) } else { (row, column) };
        others_of.entry(own).or_default().push(other);
    }
    let mut by_others: BTreeMap<Vec<usize>, (Vec<usize>, usize)> = BTreeMap::new();
    for (own, mut others) in others_of {
        let count = others.len();
        if with_itself {
            let place = others.partition_point(|&other| other < own);
            others.insert(place, own);
        }
        let entry = by_others.entry(others).or_default();
        entry.0.push(own);
        entry.1 += count;
    }
    let groups = by_others.into_iter().map(|(others, (own, pairs))| {
        let (sources, destinations) = if by_column { (others, own) } else { (own, others) };
        Group { reason, sources, destinations, pairs }
    });
    groups.filter(|group| group.pairs > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(names: usize, failed: impl Fn(usize, usize) -> bool) -> String {
        let all: Vec<String> = (1..=names).map(|number| format!("h{number}")).collect();
        let cell = |from, to| {
            if from != to && failed(from, to) { Cell::Failed("no answer".into()) } else { Cell::None }
        };
        let cells: Vec<Vec<Cell>> =
            (0..names).map(|from| (0..names).map(|to| cell(from, to)).collect()).collect();
        lines(
            &Matrix { sources: &all, destinations: &all, cells: &cells, predicted: false },
            &Style::default(),
        )
    }

    #[test]
    fn finds_the_short_way_to_say_it() {
        assert_eq!(text(50, |_, _| true), "all → each other: no answer (2450)\n");
        assert_eq!(
            text(50, |from, to| from == 0 || to == 0),
            "h1 → all others: no answer (49)\nall others → h1: no answer (49)\n"
        );
        assert_eq!(text(50, |_, to| to < 2), "all → h1, h2: no answer (98)\n");
        assert_eq!(
            text(9, |from, to| (from < 4) != (to < 4)),
            "h1..h4 → h5..h9: no answer (20)\nh5..h9 → h1..h4: no answer (20)\n"
        );
        assert_eq!(text(5, |from, to| from < 2 && to > 1), "h1, h2 → h3..h5: no answer (6)\n");
        assert_eq!(text(5, |from, _| from < 3 || from == 4), "h1..h3, h5 → each other: no answer (16)\n");
        assert_eq!(text(3, |from, to| from == 0 && to == 2), "h1 → h3: no answer\n");
        assert_eq!(text(3, |_, _| false), "");
    }

    #[test]
    fn does_not_list_for_ever() {
        // Every source fails with other destinations.
        let text = text(60, |from, to| (from * 7 + to * to) % 5 == 0);
        assert!(text.lines().count() <= MOST + 1, "{text}");
    }
}
