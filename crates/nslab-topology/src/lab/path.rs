//! What happens between two nodes of one switch: `hq -- alpha`, `hq -> alpha:eth1`, `every -> hq`.

use serde::{Deserialize, Serialize};

use super::words;
use crate::diagnostic::{Problem, Span, Spanned};
use crate::impairment::Impairments;

/// What happens between two nodes of a switch, as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Who sends.
    pub from: PathEnd,
    /// To whom.
    pub to: PathEnd,
    /// The other way as well.
    pub both: bool,
    /// What happens.
    pub impairments: Impairments,
}

/// One end of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathEnd {
    /// A node on the switch's segment, or `every` one.
    pub node: Spanned<String>,
    /// One of its interfaces there; all of them unless given.
    pub interface: Option<Spanned<String>>,
}

impl PathEnd {
    /// Whether it means all nodes.
    pub fn is_every(&self) -> bool {
        *self.node.value == *"every"
    }
}

impl std::fmt::Display for PathEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.node.value)?;
        self.interface.as_ref().map_or(Ok(()), |name| write!(f, ":{}", name.value))
    }
}

impl Path {
    /// Reads `A -- B` or `A -> B`; `place` turns a stretch of the text into its place in the file.
    pub(crate) fn parse(
        text: &str,
        place: impl Fn(std::ops::Range<usize>) -> Option<Span>,
    ) -> Result<Self, Problem> {
        let words: Vec<_> = words(text).collect();
        let ([(first, from), (_, arrow @ ("--" | "->")), (second, to)]
        | [(second, to), (_, arrow @ "<-"), (first, from)]) = words.as_slice()
        else {
            return Err(Problem::new("bad-path", format!("{text:?} does not say between whom"))
                .help("write `a -- b` for both ways, `a -> b` for one"));
        };
        let end = |range: &std::ops::Range<usize>, word: &str| {
            let (node, interface) = match word.split_once(':') {
                Some((node, interface)) => (node, Some(interface)),
                None => (word, None),
            };
            let colon = range.start + node.len();
            PathEnd {
                node: Spanned::new(node.to_owned(), place(range.start..colon)),
                interface: interface
                    .map(|name| Spanned::new(name.to_owned(), place((colon + 1).min(range.end)..range.end))),
            }
        };
        Ok(Self {
            from: end(first, from),
            to: end(second, to),
            both: *arrow == "--",
            impairments: Impairments::default(),
        })
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.from, if self.both { "--" } else { "->" }, self.to)
    }
}
