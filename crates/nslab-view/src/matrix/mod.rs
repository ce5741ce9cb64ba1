//! Who reaches whom.

mod failures;
mod figures;

use std::time::Duration;

use nslab_observe::ping::{Cause, Outcome};

use crate::Style;
use crate::style::{Role, left, right, width};

/// With more sources or destinations than this, no cells are shown, only what they come to.
const MOST: usize = 30;
/// Blanks between columns.
const GAP: usize = 3;

/// From one node to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing was asked, as from a node to itself.
    None,
    /// An answer came, after this time.
    Answered(Duration),
    /// An answer is predicted.
    Reached,
    /// No answer came, for this reason, as `no answer`.
    Failed(String),
}

/// Sources, destinations, and what there is between them.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// The names of the rows.
    pub sources: &'a [String],
    /// The names of the columns.
    pub destinations: &'a [String],
    /// Whether the cells are what is predicted, rather than what was measured.
    pub predicted: bool,
    /// A row for each source, in it a cell for each destination; what is missing counts as [`Cell::None`].
    pub cells: &'a [Vec<Cell>],
}

impl From<&Outcome> for Cell {
    /// The mean round-trip time if every request was answered, else the first reason why not.
    fn from(outcome: &Outcome) -> Self {
        match outcome.round_trip() {
            Some(times) if outcome.lost() == 0 => Self::Answered(times.avg),
            _ if outcome.sent == 0 => Self::None,
            some => {
                // Without addresses and interfaces, which would make each failure one of its own.
                let reason = match outcome.failures.first().map(|failure| failure.cause) {
                    None => "no answer".to_owned(),
                    Some(Cause::Icmp { error, .. }) => error.to_string(),
                    Some(Cause::Unresolved { .. }) => "no answer to ARP or ND".to_owned(),
                    Some(cause) => cause.to_string(),
                };
                let lost = format!("{} of {} lost: ", outcome.lost(), outcome.sent);
                Self::Failed(if some.is_some() { lost + &reason } else { reason })
            }
        }
    }
}

impl Matrix<'_> {
    fn cell(&self, source: usize, destination: usize) -> &Cell {
        self.cells.get(source).and_then(|row| row.get(destination)).unwrap_or(&Cell::None)
    }

    /// Every cell that is not empty, by row and column.
    fn all(&self) -> impl Iterator<Item = (usize, usize, &Cell)> {
        let rows = self.cells.iter().take(self.sources.len()).enumerate();
        let cells = rows.flat_map(|(source, row)| {
            row.iter().take(self.destinations.len()).enumerate().map(move |(to, cell)| (source, to, cell))
        });
        cells.filter(|(.., cell)| **cell != Cell::None)
    }
}

/// The matrix: rows are sources, columns destinations, cells milliseconds or a cross; then the failures with their
/// reasons, alike ones in one line, and the figures.
///
/// What is wider than the terminal is shown in blocks of columns, one below the other; of more than 30 nodes only
/// failures and figures are.
pub fn matrix(matrix: &Matrix<'_>, style: &Style) -> String {
    let mut text = String::new();
    if matrix.sources.len() <= MOST && matrix.destinations.len() <= MOST {
        text += &cells(matrix, style);
    }
    for part in [failures::lines(matrix, style), figures::line(matrix, style)] {
        if !text.is_empty() && !part.is_empty() {
            text.push('\n');
        }
        text += &part;
    }
    text
}

/// The cells that failed, with their reasons, alike ones in one line.
pub fn failures(matrix: &Matrix<'_>, style: &Style) -> String {
    failures::lines(matrix, style)
}

fn cells(matrix: &Matrix<'_>, style: &Style) -> String {
    let (row_count, column_count) = (matrix.sources.len(), matrix.destinations.len());
    if row_count == 0 || column_count == 0 {
        return String::new();
    }
    let corner = if matrix.predicted { "from \\ to" } else { "RTT in ms" };
    let first = matrix.sources.iter().map(|name| width(name)).chain([width(corner)]).max().unwrap_or(0);
    let shown: Vec<Vec<String>> = (0..row_count)
        .map(|row| (0..column_count).map(|column| show(matrix.cell(row, column), style)).collect())
        .collect();
    let widths: Vec<usize> = (0..column_count)
        .map(|column| {
            let cells = shown.iter().map(|row| width(&row[column]));
            cells.chain([width(&matrix.destinations[column])]).max().unwrap_or(0)
        })
        .collect();

    let mut text = String::new();
    let mut from = 0;
    while from < column_count {
        let to = block(&widths, from, style.width.saturating_sub(first));
        if from > 0 {
            text.push('\n');
        }
        text += &left(&style.paint(Role::Faint, corner), first);
        for (name, columns) in matrix.destinations[from..to].iter().zip(&widths[from..to]) {
            text += &right(&style.paint(Role::Node, name.as_str()), GAP + columns);
        }
        text.push('\n');
        for (source, row) in matrix.sources.iter().zip(&shown) {
            text += &left(&style.paint(Role::Node, source.as_str()), first);
            for (cell, columns) in row[from..to].iter().zip(&widths[from..to]) {
                text += &right(cell, GAP + columns);
            }
            text.push('\n');
        }
        from = to;
    }
    text
}

/// Behind the last column that fits beside those from `from` on; at least one does.
fn block(widths: &[usize], from: usize, room: usize) -> usize {
    let mut taken = 0;
    let fits = widths[from..].iter().take_while(|columns| {
        taken += GAP + **columns;
        taken <= room
    });
    from + fits.count().max(1)
}

