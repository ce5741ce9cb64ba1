//! Nodes: settings put together, and what of them is carried over.

use std::collections::HashMap;

use nslab_topology::Span;
use nslab_topology::yaml::{Kind, Value};

use super::reader::Reader;
use super::{Device, Importer, Topology, keys};
use crate::command::Interpreter;
use crate::draft::Line;

/// A node's settings: its own over its group's over its kind's over the defaults.
#[derive(Default)]
pub(super) struct Settings<'a> {
    pub(super) kind: Option<String>,
    pub(super) image: Option<String>,
    pub(super) network_mode: Option<String>,
    image_span: Option<Span>,
    cmd: Option<(String, Span)>,
    exec: Vec<(String, Span)>,
    /// Commands of stages: whether they are for the host, too.
    staged: Vec<(String, Span, bool)>,
    env: Vec<(String, String, Span)>,
    sysctls: Vec<(String, String, Span)>,
    /// What is not carried over.
    rest: Vec<(&'a str, Span, &'static str)>,
}

impl<'a> Settings<'a> {
    /// Puts a node's settings together.
    pub(super) fn merge(reader: &mut Reader, topology: &Topology<'a>, own: &'a Value) -> Option<Self> {
        let group = word(reader, own, "group")
            .or_else(|| topology.defaults.and_then(|defaults| word(reader, defaults, "group")));
        let group = group.and_then(|name| topology.groups.get(&name[..]).copied());
        let kind = [Some(own), group, topology.defaults]
            .into_iter()
            .flatten()
            .find_map(|level| word(reader, level, "kind"));
        let of_kind = kind.as_ref().and_then(|kind| topology.kinds.get(&kind[..]).copied());
        let mut settings = Self { kind, ..Self::default() };
        for level in [topology.defaults, of_kind, group, Some(own)].into_iter().flatten() {
            settings.take(reader, level)?;
        }
        Some(settings)
    }

    fn take(&mut self, reader: &mut Reader, level: &'a Value) -> Option<()> {
        for (key, value) in reader.entries(level, "a mapping of a node's settings")? {
            match key.text.as_str() {
                "kind" | "group" => {}
                "image" => {
                    self.image = reader.text(value, "an image");
                    self.image_span = Some(key.span);
                }
                "network-mode" => self.network_mode = reader.text(value, "a network mode"),
                "cmd" => {
                    let text = match &value.kind {
                        Kind::List(_) => reader
                            .texts(value, "a word")
                            .into_iter()
                            .map(|(word, _)| word)
                            .collect::<Vec<_>>()
                            .join(" "),
                        _ => reader.text(value, "a command")?,
                    };
                    self.cmd = Some((text, key.span));
                }
                "exec" => self.exec.extend(reader.texts(value, "a command")),
                "env" => self.env.extend(reader.pairs(value, "a mapping of variables")),
                "sysctls" => self.sysctls.extend(reader.pairs(value, "a mapping of sysctls")),
                "stages" => self.stages(reader, value, key.span)?,
                other => {
                    let name = &key.text[..];
                    self.rest.push((name, key.span, keys::why_not(other)));
                }
            }
        }
        Some(())
    }

    fn stages(&mut self, reader: &mut Reader, value: &'a Value, span: Span) -> Option<()> {
        for (stage, value) in reader.entries(value, "a mapping of stages")? {
            for (key, value) in reader.entries(value, "`wait-for` and `exec`")? {
                match key.text.as_str() {
                    "wait-for" => {
                        self.rest.push((
                            "stages: wait-for",
                            key.span,
                            "all nodes are there before any program starts",
                        ));
                    }
                    "exec" => self.stage_exec(reader, value)?,
                    _ => self.rest.push((&stage.text, span, "nslab has no such setting")),
                }
            }
        }
        Some(())
    }

