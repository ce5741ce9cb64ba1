//! containerlab topology files (`*.clab.yml`).
//!
//! Nodes of kind `linux` become nodes, `bridge` and `ovs-bridge` switches. A node's settings come from `defaults`, `kinds`,
//! `groups` and the node itself, each over the one before, as containerlab has it; `exec`, `env`, `sysctls` and the like are
//! put together. Facts of the format: <https://containerlab.dev/manual/topo-def-file/> and
//! <https://containerlab.dev/manual/nodes/>.

mod keys;
mod link;
mod node;
mod reader;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nslab_topology::yaml::{self, Kind, Value};
use nslab_topology::{Diagnostic, Span};

use crate::draft::{Draft, Node, Switch};
use crate::{Imported, Malformed, Options, Place, Source, Surroundings, check, names};

use reader::Reader;

/// Reads a topology file.
pub fn import(
    source: &Source<'_>,
    options: &Options,
    surroundings: &dyn Surroundings,
) -> Result<Imported, Malformed> {
    let mut errors = Vec::new();
    let root = if source.text.trim().is_empty() {
        errors.push(
            Diagnostic::error("empty-file", "the topology file is empty")
                .at(source.span(0, 0), "")
                .help(SHAPE),
        );
        None
    } else {
        yaml::load(source.text, &mut errors)
    };
    let Some(root) = root.filter(|_| errors.is_empty()) else { return Err(source.wrong(errors)) };
    let mut importer = Importer {
        reader: Reader { errors },
        draft: Draft::default(),
        options: *options,
        surroundings,
        file: Arc::from(source.name),
        devices: HashMap::new(),
        taken: HashSet::new(),
        used: HashMap::new(),
    };
    importer.root(&root);
    if !importer.reader.errors.is_empty() {
        return Err(source.wrong(importer.reader.errors));
    }
    check::finish(importer.draft)
}

const SHAPE: &str = "a topology file has `name:` and `topology:` with `nodes:` and `links:`";

/// What became of a node.
#[derive(Debug, Clone)]
enum Device {
    /// A node, by its name in the lab.
    Node(String),
    /// A switch, by its name in the lab.
    Switch(String),
    /// The host: links to it cannot be made.
    Host,
    /// It is not part of the lab.
    Skipped(String),
}

struct Importer<'s> {
    reader: Reader,
    draft: Draft,
    options: Options,
    surroundings: &'s dyn Surroundings,
    file: Arc<str>,
    devices: HashMap<String, Device>,
    /// The names of nodes and switches.
    taken: HashSet<String>,
    /// The interfaces in use, and where.
    used: HashMap<(String, String), Span>,
}

/// `topology:`.
#[derive(Default)]
struct Topology<'a> {
    defaults: Option<&'a Value>,
    kinds: HashMap<&'a str, &'a Value>,
    groups: HashMap<&'a str, &'a Value>,
    nodes: Option<&'a Value>,
    links: Option<&'a Value>,
}

