//! Links plugged into nodes and switches: which end is where, and the interfaces' names.

use std::collections::HashMap;

use nslab_types::IfName;

use super::Problems;
use super::names::RESERVED_INTERFACES;
use crate::diagnostic::{Diagnostic, Span, did_you_mean};
use crate::lab::{End, Interface, Lab, Link};
use crate::model::Device;

/// The most ports of a Linux bridge: `BR_MAX_PORTS` less the number 0 (`find_portno`, `net/bridge/br_if.c`).
pub(crate) const MAX_PORTS: usize = 1023;

/// One end of a link, plugged in.
pub(crate) struct Port<'a> {
    pub(crate) end: &'a End,
    pub(crate) device: Device,
    pub(crate) name: IfName,
    /// The name that was meant where `name` had to be shortened.
    pub(crate) full: Option<String>,
}

impl Port<'_> {
    /// The name that was meant.
    pub(crate) fn meant(&self) -> &str {
        self.full.as_deref().unwrap_or(self.name.as_str())
    }

    /// Where its interface is named, or else what it is plugged into.
    pub(crate) fn place(&self) -> Option<Span> {
        self.end.interface.as_ref().map_or(self.end.device.span, |interface| interface.span)
    }
}

/// All links that could be plugged in: the two ports of `links[n]` are `ports[2 * n]`, a node's if there is one, and
/// `ports[2 * n + 1]`.
pub(crate) struct Plugged<'a> {
    pub(crate) links: Vec<&'a Link>,
    pub(crate) ports: Vec<Port<'a>>,
    /// Interfaces that are no ends of links, whose ports come after the others in the same order.
    pub(crate) interfaces: Vec<&'a Interface>,
}

/// Finds what the ends name and names their interfaces.
pub(crate) fn plug<'a>(
    lab: &'a Lab,
    devices: &HashMap<&str, Device>,
    problems: &mut Problems,
) -> Plugged<'a> {
    let mut links = Vec::with_capacity(lab.links.len());
    let mut plugs = Vec::with_capacity(lab.links.len() * 2);
    for link in &lab.links {
        let [one, two] = [0, 1].map(|side| find(lab, &link.ends[side], devices, problems));
        let (Some(one), Some(two)) = (one, two) else { continue };
        if one == two {
            let name = &link.ends[0].device.value;
            problems.push(
                Diagnostic::error("self-link", format!("this link joins `{name}` to itself"))
                    .at(link.ends[1].device.span, "")
                    .because(link.ends[0].device.span, "the other end"),
            );
            continue;
        }
        links.push(link);
        let mut ends = [(one, &link.ends[0]), (two, &link.ends[1])];
        if matches!((one, two), (Device::Switch(_), Device::Node(_))) {
            ends.swap(0, 1);
        }
        plugs.extend(ends);
    }
    count_ports(lab, &plugs, problems);
    let mut interfaces = Vec::new();
    for (index, node) in lab.nodes.iter().enumerate() {
        interfaces.extend(&node.interfaces);
        plugs.extend(node.interfaces.iter().map(|interface| (Device::Node(index), &interface.end)));
    }
    let names = Naming::new(lab, &plugs, 2 * links.len(), problems).finish(problems);
    let ports =
        plugs.into_iter().zip(names).map(|((device, end), (name, full))| Port { end, device, name, full });
    Plugged { links, ports: ports.collect(), interfaces }
}

fn find(lab: &Lab, end: &End, devices: &HashMap<&str, Device>, problems: &mut Problems) -> Option<Device> {
    let found = devices.get(end.device.as_str()).copied();
    // An empty name was reported where it was read.
    if found.is_none() && !end.device.is_empty() {
        let name = &end.device.value;
        let mut error = Diagnostic::error("unknown-node", format!("there is no node or switch `{name}`"))
            .at(end.device.span, "");
        match did_you_mean(name, lab.device_names()) {
            Some(hint) => error = error.help(hint),
            None => error = error.help(format!("name it in `nodes:` or `switches:`, as `{name}: {{}}`")),
        }
        problems.push(error);
    }
    found
}

fn count_ports(lab: &Lab, plugs: &[(Device, &End)], problems: &mut Problems) {
    let mut counts = vec![0_usize; lab.switches.len()];
    let mut passed: HashMap<usize, Option<Span>> = HashMap::new();
    for (index, (device, _)) in plugs.iter().enumerate() {
        if let Device::Switch(switch) = *device {
            counts[switch] += 1;
            if counts[switch] == MAX_PORTS + 1 {
                passed.insert(switch, plugs[index ^ 1].1.device.span);
            }
        }
    }
    for (switch, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > MAX_PORTS) {
        let name = &lab.switches[switch].name;
        let place = passed.get(&switch).copied().flatten();
        problems.push(
            Diagnostic::error("too-many-ports", format!("the switch {} has {count} links", name.value))
                .at(place, "the limit is passed here")
                .because(name.span, "this switch")
                .note(format!("a Linux bridge has at most {MAX_PORTS} ports (BR_MAX_PORTS)"))
                .help("use several switches and link them"),
        );
    }
}

type Name = (IfName, Option<String>);

/// The interfaces' names as they are settled.
struct Naming<'p, 'a> {
    lab: &'a Lab,
    plugs: &'p [(Device, &'a End)],
    names: Vec<Option<Name>>,
    /// Names in use, by device, and whose they are.
    used: HashMap<(Device, IfName), usize>,
    /// How many links join two devices.
    links_between: HashMap<(Device, Device), usize>,
}