    /// A list of mappings with `command`, or lists of commands by `on-enter` and `on-exit`.
    fn stage_exec(&mut self, reader: &mut Reader, value: &'a Value) -> Option<()> {
        if let Kind::Map(entries) = &value.kind {
            for (_, commands) in entries {
                self.staged.extend(
                    reader.texts(commands, "a command").into_iter().map(|(text, span)| (text, span, false)),
                );
            }
            return Some(());
        }
        for item in value.items() {
            let (mut command, mut host) = (None, false);
            for (key, value) in reader.entries(item, "a mapping with `command`")? {
                match key.text.as_str() {
                    "command" => command = reader.text(value, "a command").map(|text| (text, value.span)),
                    "target" => host = reader.text(value, "a target").is_some_and(|target| target == "host"),
                    _ => {}
                }
            }
            self.staged.extend(command.map(|(text, span)| (text, span, host)));
        }
        Some(())
    }
}

/// A setting's text, of one level.
fn word(reader: &mut Reader, level: &Value, name: &str) -> Option<String> {
    let Kind::Map(entries) = &level.kind else { return None };
    let (_, value) = entries.iter().find(|(key, _)| key.text == name)?;
    reader.text(value, "a word")
}

impl Importer {
    /// Carries over a node's settings, once its links are known.
    pub(super) fn configure(&mut self, written: &str, settings: Settings<'_>) {
        let kind = settings.kind.as_deref().map(keys::kind);
        for (name, span, why) in &settings.rest {
            // Of a node that is not there it is enough to say that.
            if matches!(self.devices.get(written), Some(Device::Node(_) | Device::Switch(_))) {
                self.skip(*span, format!("{written}: {name}"), *why);
            }
        }
        let Some(Device::Node(name)) = self.devices.get(written).cloned() else { return };
        let Some(index) = self.draft.nodes.iter().position(|node| node.name == name) else { return };
        if kind != Some(keys::Kind::Linux) {
            return;
        }
        if let (Some(image), Some(span)) = (&settings.image, settings.image_span) {
            self.skip(span, format!("image {image}"), "programs in the node are this machine's");
        }
        let links =
            self.draft.links.iter().flat_map(|link| &link.ends).filter(|end| end.device == name).count();
        if links > 1 {
            // Docker turns forwarding on, for the host and so for every new namespace.
            self.draft.nodes[index].forward = Some("containers forward".to_owned());
        }
        let mut variables = HashMap::new();
        for (name, value, span) in settings.env {
            let place = self.place(span);
            let line =
                Line { value: (name.clone(), value.clone()), place, text: format!("{written}: env {name}") };
            let env = &mut self.draft.nodes[index].env;
            env.retain(|known| known.value.0 != name);
            env.push(line);
            variables.insert(name, value);
        }
        for (key, value, span) in settings.sysctls {
            let place = self.place(span);
            let text = format!("{written}: sysctl {key}");
            if key.replace('/', ".").starts_with("net.") {
                self.draft.nodes[index].sysctl(&key, &value, &place, &text);
            } else {
                self.draft.skip(&place, text, "it belongs to the whole machine, not to a node");
            }
        }
        let places: Vec<_> = settings.exec.iter().map(|(_, span)| self.place(*span)).collect();
        let staged: Vec<_> = settings.staged.iter().map(|(_, span, _)| self.place(*span)).collect();
        let cmd = settings.cmd.as_ref().map(|(_, span)| self.place(*span));
        let mut interpreter =
            Interpreter { draft: &mut self.draft, node: index, options: self.options, variables };
        for ((text, _), place) in settings.exec.iter().zip(&places) {
            interpreter.exec(text, place);
        }
        for ((text, _, host), place) in settings.staged.iter().zip(&staged) {
            if *host {
                interpreter.draft.skip(place, text.trim(), "it is to run on the host");
            } else {
                interpreter.exec(text, place);
            }
        }
        if let (Some((text, _)), Some(place)) = (&settings.cmd, &cmd) {
            interpreter.daemon(text, place);
        }
    }
}