fn show(cell: &Cell, style: &Style) -> String {
    match cell {
        Cell::None => style.paint(Role::Faint, "-").into_owned(),
        Cell::Answered(time) => style.paint(Role::Good, milliseconds(*time)).into_owned(),
        Cell::Reached => style.paint(Role::Good, style.sign("✓", "o")).into_owned(),
        Cell::Failed(_) => style.paint(Role::Bad, style.sign("✗", "x")).into_owned(),
    }
}

/// Milliseconds in five characters or so.
fn milliseconds(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    match time.as_nanos() / 100 {
        0..9_995 => format!("{millis:.3}"),
        9_995..99_950 => format!("{millis:.2}"),
        99_950..999_500 => format!("{millis:.1}"),
        _ => format!("{millis:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn answered(micros: u64) -> Cell {
        Cell::Answered(Duration::from_micros(micros))
    }

    fn square(names: &[String], cell: impl Fn(usize, usize) -> Cell) -> Vec<Vec<Cell>> {
        let row =
            |from| (0..names.len()).map(|to| if from == to { Cell::None } else { cell(from, to) }).collect();
        (0..names.len()).map(row).collect()
    }

    fn text(names: &[String], cells: &[Vec<Cell>], style: &Style) -> String {
        matrix(&Matrix { sources: names, destinations: names, cells, predicted: false }, style)
    }

    #[test]
    fn shows_times_and_crosses() {
        let names = names(&["red", "blue", "green"]);
        let cells = square(&names, |from, to| match (from, to) {
            (2, _) | (_, 2) => Cell::Failed("no answer".into()),
            _ => answered(40 + from as u64 * 10_000),
        });
        let expected = "\
RTT in ms    red    blue   green
red            -   0.040       ✗
blue        10.0       -       ✗
green          ✗       ✗       -

red, blue → green: no answer (2)
green → red, blue: no answer (2)

6 pairs: 2 answered, 4 not (67%)   RTT min 0.040, median 0.040, p99 10.0, max 10.0 ms
";
        assert_eq!(text(&names, &cells, &Style::default()), expected);
        let ascii = text(&names, &cells, &Style { unicode: false, ..Style::default() });
        assert!(ascii.is_ascii() && ascii.contains("red, blue -> green"), "{ascii}");
        let color = text(&names, &cells, &Style { color: true, ..Style::default() });
        assert!(color.contains("\x1b[31m✗\x1b[0m"));
    }

    #[test]
    fn shows_what_is_predicted() {
        let names = names(&["red", "blue"]);
        let cells =
            square(&names, |from, _| if from == 0 { Cell::Reached } else { Cell::Failed("NO_ROUTE".into()) });
        let matrix = Matrix { sources: &names, destinations: &names, cells: &cells, predicted: true };
        let expected = "\
from \\ to   red   blue
red           -      ✓
blue          ✗      -

blue → red: NO_ROUTE

2 pairs: 1 reach, 1 do not (50%)
";
        assert_eq!(super::matrix(&matrix, &Style::default()), expected);
    }

    #[test]
    fn breaks_what_is_too_wide() {
        let names = names(&["a", "b", "c"]);
        let cells = square(&names, |_, _| answered(40));
        let expected = "\
RTT in ms       a       b
a               -   0.040
b           0.040       -
c           0.040   0.040

RTT in ms       c
a           0.040
b           0.040
c               -

6 pairs: all answered   RTT min 0.040, median 0.040, p99 0.040, max 0.040 ms
";
        assert_eq!(text(&names, &cells, &Style { width: 26, ..Style::default() }), expected);
        assert!(text(&names, &cells, &Style { width: 0, ..Style::default() }).lines().count() > 12);
    }

    #[test]
    fn sums_up_what_is_too_large() {
        let mut names: Vec<String> = (1..=40).map(|number| format!("h{number}")).collect();
        names.push("db".to_owned());
        let cells = square(&names, |from, to| match (from, to) {
            (0..9, 40) => Cell::Failed("no answer".into()),
            _ => answered(50),
        });
        let expected = "\
h1..h9 → db: no answer (9)

1640 pairs: 1631 answered, 9 not (0.5%)   RTT min 0.050, median 0.050, p99 0.050, max 0.050 ms
";
        assert_eq!(text(&names, &cells, &Style::default()), expected);
    }

    #[test]
    fn an_outcome_is_a_cell() {
        use nslab_observe::ping::{Failure, SendError};
        assert_eq!(Cell::from(&Outcome::default()), Cell::None);
        let lost = Outcome { sent: 1, ..Outcome::default() };
        assert_eq!(Cell::from(&lost), Cell::Failed("no answer".into()));
        let failure = Failure { sequence: 1, cause: Cause::Refused(SendError::NetworkUnreachable) };
        let refused = Outcome { sent: 1, failures: vec![failure], ..Outcome::default() };
        assert_eq!(Cell::from(&refused), Cell::Failed("Network is unreachable".into()));
        let failure = Failure { sequence: 1, cause: Cause::Unresolved { link: 7 } };
        let unresolved = Outcome { sent: 1, failures: vec![failure], ..Outcome::default() };
        assert_eq!(Cell::from(&unresolved), Cell::Failed("no answer to ARP or ND".into()));
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(text(&[], &[], &Style::default()), "");
        assert_eq!(text(&names(&["a"]), &[], &Style::default()), "RTT in ms   a\na           -\n");
    }
}
