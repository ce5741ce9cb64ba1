//! A filter: its text and its program.

use crate::error::{ErrorKind, FilterError};
use crate::graph::value::Values;
use crate::graph::{Compiled, compile};
use crate::lower::lower;
use crate::names::Names;
use crate::parse::parse;
use crate::program::{MAX_INSTRUCTIONS, Program};
use crate::tuple::{Tuple, tuples};

/// A filter expression and what it was compiled to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    text: String,
    program: Program,
    tuples: Vec<Tuple>,
}

/// Bytes of a packet that are kept if nothing else is said: all, as `tcpdump` does it.
const WHOLE: u32 = 262_144;

impl Filter {
    /// Compiles a filter expression. An empty one takes every packet.
    ///
    /// # Errors
    ///
    /// If the text is no filter, names what `names` does not know, could match no packet or is too large; with the place.
    pub fn parse(text: &str, names: &dyn Names) -> Result<Self, FilterError> {
        Self::parse_keeping(text, names, WHOLE)
    }

    /// The same; the program returns `snaplen`, at least 1, for packets that match: so many bytes of them the kernel keeps.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn parse_keeping(text: &str, names: &dyn Names, snaplen: u32) -> Result<Self, FilterError> {
        let snaplen = snaplen.max(1);
        let all = 0..text.len();
        let expr = parse(text, names)?;
        let tuples = expr.as_ref().map_or_else(|| vec![Tuple::default()], tuples);
        let program = match expr {
            None => Program::accept_all(snaplen),
            Some(expr) => {
                let mut values = Values::default();
                let condition = lower(&expr, &mut values)?;
                match compile(&condition, &values, snaplen) {
                    Compiled::Always(true) => Program::accept_all(snaplen),
                    Compiled::Always(false) => {
                        let message = "no packet can match this filter";
                        return Err(FilterError::new(ErrorKind::MatchesNothing, all, message));
                    }
                    Compiled::Program(instructions) if instructions.len() > MAX_INSTRUCTIONS => {
                        let message = format!(
                            "the filter needs {} instructions, and the kernel takes {MAX_INSTRUCTIONS}",
                            instructions.len()
                        );
                        return Err(FilterError::new(ErrorKind::TooLarge, all, message)
                            .hint("write networks instead of many hosts, and ranges instead of many ports"));
                    }
                    Compiled::Program(instructions) => Program::new(instructions),
                    Compiled::OutOfMemory => {
                        let message =
                            "an arithmetic expression needs more than the machine's 16 words of memory";
                        return Err(FilterError::new(ErrorKind::TooLarge, all, message));
                    }
                }
            }
        };
        Ok(Self { text: text.to_owned(), program, tuples })
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it was compiled to.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// What it says of the ends of packets of IP: each that it takes is of one of these tuples, though not all that are of one
    /// are taken. None if it takes no packets of IP; [any](Tuple::is_any) where it says nothing of the kind.
    pub fn tuples(&self) -> &[Tuple] {
        &self.tuples
    }
}
