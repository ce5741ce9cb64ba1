//! Rows and columns without lines between them.

use crate::Style;
use crate::style::{Role, left, width};

/// Blanks between columns.
const GAP: usize = 3;

/// A table as `docker ps` prints them: columns are as wide as their widest cell, the last one ends where its text ends.
/// Rows may be shorter than the headers.
///
/// ```
/// let rows = [vec!["red".to_owned(), "10.0.0.1/24".to_owned()], vec!["database".to_owned()]];
/// let text = nslab_view::table(&["NODE", "ADDRESS"], &rows, &nslab_view::Style::default());
/// assert_eq!(text, "NODE       ADDRESS\nred        10.0.0.1/24\ndatabase\n");
/// ```
pub fn table(headers: &[&str], rows: &[Vec<String>], style: &Style) -> String {
    let headers = headers.iter().map(|header| style.paint(Role::Heading, *header).into_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(headers).chain(rows.iter().cloned()).collect();
    lines(&all, GAP).into_iter().map(|line| line + "\n").collect()
}

/// Rows as lines with their columns aligned, without blanks at their ends. A column that is empty in every row takes no
/// room at all.
pub(crate) fn lines(rows: &[Vec<String>], gap: usize) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| width(cell));
    let widths: Vec<usize> =
        (0..columns).map(|column| rows.iter().map(|row| cell(row, column)).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (cell, &columns) in row.iter().zip(&widths).filter(|(_, columns)| **columns > 0) {
            line += &left(cell, columns + gap);
        }
        line.truncate(line.trim_end_matches(' ').len());
        line
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_by_columns_on_the_screen() {
        let rows = [["grün", "", "10.0.0.1/24"], ["開発", "", "x"], ["", "", "y"]];
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
        assert_eq!(lines(&rows, 2), ["grün  10.0.0.1/24", "開発  x", "      y"]);
        assert_eq!(table(&["A", "B"], &[], &Style::default()), "A   B\n");
        assert!(lines(&[], 2).is_empty());
    }
}
