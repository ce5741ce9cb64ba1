//! YAML values as a topology file has them.

use std::collections::HashMap;

use nslab_topology::yaml::{Key, Kind, Value};
use nslab_topology::{Diagnostic, Span};

/// Reads values and collects what is wrong with them.
pub(super) struct Reader {
    pub(super) errors: Vec<Diagnostic>,
}

impl Reader {
    pub(super) fn error(&mut self, span: Span, code: &'static str, message: &str, help: &str) {
        let mut error = Diagnostic::error(code, message).at(span, "");
        if !help.is_empty() {
            error = error.help(help);
        }
        self.errors.push(error);
    }

    fn wrong_type(&mut self, value: &Value, wanted: &str) {
        let message = format!("expected {wanted}, found {}", value.describe());
        self.error(value.span, "wrong-type", &message, "");
    }

    pub(super) fn entries<'a>(&mut self, value: &'a Value, wanted: &str) -> Option<&'a [(Key, Value)]> {
        match &value.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Null => Some(&[]),
            _ => {
                self.wrong_type(value, wanted);
                None
            }
        }
    }

    /// A mapping of names to whatever.
    pub(super) fn named<'a>(&mut self, value: &'a Value, what: &str) -> HashMap<&'a str, &'a Value> {
        let entries = self.entries(value, &format!("a mapping of {what}")).unwrap_or_default();
        entries.iter().map(|(key, value)| (key.text.as_str(), value)).collect()
    }

    /// A text or a number. Variables of the environment have the value that the file gives them where they are not set,
    /// `${NAME:=value}` or `${NAME:-value}`.
    pub(super) fn text(&mut self, value: &Value, wanted: &str) -> Option<String> {
        if let Kind::Scalar(scalar) = &value.kind {
            return Some(environment(&scalar.text));
        }
        self.wrong_type(value, wanted);
        None
    }

    /// A list of texts; one text stands for a list of it.
    pub(super) fn texts(&mut self, value: &Value, wanted: &str) -> Vec<(String, Span)> {
        let items = value.items();
        items.iter().filter_map(|item| Some((self.text(item, wanted)?, item.span))).collect()
    }

    /// A mapping of texts to texts.
    pub(super) fn pairs(&mut self, value: &Value, wanted: &str) -> Vec<(String, String, Span)> {
        let entries = self.entries(value, wanted).unwrap_or_default();
        entries
            .iter()
            .filter_map(|(key, value)| {
                let text = if matches!(value.kind, Kind::Null) {
                    String::new()
                } else {
                    self.text(value, "a text")?
                };
                Some((key.text.clone(), text, key.span))
            })
            .collect()
    }
}

fn environment(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let Some(length) = rest[at..].find('}') else {
            out.push_str(&rest[at..]);
            return out;
        };
        let inner = &rest[at + 2..at + length];
        match inner.split_once(":=").or_else(|| inner.split_once(":-")) {
            Some((_, value)) => out.push_str(value),
            None => out.push_str(&rest[at..=at + length]),
        }
        rest = &rest[at + length + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_values_that_the_file_gives_to_variables() {
        assert_eq!(environment("alpine:${TAG:=3.19}"), "alpine:3.19");
        assert_eq!(environment("${A:-x}/${B}/${"), "x/${B}/${");
    }
}