impl<'p, 'a> Naming<'p, 'a> {
    /// Takes the names that were written.
    fn new(
        lab: &'a Lab,
        plugs: &'p [(Device, &'a End)],
        ends_of_links: usize,
        problems: &mut Problems,
    ) -> Self {
        let mut links_between = HashMap::new();
        for pair in plugs[..ends_of_links].chunks_exact(2) {
            *links_between.entry(ordered(pair[0].0, pair[1].0)).or_insert(0) += 1;
        }
        let mut naming =
            Self { lab, plugs, names: vec![None; plugs.len()], used: HashMap::new(), links_between };
        for (index, (device, end)) in plugs.iter().enumerate() {
            let Some(interface) = &end.interface else { continue };
            let text = interface.value.as_str();
            if RESERVED_INTERFACES.contains(&text) {
                let why =
                    if text == "lo" { "every node has it already" } else { "the kernel keeps it for itself" };
                problems.push(
                    Diagnostic::error(
                        "reserved-name",
                        format!("an interface cannot be called `{text}`: {why}"),
                    )
                    .at(interface.span, ""),
                );
                continue;
            }
            match IfName::shortened(text) {
                Ok(name) => naming.take(index, *device, name, text, problems),
                Err(error) => problems
                    .push(Diagnostic::error("bad-interface-name", error.to_string()).at(interface.span, "")),
            }
        }
        naming
    }

    /// Chooses the names that were not.
    fn finish(mut self, problems: &mut Problems) -> Vec<Name> {
        let mut next_eth = vec![0_usize; self.lab.nodes.len()];
        for (index, (device, end)) in self.plugs.iter().enumerate() {
            let Device::Node(node) = *device else { continue };
            if end.interface.is_some() {
                continue;
            }
            let name = loop {
                let name = IfName::new(&format!("eth{}", next_eth[node]));
                next_eth[node] += 1;
                match name {
                    Ok(name) if self.used.contains_key(&(*device, name)) => {}
                    // Cannot be wrong: `eth` and digits.
                    name => break name.unwrap_or(IfName::LOOPBACK),
                }
            };
            self.used.insert((*device, name), index);
            self.names[index] = Some((name, None));
        }
        let mut nth: HashMap<(Device, Device), usize> = HashMap::new();
        for (index, (device, end)) in self.plugs.iter().enumerate() {
            let Device::Switch(switch) = *device else { continue };
            if end.interface.is_none() {
                let text = self.port_name(index, switch, &mut nth);
                if let Ok(name) = IfName::shortened(&text) {
                    self.take(index, *device, name, &text, problems);
                }
            }
        }
        // What could not be named has been reported.
        self.names.into_iter().map(|name| name.unwrap_or((IfName::LOOPBACK, None))).collect()
    }

    /// What a switch's port is called: after what it leads to.
    fn port_name(&self, index: usize, switch: usize, nth: &mut HashMap<(Device, Device), usize>) -> String {
        let (other, end) = self.plugs[index ^ 1];
        let far = &end.device.value;
        let several = self.links_between.get(&ordered(Device::Switch(switch), other)).is_some_and(|n| *n > 1);
        match other {
            Device::Node(_) if several || RESERVED_INTERFACES.contains(&far.as_str()) => {
                let (name, full) = self.names[index ^ 1].clone().unwrap_or((IfName::LOOPBACK, None));
                format!("{far}-{}", full.unwrap_or_else(|| name.to_string()))
            }
            Device::Switch(_) if several => {
                let number = nth.entry((Device::Switch(switch), other)).or_insert(0);
                *number += 1;
                format!("{far}-{number}")
            }
            _ => far.clone(),
        }
    }

    fn take(&mut self, index: usize, device: Device, name: IfName, text: &str, problems: &mut Problems) {
        let owner = &self.plugs[index].1.device.value;
        let place = |index: usize| {
            let end = self.plugs[index].1;
            end.interface.as_ref().map_or(end.device.span, |interface| interface.span)
        };
        if let Device::Switch(switch) = device
            && IfName::shortened(&self.lab.switches[switch].name).is_ok_and(|bridge| bridge == name)
        {
            problems.push(
                Diagnostic::error(
                    "duplicate-interface",
                    format!("a port of {owner} is called as the switch itself"),
                )
                .at(place(index), "")
                .help("give the port another name"),
            );
            return;
        }
        if let Some(&other) = self.used.get(&(device, name)) {
            let both_written = [index, other].iter().all(|index| self.plugs[*index].1.interface.is_some());
            let mut error = Diagnostic::error(
                "duplicate-interface",
                format!("{owner} would have two interfaces called `{name}`"),
            )
            .at(place(index), "again here")
            .because(place(other), "first here");
            if text.len() > IfName::MAX_LEN {
                error = error.note("names over 15 bytes are shortened");
            }
            if !both_written {
                error = error.help(format!("name the switch's port, as `{owner}:NAME`"));
            }
            problems.push(error);
            return;
        }
        self.used.insert((device, name), index);
        self.names[index] = Some((name, (text != name.as_str()).then(|| text.to_owned())));
    }
}

fn ordered(one: Device, two: Device) -> (Device, Device) {
    if one <= two { (one, two) } else { (two, one) }
}
