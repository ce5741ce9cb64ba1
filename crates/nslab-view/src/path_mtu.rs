//! How large a packet gets through.

#![allow(clippy::format_push_string, reason = "texts grow word by word, none of them in a hurry")]

use nslab_predict::Cause;
use nslab_predict::fix::Fix;

use crate::Style;
use crate::explain::mend;
use crate::style::{Role, right, width};
use crate::table::lines;

/// What was found out of a path, in words.
#[derive(Debug, Clone, Default)]
pub struct PathMtu<'a> {
    /// From whom to whom, and with what.
    pub headline: String,
    /// The interfaces on the way.
    pub hops: Vec<MtuHop>,
    /// What is told of predicted and measured: label, predicted, measured. Without a measurement the last are all empty.
    pub rows: Vec<[String; 3]>,
    /// Something was measured.
    pub measured: bool,
    /// The verdict's word.
    pub verdict: String,
    /// Whether it is a good one; none if it is not known.
    pub good: Option<bool>,
    /// What comes after the word: the code of the cause, and where.
    pub at: String,
    /// Sentences.
    pub sentences: Vec<String>,
    /// What mends it, the cause that it mends, and what was proved of it.
    pub fix: Option<(&'a Fix, &'a Cause, &'a str)>,
    /// Where prediction and measurement are not the same.
    pub differences: Vec<String>,
}

/// An interface on the way of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MtuHop {
    /// Namespace and interface.
    pub place: String,
    /// What it takes, in bytes.
    pub mtu: u32,
    /// What tunnels put around the packet there, in bytes.
    pub overhead: u32,
    /// Packets end there that are larger.
    pub narrow: bool,
}

/// The way with what each interface takes, prediction and measurement side by side, the verdict, and what mends it.
pub fn path_mtu(path: &PathMtu<'_>, style: &Style) -> String {
    let mut text = style.paint(Role::Heading, path.headline.clone()).into_owned() + "\n\n";
    let digits = path.hops.iter().map(|hop| width(&hop.mtu.to_string())).max().unwrap_or(0);
    let rows: Vec<Vec<String>> = path.hops.iter().map(|hop| row(hop, digits, style)).collect();
    for line in lines(&rows, 3) {
        text += &format!("  {line}\n");
    }
    if !rows.is_empty() {
        text += "\n";
    }
    let head = ["", "predicted", if path.measured { "measured" } else { "" }];
    let heads = head.iter().map(|head| style.paint(Role::Heading, *head).into_owned()).collect();
    let rows: Vec<Vec<String>> =
        std::iter::once(heads).chain(path.rows.iter().map(|row| row.to_vec())).collect();
    for line in lines(&rows, 3) {
        text += &format!("{line}\n");
    }
    let role = match path.good {
        Some(true) => Role::Good,
        Some(false) => Role::Bad,
        None => Role::Switch,
    };
    text += &format!("\n{}{}\n", style.paint(role, path.verdict.clone()), path.at);
    for sentence in &path.sentences {
        text += &format!("  {sentence}\n");
    }
    if let Some((fix, cause, proved)) = path.fix {
        text += &mend(cause, fix, proved, style);
    }
    for difference in &path.differences {
        text += &format!("{}: {difference}\n", style.paint(Role::Bad, "different"));
    }
    text
}

fn row(hop: &MtuHop, digits: usize, style: &Style) -> Vec<String> {
    let left_over = hop.mtu.saturating_sub(hop.overhead);
    let carries = match hop.overhead {
        0 => String::new(),
        overhead => format!("{overhead} of a tunnel, {left_over} are left"),
    };
    let narrow = if hop.narrow { format!("{} narrow", style.sign("◀", "<")) } else { String::new() };
    let narrow = style.paint(Role::Bad, narrow).into_owned();
    let note = match (carries.is_empty(), narrow.is_empty()) {
        (false, false) => format!("{carries}   {narrow}"),
        _ => carries + &narrow,
    };
    vec![hop.place.clone(), right(&hop.mtu.to_string(), digits), note]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrow_place_is_marked() {
        let hop = |place: &str, mtu, overhead, narrow| MtuHop { place: place.into(), mtu, overhead, narrow };
        let path = PathMtu {
            headline: "red → blue".into(),
            hops: vec![hop("red:eth0", 9000, 0, false), hop("r:blue", 1500, 50, true)],
            rows: vec![["the largest packet".into(), "1450".into(), "1450".into()]],
            measured: true,
            verdict: "lost".into(),
            at: ": MTU_MISMATCH at r:blue".into(),
            ..PathMtu::default()
        };
        let text = path_mtu(&path, &Style::default());
        assert_eq!(
            text,
            "red → blue\n\n  red:eth0   9000\n  r:blue     1500   50 of a tunnel, 1450 are left   ◀ narrow\n\n\
             \x20                    predicted   measured\nthe largest packet   1450        1450\n\nlost: MTU_MISMATCH at r:blue\n"
        );
    }
}
