//! A draft as a lab file.

use std::fmt::Write as _;

use nslab_topology::yaml::{key, list, map, value};

use crate::draft::{Draft, End, Hop, Interface, Line, Link, Neighbour, Node, Route};

/// What a line of the lab file says, so that it can be taken out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Part {
    Prefix,
    Node(usize),
    Switch(usize),
    Link(usize),
    Sysctl(usize, usize),
    Address(usize, usize),
    Route(usize, usize),
    Rule(usize, usize),
    Neighbour(usize, usize),
    Env(usize, usize),
    Interface(usize, usize),
    File(usize, usize),
    Publish(usize, usize),
    Dns(usize, usize),
    Setup(usize),
    Program(usize, usize),
}

/// A lab file and what each of its lines says.
pub(crate) struct Rendered {
    pub(crate) text: String,
    pub(crate) parts: Vec<Option<Part>>,
}

impl Rendered {
    fn line(&mut self, part: impl Into<Option<Part>>, text: &str) {
        let part = part.into();
        for line in text.split('\n') {
            self.text.push_str(line);
            self.text.push('\n');
            self.parts.push(part);
        }
    }
}

/// Writes a draft.
pub(crate) fn render(draft: &Draft) -> Rendered {
    let mut out = Rendered { text: String::new(), parts: Vec::new() };
    for line in &draft.header {
        out.line(None, &format!("# {}", printable(line)));
    }
    out.line(None, &format!("name: {}", value(&draft.name)));
    if let Some(prefix) = &draft.prefix {
        out.line(Part::Prefix, &format!("prefix: {}", value(prefix)));
    }
    // Nothing is chosen that was not written.
    out.line(None, "addressing: none\nrouting: none");
    if !draft.nodes.is_empty() {
        out.line(None, "nodes:");
        for (index, node) in draft.nodes.iter().enumerate() {
            self::node(index, node, &mut out);
        }
    }
    if !draft.switches.is_empty() {
        out.line(None, "switches:");
        for (index, switch) in draft.switches.iter().enumerate() {
            let comment = format!("{}, {}", switch.place, switch.comment);
            out.line(Part::Switch(index), &commented(&format!("  {}: {{}}", key(&switch.name)), &comment));
        }
    }
    if !draft.links.is_empty() {
        out.line(None, "links:");
        for (index, link) in draft.links.iter().enumerate() {
            out.line(Part::Link(index), &commented(&format!("  - {}", self::link(link)), &origin(link)));
        }
    }
    out
}

fn origin(link: &Link) -> String {
    if link.comment.is_empty() { link.place.to_string() } else { format!("{}, {}", link.place, link.comment) }
}

fn commented(text: &str, comment: &str) -> String {
    format!("{text}  # {}", printable(comment))
}

/// Comments are on one line and have no control characters.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn node(index: usize, node: &Node, out: &mut Rendered) {
    let comment = format!("{}, {}", node.place, node.comment);
    let empty = node.forward.is_none()
        && node.sysctls.is_empty()
        && node.addresses.is_empty()
        && node.routes.is_empty()
        && node.rules.is_empty()
        && node.neighbours.is_empty()
        && node.env.is_empty()
        && node.interfaces.is_empty()
        && node.files.is_empty()
        && node.way_out.is_none()
        && node.publish.is_empty()
        && node.dns.is_empty()
        && node.setup.is_empty()
        && node.programs.is_empty();
    let name = key(&node.name);
    if empty {
        out.line(Part::Node(index), &commented(&format!("  {name}: {{}}"), &comment));
        return;
    }
    out.line(Part::Node(index), &commented(&format!("  {name}:"), &comment));
    if let Some(why) = &node.forward {
        out.line(Part::Node(index), &commented("    forward: true", why));
    }
    way_out(index, node, out);
    section(out, "dns", &node.dns, |i| Part::Dns(index, i), |one| format!("- {}", value(one)));
    if !node.interfaces.is_empty() {
        out.line(None, "    interfaces:");
        for (place, one) in node.interfaces.iter().enumerate() {
            let text = format!("      {}: {}", key(one.name()), interface(one));
            out.line(Part::Interface(index, place), &commented(&text, &one.place.to_string()));
        }
    }
    section(
        out,
        "files",
        &node.files,
        |i| Part::File(index, i),
        |file| format!("{}: {}", key(&file.path), map(&[("from", value(&file.written))])),
    );
    section(
        out,
        "sysctl",
        &node.sysctls,
        |i| Part::Sysctl(index, i),
        |(name, setting)| format!("{}: {}", key(name), value(setting)),
    );
    section(
        out,
        "addresses",
        &node.addresses,
        |i| Part::Address(index, i),
        |net| format!("- {}", value(&net.to_string())),
    );
    section(
        out,
        "routes",
        &node.routes,
        |i| Part::Route(index, i),
        |one| format!("- {}", value(&route(one))),
    );
    section(out, "rules", &node.rules, |i| Part::Rule(index, i), |one| format!("- {}", value(one)));
    section(
        out,
        "neighbours",
        &node.neighbours,
        |i| Part::Neighbour(index, i),
        |one| format!("- {}", neighbour(one)),
    );
    section(
        out,
        "env",
        &node.env,
        |i| Part::Env(index, i),
        |(name, setting)| format!("{}: {}", key(name), value(setting)),
    );
    if node.setup.is_empty() && node.programs.is_empty() {
        return;
    }
    out.line(None, "    run:");
    let places = || node.setup.iter().map(|line| &line.place);
    if let (Some(first), Some(last)) = (places().min(), places().max()) {
        let from = if first == last {
            first.to_string()
        } else if first.file == last.file {
            format!("{first}-{}", last.line)
        } else {
            format!("{first} to {last}")
        };
        let part = Part::Setup(index);
        out.line(part, &commented("      - name: setup", &from));
        out.line(part, "        ready: exit");
        out.line(part, "        command: |");
        out.line(part, "          set -e");
        for line in &node.setup {
            for text in line.value.lines().filter(|text| !text.trim().is_empty()) {
                let text: String =
                    text.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect();
                out.line(part, &format!("          {}", text.trim_end().replace("${", "$${")));
            }
        }
    }
    for (place, program) in node.programs.iter().enumerate() {
        let text = format!("      - {}", value(&program.value));
        out.line(Part::Program(index, place), &commented(&text, &program.place.to_string()));
    }
}

