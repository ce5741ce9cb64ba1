//! Parser events to a tree of values, within limits.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::mask::Mask;
use super::{Key, Kind, Scalar, Value};
use crate::diagnostic::{Diagnostic, Span};

/// The longest lab file in bytes.
const MAX_SOURCE: usize = 8 << 20;
/// The deepest nesting of lists and mappings. A lab file needs about eight.
const MAX_DEPTH: usize = 64;
/// The most values in a file.
const MAX_VALUES: usize = 2_000_000;
/// The most values that aliases may repeat.
const MAX_REPEATED: usize = 200_000;

/// Reads the one document of `source`. Errors found on the way go to `errors`; `None` means that nothing could be
/// made of it.
pub fn load(source: &str, errors: &mut Vec<Diagnostic>) -> Option<Value> {
    if source.len() > MAX_SOURCE {
        let size = source.len() >> 20;
        errors.push(
            Diagnostic::error("too-large", format!("the file has {size} MiB, a lab file may have 8"))
                .help("say what repeats once: `count: 1000` in a node makes a thousand of it"),
        );
        return None;
    }
    if let Some(at) =
        source.find(|c: char| c == '\0' || (c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}')))
    {
        let places = Places::new(source);
        let span = places.at_byte(at);
        errors.push(
            Diagnostic::error("not-text", "the file holds a control character; is it a text file?")
                .at(span, ""),
        );
        return None;
    }
    let (mask, hidden) = Mask::hide(source);
    let mut builder = Builder {
        places: Places::new(source),
        mask,
        errors,
        open: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        documents: 0,
        values: 0,
        repeated: 0,
    };
    let text = hidden.strip_prefix('\u{feff}').unwrap_or(&hidden);
    builder.places.skipped = usize::from(text.len() != hidden.len());
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                builder.syntax_error(error.marker(), error.info());
                return None;
            }
        };
        builder.event(event, span).ok()?;
    }
    if builder.root.is_none() {
        let span = Places::new(source).at_byte(0);
        errors.push(empty_file(span));
        return None;
    }
    builder.root
}

pub(crate) fn empty_file(span: Span) -> Diagnostic {
    Diagnostic::error("empty-file", "the lab file is empty")
        .at(span, "")
        .help("the smallest lab is `nodes: {a: {}, b: {}}` and `links: [[a, b]]`")
}

/// Reading cannot go on; the reason is among the errors.
struct Stop;

enum Open {
    List(Vec<Value>),
    Map(OpenMap),
}

/// A mapping that is being read.
#[derive(Default)]
struct OpenMap {
    entries: Vec<(Key, Value)>,
    /// Where each key was first written.
    known: HashMap<String, Span>,
    /// The key whose value comes next.
    key: Option<Key>,
    /// The `<<` whose value comes next.
    merge: Option<Span>,
    /// What `<<` brought in; it gives way to what is written.
    merged: Vec<(Key, Value)>,
}

impl OpenMap {
    fn close(self) -> Kind {
        let Self { mut entries, mut known, merged, .. } = self;
        for (key, value) in merged {
            if !known.contains_key(&key.text) {
                known.insert(key.text.clone(), key.span);
                entries.push((key, value));
            }
        }
        Kind::Map(entries)
    }

    /// `<<: *base` or `<<: [*one, *two]`.
    fn merge(&mut self, value: Value, errors: &mut Vec<Diagnostic>) {
        let span = value.span;
        let maps = match value.kind {
            Kind::List(items) => items,
            _ => vec![value],
        };
        for map in maps {
            let found = map.describe();
            let Kind::Map(more) = map.kind else {
                errors.push(
                    Diagnostic::error("wrong-type", format!("`<<` takes mappings, found {found}"))
                        .at(span, ""),
                );
                return;
            };
            self.merged.extend(more);
        }
    }
}

struct Frame {
    span: Span,
    anchor: usize,
    open: Open,
}

