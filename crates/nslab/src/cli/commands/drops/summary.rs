//! What there was in the end.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use super::benign::Benign;
use super::host::Cause;
use super::tell::Told;

/// So many kinds of drops are listed.
const MOST: usize = 20;

/// What drops have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Alike {
    pub(super) namespace: String,
    pub(super) reason: Option<String>,
    pub(super) cause: Option<Cause>,
}

/// Counts drops.
#[derive(Debug, Default)]
pub(super) struct Summary {
    counts: HashMap<Alike, u64>,
    benign: BTreeMap<Benign, u64>,
}

impl Summary {
    pub(super) fn add(&mut self, told: &Told) {
        if let Some(kind) = told.benign {
            *self.benign.entry(kind).or_default() += 1;
            return;
        }
        let alike = Alike {
            namespace: told.namespace.clone(),
            reason: told.reason.clone(),
            cause: told.cause.clone(),
        };
        *self.counts.entry(alike).or_default() += 1;
    }

    /// How many there were, without those that are no fault.
    pub(super) fn dropped(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Those that are no fault.
    pub(super) fn benign(&self) -> impl Iterator<Item = (Benign, u64)> + '_ {
        self.benign.iter().map(|(kind, count)| (*kind, *count))
    }

    /// The kinds of drops, the most frequent first.
    pub(super) fn rows(&self) -> Vec<(&Alike, u64)> {
        let mut rows: Vec<(&Alike, u64)> = self.counts.iter().map(|(kind, count)| (kind, *count)).collect();
        rows.sort_by(|(one, count), (other, more)| {
            let name = |kind: &Alike| (kind.namespace.clone(), kind.reason.clone());
            more.cmp(count).then_with(|| name(one).cmp(&name(other)))
        });
        rows
    }

    /// In words.
    pub(super) fn text(&self, lost: u64, benign_are_shown: bool) -> String {
        let s = |count: u64| if count == 1 { "" } else { "s" };
        let dropped = self.dropped();
        let mut text = format!("{dropped} packet{} dropped\n", s(dropped));
        let rows = self.rows();
        let cells: Vec<[String; 4]> = rows
            .iter()
            .take(MOST)
            .map(|(kind, count)| {
                let cause = match &kind.cause {
                    Some(Cause { code, object: Some(object) }) => format!("{code} {}", object.name),
                    Some(Cause { code, object: None }) => code.to_string(),
                    None => String::new(),
                };
                let reason = kind.reason.clone().unwrap_or_else(|| "-".to_owned());
                [count.to_string(), kind.namespace.clone(), reason, cause]
            })
            .collect();
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (first, second, third) = (width(0), width(1), width(2));
        for [count, namespace, reason, cause] in &cells {
            let line = format!("  {count:>first$}  {namespace:second$}  {reason:third$}  {cause}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        if rows.len() > MOST {
            let rest: u64 = rows.iter().skip(MOST).map(|(_, count)| count).sum();
            let _ = writeln!(text, "  {rest} more of {} other kinds", rows.len() - MOST);
        }
        let kinds: Vec<String> =
            self.benign().map(|(kind, count)| format!("{} ({count})", kind.words())).collect();
        if !kinds.is_empty() {
            let count: u64 = self.benign.values().sum();
            let are = if count == 1 { "is" } else { "are" };
            let hint = if benign_are_shown { "" } else { " (--all shows them)" };
            let _ = writeln!(text, "{count} more {are} no fault{hint}: {}", kinds.join(", "));
        }
        if lost > 0 {
            let _ = writeln!(
                text,
                "{lost} drop{} could not be told, as they came too fast: more memory (-B) or fewer targets help",
                s(lost)
            );
        } else {
            text.push_str("0 drops lost\n");
        }
        text
    }
}
