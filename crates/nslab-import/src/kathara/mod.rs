//! Kathará labs: a directory with `lab.conf`, a `NAME.startup` for each device, and more.
//!
//! A device becomes a node, a collision domain with two devices a cable, any other a switch. Facts of the format:
//! kathara-lab.conf(5), kathara-lab-dirs(7), kathara-lab.dep(5), and Netkit's before it.

mod conf;
mod order;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use nslab_types::MacAddr;

use crate::command::Interpreter;
use crate::draft::{Draft, End, Line, Link, Node, Switch};
use crate::{Imported, Malformed, Options, Place, Source, Surroundings, check, names, own_files};

use conf::{Conf, Setting};

/// The files of a lab.
#[derive(Debug, Clone, Default)]
pub struct Files<'a> {
    /// The directory's name, which is the lab's if `lab.conf` gives it none.
    pub directory: &'a str,
    /// `lab.conf`.
    pub conf: Option<Source<'a>>,
    /// `lab.dep`.
    pub dependencies: Option<Source<'a>>,
    /// `NAME.startup` by device; `shared` is for all.
    pub startup: BTreeMap<&'a str, Source<'a>>,
    /// `NAME.shutdown` by device.
    pub shutdown: BTreeMap<&'a str, Source<'a>>,
    /// The names of the directories beside `lab.conf`: what is in them is copied into the devices.
    pub directories: Vec<&'a str>,
    /// Other files that mean something to Kathará, as `lab.ext`.
    pub others: Vec<&'a str>,
}

impl<'a> Files<'a> {
    /// Takes a file of the lab's directory by its name, if it means something.
    pub fn take(&mut self, file: Source<'a>) {
        match file.name {
            "lab.conf" => self.conf = Some(file),
            "lab.dep" => self.dependencies = Some(file),
            "lab.ext" | "lab.int" => self.others.push(file.name),
            name => {
                if let Some(device) = name.strip_suffix(".startup") {
                    self.startup.insert(device, file);
                } else if let Some(device) = name.strip_suffix(".shutdown") {
                    self.shutdown.insert(device, file);
                }
            }
        }
    }
}

/// Reads a lab.
pub fn import(
    files: &Files<'_>,
    options: &Options,
    surroundings: &dyn Surroundings,
) -> Result<Imported, Malformed> {
    let nothing = Source { name: "lab.conf", text: "" };
    let source = files.conf.as_ref().unwrap_or(&nothing);
    let conf = conf::read(source)?;
    let mut importer = Importer {
        files,
        surroundings,
        options: *options,
        file: Arc::from(source.name),
        draft: Draft::default(),
        names: HashMap::new(),
    };
    let ranks = match &files.dependencies {
        Some(dependencies) => order::read(dependencies, &conf)?,
        None => HashMap::new(),
    };
    importer.lab(&conf, &ranks);
    check::finish(importer.draft)
}

struct Importer<'a> {
    files: &'a Files<'a>,
    surroundings: &'a dyn Surroundings,
    options: Options,
    file: Arc<str>,
    draft: Draft,
    /// The nodes' names by the devices'.
    names: HashMap<String, String>,
}

/// One device's place on a collision domain.
struct Plug {
    node: String,
    interface: String,
    mac: Option<MacAddr>,
    line: usize,
}

/// `HOST_PORT:PORT[/PROTOCOL]` or `PORT[/PROTOCOL]`, for which Kathará has the host's port 3000 (kathara-lab.conf(5)), in
/// the words of a lab file.
fn published(text: &str) -> Option<String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (host, own) = ports.split_once(':').unwrap_or(("3000", ports));
    let number = |text: &str| text.trim().parse::<u16>().ok();
    matches!(protocol, "tcp" | "udp").then_some(())?;
    Some(format!("{}:{}/{protocol}", number(host)?, number(own)?).replace("/tcp", ""))
}

