//! What is wrong with a lab file, with the lines shown.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use nslab_topology::{Diagnostic, Severity};

use crate::Style;

/// A diagnostic as compilers show them: the message, the lines that it is about, notes and help. `source` is the file's
/// text and `file` its name.
pub fn diagnostic(diagnostic: &Diagnostic, source: &str, file: &str, style: &Style) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(&diagnostic.message).id(diagnostic.code));
    let annotations = diagnostic.labels.iter().map(|label| {
        let kind = if label.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let text = (!label.text.is_empty()).then_some(label.text.as_str());
        kind.span(within(source, label.span.start, label.span.end)).label(text)
    });
    let mut annotations = annotations.peekable();
    if annotations.peek().is_some() {
        group = group.element(Snippet::source(source).path(file).annotations(annotations));
    }
    group = group.elements(diagnostic.notes.iter().map(|note| Level::NOTE.message(note)));
    group = group.elements(diagnostic.help.iter().map(|help| Level::HELP.message(help)));
    let renderer = if style.color { Renderer::styled() } else { Renderer::plain() };
    let decor = if style.unicode { DecorStyle::Unicode } else { DecorStyle::Ascii };
    renderer.term_width(style.width).decor_style(decor).render(&[group]) + "\n"
}

/// The range as far as it lies in the text and between its characters.
fn within(source: &str, start: usize, end: usize) -> std::ops::Range<usize> {
    let boundary = |place: &usize| source.is_char_boundary(*place);
    let start = (0..=start.min(source.len())).rev().find(boundary).unwrap_or(0);
    start..(end.clamp(start, source.len())..source.len()).find(boundary).unwrap_or(source.len())
}

#[cfg(test)]
mod tests {
    use nslab_topology::Span;

    use super::*;

    #[test]
    fn shows_the_line() {
        let source = "nodes:\n  red: {}\nlinks:\n  - [red, bleu]\n";
        let start = source.find("bleu").unwrap();
        let span = Span { start, end: start + 4, line: 4, column: 11 };
        let problem = Diagnostic::error("unknown-node", "there is no node or switch \"bleu\"")
            .at(span, "not among the nodes")
            .help("did you mean \"blue\"?");
        let style = Style { unicode: false, ..Style::default() };
        let text = diagnostic(&problem, source, "lab.yaml", &style);
        let expected = "\
error[unknown-node]: there is no node or switch \"bleu\"
 --> lab.yaml:4:11
  |
4 |   - [red, bleu]
  |           ^^^^ not among the nodes
  |
  = help: did you mean \"blue\"?
";
        assert_eq!(text, expected, "{text}");
    }

    #[test]
    fn survives_places_that_are_not_there() {
        let problem =
            Diagnostic::warning("w", "text").at(Span { start: 1, end: 900, line: 1, column: 2 }, "");
        for source in ["", "ü", "x\n"] {
            assert!(diagnostic(&problem, source, "f", &Style::default()).contains("warning[w]: text"));
        }
        assert_eq!(
            diagnostic(&Diagnostic::error("e", "no place"), "", "f", &Style::default()),
            "error[e]: no place\n"
        );
    }
}