impl Importer<'_> {
    fn place(&self, span: Span) -> Place {
        Place::new(&self.file, span.line)
    }

    fn skip(&mut self, span: Span, what: impl Into<String>, why: impl Into<String>) {
        let place = self.place(span);
        self.draft.skip(&place, what, why);
    }

    fn root(&mut self, root: &Value) {
        let Some(entries) = self.reader.entries(root, SHAPE) else { return };
        let (mut name, mut topology) = (None, None);
        for (key, value) in entries {
            match key.text.as_str() {
                "name" => name = self.reader.text(value, "the lab's name"),
                "prefix" => {
                    // `prefix:` without a value is the empty one.
                    let text = if value.is_empty() {
                        Some(String::new())
                    } else {
                        self.reader.text(value, "a prefix")
                    };
                    self.draft.prefix = text;
                }
                "topology" => topology = Some(value),
                "mgmt" => {
                    self.skip(key.span, "mgmt", "nodes have no management network; `nslab exec` enters them");
                }
                other => self.skip(key.span, other, "nslab has no such setting"),
            }
        }
        let Some(name) = name else {
            if self.reader.errors.is_empty() {
                self.reader.error(root.span, "missing-name", "the topology has no `name`", SHAPE);
            }
            return;
        };
        let Some(topology) = topology else {
            self.reader.error(root.span, "missing-topology", "there is no `topology`", SHAPE);
            return;
        };
        self.draft.name = names::allowed(&name, "lab");
        self.draft.prefix = match self.draft.prefix.take().as_deref() {
            None | Some("clab" | "__lab-name") => None,
            Some("") => Some(String::new()),
            Some(other) => Some(format!("{other}-{}-", self.draft.name)),
        };
        self.draft.header = vec![format!("Imported from {}, a containerlab topology file.", self.file)];
        self.topology(topology);
    }

    fn topology(&mut self, value: &Value) {
        let Some(entries) = self.reader.entries(value, "`nodes:` and `links:`") else { return };
        let mut topology = Topology::default();
        for (key, value) in entries {
            match key.text.as_str() {
                "defaults" => topology.defaults = Some(value),
                "kinds" => topology.kinds = self.reader.named(value, "kinds"),
                "groups" => topology.groups = self.reader.named(value, "groups"),
                "nodes" => topology.nodes = Some(value),
                "links" => topology.links = Some(value),
                other => self.skip(key.span, other, "nslab has no such setting"),
            }
        }
        let Some(nodes) = topology.nodes.filter(|nodes| !nodes.is_empty()) else {
            self.reader.error(value.span, "missing-nodes", "the topology has no `nodes`", SHAPE);
            return;
        };
        let Some(nodes) = self.reader.entries(nodes, "a mapping of names to nodes") else { return };
        let mut merged = Vec::new();
        for (key, value) in nodes {
            let Some(settings) = node::Settings::merge(&mut self.reader, &topology, value) else { continue };
            let Some(kind) = settings.kind.clone() else {
                self.reader.error(
                    key.span,
                    "missing-kind",
                    &format!("node {} has no `kind`", key.text),
                    "give it one, or set one in `topology.defaults`",
                );
                continue;
            };
            self.device(&key.text, key.span, &kind, &settings);
            merged.push((key, settings));
        }
        if let Some(links) = topology.links {
            for link in links.items() {
                self.link(link);
            }
        }
        if !self.reader.errors.is_empty() {
            return;
        }
        // Only now is it known which interfaces there are.
        for (key, settings) in merged {
            self.configure(&key.text, settings);
        }
        if self.draft.links.iter().any(|link| link.mtu.is_none()) {
            self.draft
                .notes
                .push("links without `mtu` have an MTU of 1500; containerlab gives them 9500".to_owned());
        }
    }

    /// Decides what a node becomes.
    fn device(&mut self, written: &str, span: Span, kind: &str, settings: &node::Settings<'_>) {
        let place = self.place(span);
        let name = |taken: &mut HashSet<String>| names::free(&names::allowed(written, "node"), taken);
        let device = match keys::kind(kind) {
            keys::Kind::Linux => match settings.network_mode.as_deref() {
                None | Some("none" | "bridge") => {
                    let name = name(&mut self.taken);
                    let comment = match &settings.image {
                        Some(image) => format!("linux, image {image}"),
                        None => "linux".to_owned(),
                    };
                    self.draft.nodes.push(Node::new(name.clone(), place, comment));
                    Device::Node(name)
                }
                Some(mode) => {
                    let why = format!("`network-mode: {mode}`: it has no network of its own");
                    self.skip(span, format!("node {written}"), why);
                    Device::Skipped("it has no network of its own".to_owned())
                }
            },
            keys::Kind::Bridge => {
                let name = name(&mut self.taken);
                let comment = format!("{kind}; containerlab takes one that the host has");
                self.draft.switches.push(Switch { name: name.clone(), place, comment });
                Device::Switch(name)
            }
            keys::Kind::Host => {
                self.skip(span, format!("node {written}"), "the host itself is not part of a lab");
                Device::Host
            }
            keys::Kind::Existing => {
                self.skip(
                    span,
                    format!("node {written}"),
                    format!("kind {kind}: it is a container that exists already"),
                );
                Device::Skipped("it is a container that exists already".to_owned())
            }
            keys::Kind::Image if self.options.stand_ins => {
                let name = name(&mut self.taken);
                let why =
                    format!("kind {kind} needs its image: a plain router without addresses stands in for it");
                self.skip(span, format!("node {written}"), why);
                let mut node = Node::new(name.clone(), place, format!("stands in for {kind}"));
                node.forward = Some("a stand-in".to_owned());
                self.draft.nodes.push(node);
                Device::Node(name)
            }
            keys::Kind::Image => {
                let image = settings.image.as_ref().map_or_else(String::new, |image| format!(", {image}"));
                self.skip(span, format!("node {written}"), format!("kind {kind} needs its image{image}"));
                Device::Skipped(format!("kind {kind} needs its image"))
            }
        };
        self.devices.insert(written.to_owned(), device);
    }

    /// Whether a value is a mapping.
    fn is_map(value: &Value) -> bool {
        matches!(value.kind, Kind::Map(_))
    }
}