struct Builder<'a> {
    places: Places<'a>,
    mask: Mask,
    errors: &'a mut Vec<Diagnostic>,
    open: Vec<Frame>,
    root: Option<Value>,
    /// Values by anchor, and how many values each holds.
    anchors: HashMap<usize, (Value, usize)>,
    documents: usize,
    values: usize,
    repeated: usize,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: saphyr_parser::Span) -> Result<(), Stop> {
        let place = self.places.span(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return self.stop(
                        Diagnostic::error(
                            "several-documents",
                            "a lab file is one YAML document, here begins a second",
                        )
                        .at(place, "")
                        .help("put each lab into a file of its own"),
                    );
                }
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), place);
                let value = self.scalar(&text, style, place);
                self.value(value, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), place);
                self.enter(Open::List(Vec::new()), anchor, place)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), place);
                self.enter(Open::Map(OpenMap::default()), anchor, place)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Frame { mut span, anchor, open }) = self.open.pop() else { return Ok(()) };
                span.end = place.end.max(span.end);
                let kind = match open {
                    Open::List(items) => Kind::List(items),
                    Open::Map(map) => map.close(),
                };
                self.value(Value { span, kind }, anchor)
            }
        }
    }

    fn enter(&mut self, open: Open, anchor: usize, span: Span) -> Result<(), Stop> {
        if self.open.len() >= MAX_DEPTH {
            return self.stop(
                Diagnostic::error(
                    "too-deep",
                    format!("more than {MAX_DEPTH} lists and mappings within each other"),
                )
                .at(span, ""),
            );
        }
        self.open.push(Frame { span, anchor, open });
        Ok(())
    }

    fn scalar(&self, text: &str, style: ScalarStyle, span: Span) -> Value {
        let text = self.mask.show(text);
        let plain = style == ScalarStyle::Plain;
        if plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
            return Value { span, kind: Kind::Null };
        }
        let raw = self.places.source.get(span.start..span.end).unwrap_or_default();
        let offset = match style {
            ScalarStyle::Plain => (raw == text).then_some(0),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                (raw.len() == text.len() + 2 && raw[1..].starts_with(&text)).then_some(1)
            }
            ScalarStyle::Literal | ScalarStyle::Folded => None,
        };
        Value { span, kind: Kind::Scalar(Scalar { text, plain, offset }) }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stop> {
        let Some((value, size)) = self.anchors.get(&anchor) else {
            return self.stop(
                Diagnostic::error("alias", "this alias stands inside of what it repeats").at(span, ""),
            );
        };
        self.repeated = self.repeated.saturating_add(*size);
        if self.repeated > MAX_REPEATED {
            return self.stop(
                Diagnostic::error(
                    "too-large",
                    format!("the aliases of this file repeat more than {MAX_REPEATED} values"),
                )
                .at(span, "the limit is passed here")
                .help("`count:` in a node or link repeats it without aliases"),
            );
        }
        let value = value.clone();
        self.values += size;
        self.value(value, 0)
    }

    /// Takes a finished value into the collection that is open.
    fn value(&mut self, value: Value, anchor: usize) -> Result<(), Stop> {
        if anchor > 0 {
            let size = value.size();
            self.anchors.insert(anchor, (value.clone(), size));
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return self.stop(
                Diagnostic::error("too-large", format!("the file holds more than {MAX_VALUES} values"))
                    .at(value.span, ""),
            );
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(value);
            return Ok(());
        };
        match &mut frame.open {
            Open::List(items) => items.push(value),
            Open::Map(map) => {
                if map.merge.take().is_some() {
                    map.merge(value, self.errors);
                } else if let Some(key) = map.key.take() {
                    if let Some(&earlier) = map.known.get(&key.text) {
                        self.errors.push(
                            Diagnostic::error("duplicate-key", format!("`{}` is written twice", key.text))
                                .at(key.span, "again here")
                                .because(earlier, "first here"),
                        );
                    } else {
                        map.known.insert(key.text.clone(), key.span);
                        map.entries.push((key, value));
                    }
                } else {
                    match value.kind {
                        Kind::Scalar(Scalar { text, plain: true, .. }) if text == "<<" => {
                            map.merge = Some(value.span);
                        }
                        Kind::Scalar(Scalar { text, .. }) => map.key = Some(Key { text, span: value.span }),
                        _ => {
                            let found = value.describe();
                            return self.stop(
                                Diagnostic::error("bad-key", format!("a key must be a word, found {found}"))
                                    .at(value.span, ""),
                            );
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn refuse_tag(&mut self, tag: Option<&saphyr_parser::Tag>, span: Span) {
        if let Some(tag) = tag {
            self.errors.push(
                Diagnostic::error("tag", format!("a lab file has no use for YAML tags such as `{tag}`"))
                    .at(span, "")
                    .help("leave the tag out; quote a text that looks like a number"),
            );
        }
    }

    fn syntax_error(&mut self, marker: &Marker, info: &str) {
        let span = self.places.span(saphyr_parser::Span::empty(*marker));
        let mut error = Diagnostic::error("yaml-syntax", format!("this is not YAML: {info}")).at(span, "");
        let line = self.places.source[..span.start].rfind('\n').map_or(0, |at| at + 1);
        if self.places.source[line..]
            .chars()
            .take_while(|c| c.is_whitespace() && *c != '\n')
            .any(|c| c == '\t')
        {
            error = error.help("indent with spaces: YAML does not allow tabs");
        }
        self.errors.push(error);
    }

    fn stop(&mut self, error: Diagnostic) -> Result<(), Stop> {
        self.errors.push(error);
        Err(Stop)
    }
}

/// Turns the parser's character counts into places.
///
/// Lines are counted here, too: at the end of a file the parser is one ahead.
struct Places<'a> {
    source: &'a str,
    /// Byte offsets of the characters; empty if all of the source is ASCII.
    offsets: Vec<usize>,
    /// The lines' first characters.
    lines: Vec<usize>,
    /// Characters before the parser's beginning: the byte order mark.
    skipped: usize,
}

impl<'a> Places<'a> {
    fn new(source: &'a str) -> Self {
        let (mut offsets, mut lines) = (Vec::new(), vec![0]);
        if source.is_ascii() {
            lines.extend(source.match_indices('\n').map(|(offset, _)| offset + 1));
        } else {
            for (index, (offset, c)) in source.char_indices().enumerate() {
                offsets.push(offset);
                if c == '\n' {
                    lines.push(index + 1);
                }
            }
        }
        Self { source, offsets, lines, skipped: 0 }
    }

    fn byte(&self, index: usize) -> usize {
        if self.offsets.is_empty() {
            index.min(self.source.len())
        } else {
            self.offsets.get(index).copied().unwrap_or(self.source.len())
        }
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let characters = if self.offsets.is_empty() { self.source.len() } else { self.offsets.len() };
        let first = (span.start.index() + self.skipped).min(characters);
        let start = self.byte(first);
        let line = self.lines.partition_point(|begin| *begin <= first);
        Span {
            start,
            end: self.byte(span.end.index() + self.skipped).max(start),
            line,
            column: first - self.lines[line - 1] + 1,
        }
    }

    /// The place of one character.
    fn at_byte(&self, at: usize) -> Span {
        let before = &self.source[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Span {
            start: at,
            end: at + self.source[at..].chars().next().map_or(0, char::len_utf8),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}