impl Importer<'_> {
    fn place(&self, line: usize) -> Place {
        Place::new(&self.file, line)
    }

    fn lab(&mut self, conf: &Conf, ranks: &HashMap<String, usize>) {
        let directory = self.files.directory;
        self.draft.name = names::allowed(conf.name.as_deref().unwrap_or(directory), "lab");
        self.draft.header = vec![format!("Imported from {directory}, a Kathará lab.")];
        self.draft.header.extend(conf.about.iter().map(|(what, text)| format!("{what}: {text}")));
        for (line, what) in &conf.unknown {
            let place = self.place(*line);
            self.draft.skip(&place, what, "nslab has no such setting");
        }
        let mut taken = HashSet::new();
        let mut devices: Vec<&conf::Device> = conf.devices.iter().collect();
        // Programs are started in the order of the nodes.
        devices.sort_by_key(|device| ranks.get(&device.name).copied().unwrap_or(0));
        for device in devices {
            let name = names::free(&names::allowed(&device.name, "node"), &mut taken);
            self.names.insert(device.name.clone(), name.clone());
            let image = device.settings.iter().rev().find(|setting| setting.key == "image");
            let comment =
                image.map_or_else(|| "device".to_owned(), |image| format!("device, image {}", image.value));
            self.draft.nodes.push(Node::new(name, self.place(device.line), comment));
        }
        self.domains(conf, &mut taken);
        for device in &conf.devices {
            self.configure(device);
        }
        self.leftovers(conf);
    }

    /// Cables and switches.
    fn domains(&mut self, conf: &Conf, taken: &mut HashSet<String>) {
        let mut domains: Vec<(&str, Vec<Plug>)> = Vec::new();
        for device in &conf.devices {
            for (number, interface) in &device.interfaces {
                let plug = Plug {
                    node: self.names[&device.name].clone(),
                    interface: format!("eth{number}"),
                    mac: interface.mac,
                    line: interface.line,
                };
                match domains.iter_mut().find(|(name, _)| *name == interface.domain) {
                    Some((_, plugs)) => plugs.push(plug),
                    None => domains.push((&interface.domain, vec![plug])),
                }
            }
        }
        for (name, plugs) in domains {
            let comment = format!("collision domain {name}");
            let end = |plug: &Plug| {
                let mut end = End::new(&plug.node, Some(plug.interface.clone()));
                end.mac = plug.mac;
                end
            };
            if let [one, other] = &plugs[..]
                && one.node != other.node
            {
                let place = self.place(one.line);
                self.draft.link(Link { ends: [end(one), end(other)], mtu: None, place, comment });
                continue;
            }
            let switch = names::free(&names::allowed(name, "lan"), taken);
            let place = self.place(plugs[0].line);
            self.draft.switches.push(Switch { name: switch.clone(), place, comment });
            for plug in &plugs {
                let place = self.place(plug.line);
                let ends = [end(plug), End::new(&switch, None)];
                self.draft.link(Link { ends, mtu: None, place, comment: String::new() });
            }
        }
    }

    fn configure(&mut self, device: &conf::Device) {
        let name = self.names[&device.name].clone();
        let Some(index) = self.draft.nodes.iter().position(|node| node.name == name) else { return };
        if device.interfaces.len() > 1 {
            // As Kathará's own containers do (`net.ipv4.ip_forward=1`).
            self.draft.nodes[index].forward = Some("devices forward".to_owned());
        }
        let mut variables = HashMap::new();
        let mut commands = Vec::new();
        for Setting { key, value, line } in &device.settings {
            let place = self.place(*line);
            let text = format!("{}[{key}]={value}", device.name);
            match key.as_str() {
                "sysctl" => match value.split_once('=') {
                    Some((name, value)) if name.trim().starts_with("net.") => {
                        self.draft.nodes[index].sysctl(name.trim(), value, &place, &text);
                    }
                    _ => self.draft.skip(&place, text, "it belongs to the whole machine, not to a node"),
                },
                "env" => match value.split_once('=') {
                    Some((name, value)) => {
                        let entry = (name.trim().to_owned(), value.to_owned());
                        variables.insert(entry.0.clone(), entry.1.clone());
                        let env = &mut self.draft.nodes[index].env;
                        env.retain(|known| known.value.0 != entry.0);
                        env.push(Line { value: entry, place, text });
                    }
                    None => self.draft.skip(&place, text, "it gives the variable no value"),
                },
                "exec" => commands.push((value.clone(), place)),
                "image" => self.draft.skip(&place, text, "programs in the node are this machine's"),
                "bridged" if matches!(&value[..], "false" | "False" | "0") => {}
                "bridged" => self.draft.nodes[index].way_out = Some(place.to_string()),
                "port" => match published(value) {
                    Some(port) => {
                        self.draft.nodes[index].publish.push(Line { value: port, place, text });
                    }
                    None => self.draft.skip(&place, text, "only TCP and UDP ports can be published"),
                },
                "ipv6" => {
                    if value == "false" {
                        let key = "net.ipv6.conf.all.disable_ipv6";
                        self.draft.nodes[index].sysctl(key, "1", &place, &text);
                    }
                }
                _ => self.draft.skip(&place, text, conf::why_not(key)),
            }
        }
        if self.files.directories.contains(&&device.name[..]) {
            let place = Place::new(&Arc::from(&device.name[..]), 1);
            let text = format!("{}/", device.name);
            let ways = (&device.name[..], "/");
            own_files::carry_over(&mut self.draft, index, self.surroundings, ways, &place, &text);
        }
        let shared = self.files.startup.get("shared").copied();
        let own = self.files.startup.get(&device.name[..]).copied();
        let mut interpreter = Interpreter {
            draft: &mut self.draft,
            node: index,
            options: self.options,
            surroundings: self.surroundings,
            reading: Vec::new(),
            variables,
        };
        for source in [shared, own].into_iter().flatten() {
            let file: Arc<str> = Arc::from(source.name);
            interpreter.script(source.text, &|line| Place::new(&file, line));
        }
        for (text, place) in commands {
            interpreter.script(&text, &|_| place.clone());
        }
    }

    /// Files that are not carried over.
    fn leftovers(&mut self, conf: &Conf) {
        let devices: HashSet<&str> = conf.devices.iter().map(|device| &device.name[..]).collect();
        for (device, source) in &self.files.startup {
            if *device != "shared" && !devices.contains(device) {
                let place = Place::new(&Arc::from(source.name), 1);
                self.draft.skip(&place, source.name, format!("lab.conf has no device {device}"));
            }
        }
        for source in self.files.shutdown.values() {
            let place = Place::new(&Arc::from(source.name), 1);
            self.draft.skip(&place, source.name, "`nslab down` takes everything away");
        }
        for directory in self.files.directories.iter().filter(|directory| **directory == "shared") {
            let place = Place::new(&Arc::from(*directory), 1);
            self.draft.skip(
                &place,
                format!("{directory}/"),
                "all devices share it; a node's own files are copies",
            );
        }
        for name in &self.files.others {
            let place = Place::new(&Arc::from(*name), 1);
            self.draft.skip(&place, *name, "nslab has no use for it");
        }
    }
}
