//! Nodes: settings put together, and what of them is carried over.

use std::collections::HashMap;

use nslab_topology::Span;
use nslab_topology::yaml::{Kind, Value};

use super::reader::Reader;
use super::{Device, Importer, Topology, keys};
use crate::command::Interpreter;
use crate::draft::Line;
use crate::own_files;

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
    binds: Vec<(String, Span)>,
    ports: Vec<(String, Span)>,
    servers: Vec<(String, Span)>,
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
                "binds" => self.binds.extend(reader.texts(value, "a bind, `SOURCE:TARGET`")),
                "ports" => self.ports.extend(reader.texts(value, "a port, `HOST:PORT`")),
                "dns" => self.dns(reader, value)?,
                "stages" => self.stages(reader, value, key.span)?,
                other => {
                    let name = &key.text[..];
                    self.rest.push((name, key.span, keys::why_not(other)));
                }
            }
        }
        Some(())
    }

    fn dns(&mut self, reader: &mut Reader, value: &'a Value) -> Option<()> {
        for (key, value) in reader.entries(value, "a mapping with `servers`")? {
            if key.text == "servers" {
                self.servers.extend(reader.texts(value, "a name server"));
            } else {
                self.rest.push((&key.text, key.span, "a lab file has name servers only"));
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

impl Importer<'_> {
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
        self.own_files(written, index, &settings.binds);
        self.publish(index, &settings.ports);
        for (server, span) in settings.servers {
            let (place, text) = (self.place(span), format!("{written}: dns {server}"));
            self.draft.nodes[index].dns.push(Line { value: server, place, text });
        }
        let places: Vec<_> = settings.exec.iter().map(|(_, span)| self.place(*span)).collect();
        let staged: Vec<_> = settings.staged.iter().map(|(_, span, _)| self.place(*span)).collect();
        let cmd = settings.cmd.as_ref().map(|(_, span)| self.place(*span));
        let mut interpreter = Interpreter {
            draft: &mut self.draft,
            node: index,
            options: self.options,
            surroundings: self.surroundings,
            reading: Vec::new(),
            variables,
        };
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
    /// `binds`: copies of files, at the same places.
    fn own_files(&mut self, written: &str, index: usize, binds: &[(String, Span)]) {
        let lab = self.draft.name.clone();
        for (bind, span) in binds {
            let (place, text) = (self.place(*span), format!("bind {bind}"));
            let mut parts = bind.split(':');
            let (Some(source), Some(target)) = (parts.next(), parts.next()) else {
                self.draft.skip(&place, text, "it is a volume of the container's, which is empty at first");
                continue;
            };
            // What containerlab itself puts in their place (`varsRe` of its core).
            let source = source
                .replace("__clabNodeName__", written)
                .replace("__clabNodeDir__", &format!("clab-{lab}/{written}"))
                .replace("__clabDir__", &format!("clab-{lab}"));
            if source.starts_with('~') {
                self.draft.skip(&place, text, "whose home directory it is in is not known");
                continue;
            }
            let source = source.strip_prefix("./").unwrap_or(&source);
            own_files::carry_over(&mut self.draft, index, self.surroundings, (source, target), &place, &text);
        }
    }

    /// `ports`, as Docker's `--publish` has them.
    fn publish(&mut self, index: usize, ports: &[(String, Span)]) {
        for (port, span) in ports {
            let (place, text) = (self.place(*span), format!("port {port}"));
            match published(port) {
                Ok(all) => self.draft.nodes[index].publish.extend(all.into_iter().map(|value| Line {
                    value,
                    place: place.clone(),
                    text: text.clone(),
                })),
                Err(why) => self.draft.skip(&place, text, why),
            }
        }
    }
}

/// `[ADDRESS:]HOST:PORT[/PROTOCOL]`, ranges among them, in the words of a lab file.
fn published(text: &str) -> Result<Vec<String>, &'static str> {
    const MOST: u16 = 100;
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    if !matches!(protocol, "tcp" | "udp") {
        return Err("only TCP and UDP ports can be published");
    }
    let Some((host, own)) = ports.rsplit_once(':') else {
        return Err("Docker would choose the host's port, and a lab file names it");
    };
    let (address, host) = match host.rsplit_once(':') {
        Some((address, host)) => (format!("{address}:"), host),
        None => (String::new(), host),
    };
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
        (first <= last && last - first < MOST).then_some(first..=last)
    };
    let (Some(hosts), Some(own)) = (range(host), range(own)) else { return Err("it is no port") };
    if hosts.len() != own.len() {
        return Err("the two ranges are not of one length");
    }
    let tail = if protocol == "udp" { "/udp" } else { "" };
    Ok(hosts.zip(own).map(|(host, own)| format!("{address}{host}:{own}{tail}")).collect())
}

#[cfg(test)]
mod tests {
    use super::published;

    #[test]
    fn ports_as_dockers() {
        for (text, wanted) in [
            ("8080:80", &["8080:80"][..]),
            ("127.0.0.1:8080:80/tcp", &["127.0.0.1:8080:80"]),
            ("[::1]:53:53/udp", &["[::1]:53:53/udp"]),
            ("8000-8002:80-82", &["8000:80", "8001:81", "8002:82"]),
        ] {
            assert_eq!(published(text).unwrap(), wanted);
        }
        for text in ["80", "80:80/sctp", "a:b", "1-3:1-2", "90000:1", "1-60000:1-60000"] {
            assert!(published(text).is_err(), "{text}");
        }
    }
}