/// A node's way out.
fn way_out(index: usize, node: &Node, out: &mut Rendered) {
    if node.publish.is_empty() {
        if let Some(why) = &node.way_out {
            out.line(Part::Node(index), &commented("    uplink: nat", why));
        }
        return;
    }
    out.line(None, "    uplink:\n      publish:");
    for (place, line) in node.publish.iter().enumerate() {
        let text = format!("        - {}", value(&line.value));
        out.line(Part::Publish(index, place), &commented(&text, &line.place.to_string()));
    }
}

fn interface(one: &Interface) -> String {
    let end = &one.end;
    let mut entries = one.keys.clone();
    if !end.addresses.is_empty() {
        let addresses = end.addresses.iter().map(|line| value(&line.value.to_string()));
        entries.push(("addresses", list(&addresses.collect::<Vec<_>>())));
    }
    entries.extend(end.mac.map(|mac| ("mac", value(&mac.to_string()))));
    entries.extend(end.mtu.map(|mtu| ("mtu", mtu.to_string())));
    if !end.up {
        entries.push(("up", "false".to_owned()));
    }
    map(&entries)
}

fn section<T>(
    out: &mut Rendered,
    name: &str,
    lines: &[Line<T>],
    part: impl Fn(usize) -> Part,
    text: impl Fn(&T) -> String,
) {
    if lines.is_empty() {
        return;
    }
    out.line(None, &format!("    {name}:"));
    for (index, line) in lines.iter().enumerate() {
        out.line(part(index), &commented(&format!("      {}", text(&line.value)), &line.place.to_string()));
    }
}

/// A route in the words of a lab file.
pub(crate) fn route(route: &Route) -> String {
    let mut text = String::new();
    if route.to.is_none() && route.hops.iter().all(|hop| hop.via.is_none()) {
        text.push_str(if route.ipv6 { "-6 " } else { "-4 " });
    }
    if let Some(kind) = route.kind {
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, "{kind} ");
    }
    match route.to {
        Some(net) => drop(write!(text, "{net}")),
        None => text.push_str("default"),
    }
    for hop in &route.hops {
        if route.hops.len() > 1 {
            text.push_str(" nexthop");
        }
        self::hop(hop, &mut text);
    }
    for (word, setting) in &route.rest {
        let _ = write!(text, " {word} {setting}");
    }
    text
}

fn hop(hop: &Hop, text: &mut String) {
    if let Some(via) = hop.via {
        let _ = write!(text, " via {via}");
    }
    if let Some(dev) = &hop.dev {
        let _ = write!(text, " dev {dev}");
    }
    if let Some(weight) = hop.weight.filter(|weight| *weight > 1) {
        let _ = write!(text, " weight {weight}");
    }
    if hop.onlink {
        text.push_str(" onlink");
    }
}

fn neighbour(neighbour: &Neighbour) -> String {
    let mut entries =
        vec![("address", value(&neighbour.address.to_string())), ("mac", value(&neighbour.mac.to_string()))];
    entries.extend(neighbour.dev.as_ref().map(|dev| ("dev", value(dev))));
    map(&entries)
}

fn link(link: &Link) -> String {
    let mut items: Vec<String> = link.ends.iter().map(end).collect();
    items.extend(link.mtu.map(|mtu| map(&[("mtu", mtu.to_string())])));
    list(&items)
}

fn end(end: &End) -> String {
    let addresses = end.addresses.iter().map(|line| line.value.to_string());
    if end.up && end.mtu.is_none() {
        let mut text = end.device.clone();
        if let Some(interface) = &end.interface {
            let _ = write!(text, ":{interface}");
        }
        let mac = end.mac.map(|mac| mac.to_string());
        return value(&[text].into_iter().chain(addresses).chain(mac).collect::<Vec<_>>().join(" "));
    }
    let mut entries = vec![("node", value(&end.device))];
    entries.extend(end.interface.as_ref().map(|name| ("interface", value(name))));
    if !end.addresses.is_empty() {
        entries.push(("addresses", list(&addresses.map(|one| value(&one)).collect::<Vec<_>>())));
    }
    entries.extend(end.mac.map(|mac| ("mac", value(&mac.to_string()))));
    entries.extend(end.mtu.map(|mtu| ("mtu", mtu.to_string())));
    if !end.up {
        entries.push(("up", "false".to_owned()));
    }
    map(&entries)
}
