//! What was seen of a packet, beside what was predicted.

#![allow(clippy::format_push_string, reason = "texts grow word by word, none of them in a hurry")]

use std::time::Duration;

use nslab_predict::Action;

use crate::Style;
use crate::explain::{action_word, without_counts};
use crate::style::{Role, right};
use crate::table::lines;

/// How a step of a packet's way stands to the prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TraceSight {
    /// It was predicted, and seen.
    Seen,
    /// It was predicted, and there is nothing by which it could be seen.
    Silent,
    /// It was predicted, and not seen, though it should have been.
    Missing,
    /// It was seen, and not predicted.
    Unforeseen,
    /// It was seen, and the prediction does not tell of such.
    Detail,
}

impl TraceSight {
    /// Its word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Silent => "predicted",
            Self::Missing => "missing",
            Self::Unforeseen => "unforeseen",
            Self::Detail => "detail",
        }
    }

    fn sign(self, style: &Style) -> (&'static str, Role) {
        let (unicode, ascii, role) = match self {
            Self::Seen | Self::Detail => ("✓", "+", Role::Good),
            Self::Silent => ("·", ".", Role::Faint),
            Self::Missing => ("✗", "x", Role::Bad),
            Self::Unforeseen => ("!", "!", Role::Bad),
        };
        (if style.unicode { unicode } else { ascii }, role)
    }
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRow {
    /// How it stands to the prediction.
    pub sight: TraceSight,
    /// The time since the one before that has one.
    pub since: Option<Duration>,
    /// The namespace.
    pub namespace: String,
    /// The interface, if it is at one.
    pub link: Option<String>,
    /// What is done.
    pub action: Action,
    /// By what.
    pub object: String,
    /// Why, or how it changes.
    pub detail: String,
}

/// The steps of one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSection {
    /// Which packet, where it is not the first.
    pub title: Option<String>,
    /// Its steps.
    pub rows: Vec<TraceRow>,
    /// So many more were predicted.
    pub left: usize,
}

/// Numbered steps, each with a sign that says whether it was seen, and the time since the one before; then what the signs mean.
pub fn trace_sections(sections: &[TraceSection], style: &Style) -> String {
    let mut rows = Vec::new();
    let mut number = 0;
    for row in sections.iter().flat_map(|section| &section.rows) {
        number += 1;
        rows.push(cells(row, number, style));
    }
    // All sections have the same columns.
    let mut all = lines(&rows, 2).into_iter();
    let mut text = String::new();
    for section in sections {
        if let Some(title) = &section.title {
            text += &format!("\n{}\n\n", style.paint(Role::Heading, title.as_str()));
        }
        for line in all.by_ref().take(section.rows.len()) {
            text += &(line + "\n");
        }
        if section.left > 0 {
            text += &more(section.left, style);
        }
    }
    text + "\n" + &legend(sections, style)
}

/// The steps of one packet alone, without a title and without what the signs mean.
pub fn trace_steps(section: &TraceSection, style: &Style) -> String {
    let rows: Vec<_> = section.rows.iter().zip(1..).map(|(row, number)| cells(row, number, style)).collect();
    let mut text: String = lines(&rows, 2).into_iter().flat_map(|line| [line, "\n".to_owned()]).collect();
    if section.left > 0 {
        text += &more(section.left, style);
    }
    text
}

fn more(left: usize, style: &Style) -> String {
    let s = if left == 1 { "" } else { "s" };
    format!("     {} {left} more step{s} predicted\n", style.sign("⋮", ":"))
}

