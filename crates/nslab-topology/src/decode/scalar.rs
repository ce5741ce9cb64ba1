//! Texts, numbers and truth values.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use super::{Decoder, expression, units};
use crate::diagnostic::{Diagnostic, Problem, Span, Spanned};
use crate::yaml::{Kind, Value};

/// A text with its variables filled in.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) span: Span,
    /// Bytes from the place's start to the text's, if the file has it letter for letter.
    offset: Option<usize>,
}

impl Text {
    /// The place of a part of it, as exactly as it is known.
    pub(crate) fn place(&self, range: Range<usize>) -> Option<Span> {
        let offset = self.offset?;
        let before = self.value.get(..range.start)?;
        Some(Span {
            start: self.span.start + offset + range.start,
            end: self.span.start + offset + range.end,
            line: self.span.line,
            column: self.span.column + offset + before.chars().count(),
        })
    }

    pub(crate) fn spanned(self) -> Spanned<String> {
        Spanned::new(self.value, self.span)
    }
}

impl Decoder {
    /// A text as it stands, variables filled in.
    pub(super) fn text(&mut self, value: &Value, wanted: &str) -> Option<Text> {
        let Kind::Scalar(scalar) = &value.kind else {
            self.wrong_type(value, wanted);
            return None;
        };
        let plain = Text { value: scalar.text.clone(), span: value.span, offset: scalar.offset };
        if !scalar.text.contains("${") {
            return Some(plain);
        }
        match expression::expand(&scalar.text, &self.vars, self.index) {
            Ok(text) => Some(Text { value: text, offset: None, ..plain }),
            Err(problem) => {
                self.problem(&plain, problem);
                None
            }
        }
    }

    /// A text that `read` understands.
    pub(super) fn parsed<T>(
        &mut self,
        value: &Value,
        wanted: &str,
        read: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<Spanned<T>> {
        let text = self.text(value, wanted)?;
        match read(&text.value) {
            Ok(result) => Some(Spanned::new(result, text.span)),
            Err(problem) => {
                self.problem(&text, problem);
                None
            }
        }
    }

    pub(super) fn string(&mut self, value: &Value, wanted: &str) -> Option<String> {
        self.text(value, wanted).map(|text| text.value)
    }

    /// A whole number within limits; `0x…` is one as well.
    pub(super) fn number(
        &mut self,
        value: &Value,
        what: &str,
        range: RangeInclusive<u64>,
    ) -> Option<Spanned<u64>> {
        let wanted = format!("{what}, a number from {} to {}", range.start(), range.end());
        self.parsed(value, &wanted, |text| {
            units::whole_number(text)
                .filter(|number| range.contains(number))
                .ok_or_else(|| Problem::new("bad-number", format!("expected {wanted}, found {text:?}")))
        })
    }

    pub(super) fn number32(
        &mut self,
        value: &Value,
        what: &str,
        range: RangeInclusive<u32>,
    ) -> Option<Spanned<u32>> {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        // The range leaves nothing to cut off.
        self.number(value, what, range)
            .map(|number| number.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
    }

    pub(super) fn bool(&mut self, value: &Value, what: &str) -> Option<bool> {
        let wanted = format!("`true` or `false` for {what}");
        let text = self.text(value, &wanted)?;
        match text.value.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                let mut error =
                    Diagnostic::error("wrong-type", format!("expected {wanted}, found {other:?}"))
                        .at(text.span, "");
                match other.to_ascii_lowercase().as_str() {
                    "yes" | "on" | "y" | "1" | "true" => error = error.help("write `true`"),
                    "no" | "off" | "n" | "0" | "false" => error = error.help("write `false`"),
                    _ => {}
                }
                self.push(error);
                None
            }
        }
    }

    pub(super) fn duration(&mut self, value: &Value, what: &str) -> Option<Duration> {
        let wanted = format!("{what}, a time such as 500ms, 10s or 2m");
        self.parsed(value, &wanted, |text| {
            units::duration(text)
                .ok_or_else(|| Problem::new("bad-duration", format!("expected {wanted}, found {text:?}")))
        })
        .map(|duration| duration.value)
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        value: &Value,
        what: &str,
        words: &[(&'static str, T)],
    ) -> Option<Spanned<T>> {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let wanted = format!("{what}: {}", known.join(", "));
        self.parsed(value, &wanted, |text| {
            if let Some((_, result)) = words.iter().find(|(word, _)| *word == text) {
                return Ok(*result);
            }
            let problem = Problem::new("bad-word", format!("expected {wanted}; found {text:?}"));
            Err(match crate::diagnostic::did_you_mean(text, known.iter().copied()) {
                Some(hint) => problem.help(hint),
                None => problem,
            })
        })
    }
}
