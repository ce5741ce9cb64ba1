//! Words for what was found.

use super::Host;
use super::way::Way;

/// `a`, `a and b`, `a, b and 3 more`.
pub(super) fn list(all: impl IntoIterator<Item = String>) -> String {
    let all: Vec<String> = all.into_iter().collect();
    match &all[..] {
        [] => String::new(),
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        [one, other, third] => format!("{one}, {other} and {third}"),
        [one, other, third, rest @ ..] => format!("{one}, {other}, {third} and {} more", rest.len()),
    }
}

impl Host<'_> {
    /// The namespaces of a way: `by a, r1, b`.
    pub(super) fn in_words(&self, way: &Way) -> String {
        let mut names: Vec<String> = way.hops.iter().map(|hop| self.name(hop.namespace)).collect();
        names.dedup();
        format!("the way is {}", names.join(" → "))
    }
}