fn cells(row: &TraceRow, number: usize, style: &Style) -> Vec<String> {
    let (sign, role) = row.sight.sign(style);
    let place = match &row.link {
        Some(link) => format!("{}:{link}", row.namespace),
        None => row.namespace.clone(),
    };
    let action = match row.action {
        Action::Stop => Role::Bad,
        Action::Deliver => Role::Good,
        _ => Role::Faint,
    };
    let action = style.paint(action, action_word(row.action)).into_owned();
    // An interface need not be named twice.
    let object = if row.link.as_deref() == Some(&row.object) { "" } else { &row.object };
    let detail = without_counts(&row.detail);
    let what = match (object.is_empty(), detail.is_empty()) {
        (false, false) => format!("{object}: {detail}"),
        (false, true) => object.to_owned(),
        _ => detail,
    };
    let since = row.since.map_or_else(String::new, |since| time(since, style));
    let what =
        if row.sight == TraceSight::Missing { style.paint(Role::Bad, what).into_owned() } else { what };
    vec![
        style.paint(role, sign).into_owned(),
        right(&number.to_string(), 2),
        right(&since, 7),
        place,
        action,
        what,
    ]
}

/// A time as people read it, of the same width in all rows.
fn time(time: Duration, style: &Style) -> String {
    let micro = style.sign("µs", "us");
    let nanoseconds = time.as_nanos();
    match nanoseconds {
        0 => format!("0 {micro}"),
        1..10_000 => format!("{}.{} {micro}", nanoseconds / 1000, nanoseconds / 100 % 10),
        10_000..1_000_000 => format!("{} {micro}", nanoseconds / 1000),
        1_000_000..100_000_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.2} s", time.as_secs_f64()),
    }
}

/// What the signs mean that are there.
fn legend(sections: &[TraceSection], style: &Style) -> String {
    let has =
        |sight: TraceSight| sections.iter().flat_map(|section| &section.rows).any(|row| row.sight == sight);
    let mut parts = Vec::new();
    for (sight, words) in [
        (TraceSight::Seen, "seen as predicted"),
        (TraceSight::Silent, "predicted; nothing shows it"),
        (TraceSight::Missing, "predicted, but not seen"),
        (TraceSight::Unforeseen, "seen, but not predicted"),
    ] {
        if has(sight) {
            parts.push(format!("{} {words}", sight.sign(style).0));
        }
    }
    if parts.is_empty() {
        return String::new();
    }
    style.paint(Role::Faint, parts.join("   ")).into_owned() + "\n\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(
        sight: TraceSight,
        since: Option<u64>,
        link: Option<&str>,
        action: Action,
        detail: &str,
    ) -> TraceRow {
        TraceRow {
            sight,
            since: since.map(Duration::from_nanos),
            namespace: "lab/red".into(),
            link: link.map(str::to_owned),
            action,
            object: link.unwrap_or_default().to_owned(),
            detail: detail.into(),
        }
    }

    #[test]
    fn steps_have_signs_and_times() {
        let sections = [
            TraceSection {
                title: None,
                rows: vec![
                    row(TraceSight::Seen, Some(0), None, Action::Make, "icmp echo request → 10.0.0.2"),
                    row(TraceSight::Silent, None, None, Action::Route, "10.0.0.0/24 dev eth0"),
                    row(TraceSight::Seen, Some(12_345), Some("eth0"), Action::Send, ""),
                ],
                left: 0,
            },
            TraceSection {
                title: Some("the answer".into()),
                rows: vec![row(TraceSight::Missing, None, Some("eth0"), Action::Receive, "")],
                left: 2,
            },
        ];
        assert_eq!(
            trace_sections(&sections, &Style::default()),
            "✓   1     0 µs  lab/red       make     icmp echo request → 10.0.0.2\n\
             ·   2           lab/red       route    10.0.0.0/24 dev eth0\n\
             ✓   3    12 µs  lab/red:eth0  send\n\
             \n\
             the answer\n\
             \n\
             ✗   4           lab/red:eth0  receive\n     ⋮ 2 more steps predicted\n\
             \n\
             ✓ seen as predicted   · predicted; nothing shows it   ✗ predicted, but not seen\n\n"
        );
    }

    #[test]
    fn times_have_three_figures_or_so() {
        let all = [0, 900, 9_999, 12_000, 999_999, 1_000_000, 99_000_000, 1_500_000_000];
        let all = all.map(|nanoseconds| time(Duration::from_nanos(nanoseconds), &Style::default()));
        assert_eq!(all, ["0 µs", "0.9 µs", "9.9 µs", "12 µs", "999 µs", "1.0 ms", "99.0 ms", "1.50 s"]);
    }
}
