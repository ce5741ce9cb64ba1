//! A lab as a lab file.

use super::text::{key, list, map, value};
use super::{interfaces, words};
use crate::decode::show_duration;
use crate::diagnostic::Spanned;
use crate::lab::{
    self, Action, End, Event, Gateway, Lab, Link, Node, Path, Program, Routing, Switch, SwitchVlan,
};
use crate::model::{Content, Existing, File, PortVlan, PrivateDirectory, Ready};

/// Writes a lab as a lab file.
pub(super) fn write(lab: &Lab) -> String {
    let mut lines = vec![format!("name: {}", value(&lab.name))];
    if let Some(prefix) = &lab.prefix {
        lines.push(format!("prefix: {}", value(prefix)));
    }
    lines.push(addressing(lab));
    match lab.routing {
        Routing::Auto => {}
        Routing::Ecmp => lines.push("routing: ecmp".to_owned()),
        Routing::None => lines.push("routing: none".to_owned()),
    }
    if !lab.nodes.is_empty() {
        lines.push("nodes:".to_owned());
        for node in &lab.nodes {
            self::node(node, &mut lines);
        }
    }
    if !lab.switches.is_empty() {
        lines.push("switches:".to_owned());
        lines.extend(
            lab.switches.iter().map(|switch| format!("  {}: {}", key(&switch.name), self::switch(switch))),
        );
    }
    if !lab.links.is_empty() {
        lines.push("links:".to_owned());
        lines.extend(lab.links.iter().map(|link| format!("  - {}", self::link(link))));
    }
    lines.extend(lab.seed.map(|seed| format!("seed: {seed}")));
    if !lab.timeline.is_empty() {
        lines.push("timeline:".to_owned());
        lines.extend(lab.timeline.iter().map(|event| format!("  - {}", self::event(event))));
    }
    if !lab.expectations.is_empty() {
        lines.push("expect:".to_owned());
        lines.extend(lab.expectations.iter().map(super::expectation::line));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn addressing(lab: &Lab) -> String {
    let pools = &lab.addressing;
    if pools.ipv4.is_none() && pools.ipv6.is_none() {
        return "addressing: none".to_owned();
    }
    let ipv4 = pools.ipv4.as_ref().map_or_else(|| "none".to_owned(), |pool| pool.value.to_string());
    let ipv6 = pools.ipv6.as_ref().map_or_else(|| "none".to_owned(), |pool| key(&pool.value.to_string()));
    format!("addressing: {{ipv4: {ipv4}, ipv6: {ipv6}}}")
}

fn node(node: &Node, lines: &mut Vec<String>) {
    let mut own: Vec<String> = Vec::new();
    if let Some(existing) = &node.existing {
        own.push(match &existing.value {
            Existing::Netns(name) => format!("netns: {}", value(name)),
            Existing::Pid(pid) => format!("pid: {pid}"),
            Existing::Container(name) => format!("container: {}", value(name)),
        });
    }
    if node.forward {
        own.push("forward: true".to_owned());
    }
    let sysctls: Vec<_> =
        node.sysctls.iter().map(|(name, setting)| (name.as_str(), value(setting))).collect();
    push_map(&mut own, "sysctl", &sysctls);
    push_list(&mut own, "addresses", node.addresses.iter().map(|net| value(&net.value.to_string())));
    own.extend(gateway(node));
    push_lines(&mut own, "routes", node.routes.iter().map(|route| value(&words::route(route))));
    push_lines(&mut own, "rules", node.rules.iter().map(|rule| value(&words::rule(rule))));
    let neighbours = node.neighbours.iter().map(|entry| {
        let mut entries =
            vec![("address", value(&entry.address.to_string())), ("mac", value(&entry.mac.to_string()))];
        entries.extend(entry.dev.as_ref().map(|dev| ("dev", value(dev))));
        map(&entries)
    });
    push_lines(&mut own, "neighbours", neighbours);
    let hosts: Vec<_> = node
        .hosts
        .iter()
        .map(|(name, addresses)| {
            let addresses: Vec<String> =
                addresses.iter().map(|address| value(&address.to_string())).collect();
            (name, list(&addresses))
        })
        .collect();
    push_map(&mut own, "hosts", &hosts);
    own.extend(node.uplink.as_ref().map(|uplink| self::uplink(uplink)));
    push_list(&mut own, "dns", node.dns.iter().map(|address| value(&address.to_string())));
    push_map(&mut own, "env", &texts(&node.env));
    own.extend(node.user.as_ref().map(|user| format!("user: {}", value(user))));
    push_lines(&mut own, "private", node.view.directories.iter().map(|one| directory(one)));
    push_files(&mut own, &node.view.files);
    if node.view.has_processes() {
        own.push("processes: private".to_owned());
    }
    if !node.interfaces.is_empty() {
        own.push("interfaces:".to_owned());
        own.extend(node.interfaces.iter().map(|interface| format!("  {}", interfaces::line(interface))));
    }
    push_lines(&mut own, "run", node.programs.iter().map(program));
    super::policy::write(&node.policy, &mut own);
    if own.is_empty() {
        lines.push(format!("  {}: {{}}", key(&node.name)));
    } else {
        lines.push(format!("  {}:", key(&node.name)));
        lines.extend(own.into_iter().map(|line| format!("    {line}").trim_end().to_owned()));
    }
}

fn uplink(uplink: &lab::Uplink) -> String {
    let mut entries: Vec<(&str, String)> = vec![("nat", "true".to_owned())];
    entries.extend(uplink.interface.as_ref().map(|name| ("interface", value(name))));
    if !uplink.ipv4 {
        entries.push(("ipv4", "false".to_owned()));
    }
    entries.extend(uplink.ipv6.map(|ipv6| ("ipv6", ipv6.to_string())));
    if !uplink.publish.is_empty() {
        let ports: Vec<String> = uplink.publish.iter().map(|publish| value(&publish.to_string())).collect();
        entries.push(("publish", list(&ports)));
    }
    if entries.len() == 1 { "uplink: nat".to_owned() } else { format!("uplink: {}", map(&entries)) }
}

fn texts(map: &std::collections::BTreeMap<String, String>) -> Vec<(&String, String)> {
    map.iter().map(|(name, text)| (name, value(text))).collect()
}

fn push_map<K: AsRef<str>>(own: &mut Vec<String>, name: &str, entries: &[(K, String)]) {
    if !entries.is_empty() {
        own.push(format!("{name}: {}", map(entries)));
    }
}

fn push_list(own: &mut Vec<String>, name: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.collect();
    if !items.is_empty() {
        own.push(format!("{name}: {}", list(&items)));
    }
}

fn push_lines(own: &mut Vec<String>, name: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_some() {
        own.push(format!("{name}:"));
        own.extend(items.map(|item| format!("  - {item}")));
    }
}

fn gateway(node: &Node) -> Option<String> {
    let word = |gateway: &Gateway| match gateway {
        Gateway::Auto => None,
        Gateway::None => Some("none".to_owned()),
        Gateway::Address(address) => Some(value(&address.value.to_string())),
        Gateway::Node(name) => Some(value(name)),
    };
    match (word(&node.gateway_ipv4), word(&node.gateway_ipv6)) {
        (None, None) => None,
        // A node is one gateway for both families, and refused only if it is none for either.
        (Some(one), Some(two)) if one == two => Some(format!("gateway: {one}")),
        (one, two) => {
            let both = [("ipv4", one), ("ipv6", two)];
            let said: Vec<_> = both.into_iter().filter_map(|(name, word)| Some((name, word?))).collect();
            Some(format!("gateway: {}", map(&said)))
        }
    }
}

fn directory(directory: &PrivateDirectory) -> String {
    if directory.mode.is_none() && directory.owner.is_none() {
        return value(&directory.path);
    }
    let mut entries = vec![("path", value(&directory.path))];
    entries.extend(directory.mode.map(|mode| ("mode", mode_words(mode))));
    entries.extend(directory.owner.as_ref().map(|owner| ("owner", value(&owner.to_string()))));
    map(&entries)
}

fn push_files(own: &mut Vec<String>, files: &[Spanned<File>]) {
    if !files.is_empty() {
        own.push("files:".to_owned());
        own.extend(files.iter().map(|file| format!("  {}: {}", key(&file.path), self::file(file))));
    }
}

fn file(file: &File) -> String {
    let mut entries = vec![match &file.content {
        Content::Text(text) => ("content", value(text)),
        Content::From(path) => ("from", value(path)),
        // What was read and is no text cannot stand in a lab file.
        Content::Bytes(bytes) => ("content", value(&String::from_utf8_lossy(bytes))),
    }];
    if file.mode != 0o644 {
        entries.push(("mode", mode_words(file.mode)));
    }
    entries.extend(file.owner.as_ref().map(|owner| ("owner", value(&owner.to_string()))));
    map(&entries)
}

fn mode_words(mode: u32) -> String {
    format!("0{mode:03o}")
}

fn program(program: &Program) -> String {
    let mut entries = Vec::new();
    entries.extend(program.name.as_ref().map(|name| ("name", value(name))));
    entries.push(("command", command(&program.command)));
    entries.extend(program.ready.as_ref().map(|ready| ("ready", self::ready(ready))));
    entries.extend(program.timeout.map(|timeout| ("timeout", show_duration(timeout))));
    if !program.env.is_empty() {
        entries.push(("env", map(&texts(&program.env))));
    }
    entries.extend(program.user.as_ref().map(|user| ("user", value(user))));
    entries.extend(program.directory.as_ref().map(|directory| ("directory", value(directory))));
    map(&entries)
}

fn command(command: &[String]) -> String {
    match command {
        [line] => value(line),
        several => list(&several.iter().map(|word| value(word)).collect::<Vec<_>>()),
    }
}

fn ready(ready: &Ready) -> String {
    map(&[match ready {
        Ready::Exit => return "exit".to_owned(),
        Ready::Tcp(port) => ("tcp", port.to_string()),
        Ready::Udp(port) => ("udp", port.to_string()),
        Ready::File(path) => ("file", value(path)),
        Ready::Command(words) => ("command", command(words)),
    }])
}

fn switch(switch: &Switch) -> String {
    let mut entries = Vec::new();
    entries.extend(switch.mtu.as_ref().map(|mtu| ("mtu", mtu.value.to_string())));
    if switch.stp {
        entries.push(("stp", "true".to_owned()));
    }
    if !switch.multicast_snooping {
        entries.push(("multicast_snooping", "false".to_owned()));
    }
    entries.extend(switch.ageing.map(|ageing| ("ageing", show_duration(ageing))));
    if !switch.subnets.is_empty() {
        let subnets: Vec<String> = switch.subnets.iter().map(|net| value(&net.value.to_string())).collect();
        entries.push(("subnets", list(&subnets)));
    }
    if !switch.paths.is_empty() {
        let path = |path: &Path| map(&[(path.to_string(), map(&path.impairments.entries()))]);
        entries.push(("paths", list(&switch.paths.iter().map(path).collect::<Vec<_>>())));
    }
    if switch.vlan_filtering {
        entries.push(("vlan_filtering", "true".to_owned()));
    }
    if !switch.vlans.is_empty() {
        let vlans: Vec<String> = switch.vlans.iter().map(switch_vlan).collect();
        entries.push(("vlans", list(&vlans)));
    }
    if !switch.fdb.is_empty() {
        let entries_of = switch.fdb.iter().map(|entry| {
            let mut one = vec![("mac", value(&entry.mac.to_string())), ("port", value(&entry.port))];
            one.extend(entry.vlan.as_ref().map(|vlan| ("vlan", vlan.value.to_string())));
            map(&one)
        });
        entries.push(("fdb", list(&entries_of.collect::<Vec<_>>())));
    }
    map(&entries)
}

fn switch_vlan(vlan: &SwitchVlan) -> String {
    if vlan.subnets.is_empty() {
        return vlan.id.value.to_string();
    }
    let subnets: Vec<String> = vlan.subnets.iter().map(|net| value(&net.value.to_string())).collect();
    map(&[("id", vlan.id.value.to_string()), ("subnets", list(&subnets))])
}

fn port_vlan(vlan: PortVlan) -> String {
    let mut entries = vec![("id", vlan.id.to_string())];
    if vlan.pvid {
        entries.push(("pvid", "true".to_owned()));
    }
    if vlan.untagged {
        entries.push(("untagged", "true".to_owned()));
    }
    if entries.len() == 1 { vlan.id.to_string() } else { map(&entries) }
}

fn link(link: &Link) -> String {
    let mut items: Vec<String> = link.ends.iter().map(end).collect();
    let mut options = Vec::new();
    options.extend(link.mtu.as_ref().map(|mtu| ("mtu", mtu.value.to_string())));
    options.extend(link.impairments.entries());
    if !options.is_empty() {
        items.push(map(&options));
    }
    list(&items)
}

fn event(event: &Event) -> String {
    let targets: Vec<String> = event.targets.iter().map(|target| value(&target.value.to_string())).collect();
    let mut entries = vec![("at", show_duration(event.at)), (event.action.key(), list(&targets))];
    if let Action::Set(said) = &event.action {
        entries.extend(said.entries());
    }
    if !event.within.is_zero() {
        entries.push(("within", show_duration(event.within)));
    }
    if let Some(every) = event.every {
        entries.extend([("every", show_duration(every)), ("times", event.times.to_string())]);
    }
    entries.extend(event.pick.map(|pick| ("pick", pick.to_string())));
    map(&entries)
}

fn end(end: &End) -> String {
    let explicit_none = end.addresses.as_ref().is_some_and(Vec::is_empty);
    let is_word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    let in_words = end.up
        && end.impairments.is_open()
        && end.vlans.is_none()
        && end.isolated.is_none()
        && end.mtu.is_none()
        && !explicit_none
        && is_word(&end.device)
        && end.interface.as_ref().is_none_or(|name| is_word(name));
    let addresses = end.addresses.iter().flatten().map(|net| net.value.to_string());
    if in_words {
        let mut text = end.device.value.clone();
        if let Some(interface) = &end.interface {
            text = format!("{text}:{}", interface.value);
        }
        let mac = end.mac.as_ref().map(|mac| mac.value.to_string());
        let words: Vec<String> = [text].into_iter().chain(addresses).chain(mac).collect();
        return value(&words.join(" "));
    }
    let mut entries = vec![("node", value(&end.device))];
    entries.extend(end.interface.as_ref().map(|name| ("interface", value(name))));
    if end.addresses.is_some() {
        entries.push(("addresses", list(&addresses.map(|address| value(&address)).collect::<Vec<_>>())));
    }
    entries.extend(end.mac.as_ref().map(|mac| ("mac", value(&mac.value.to_string()))));
    entries.extend(end.mtu.as_ref().map(|mtu| ("mtu", mtu.value.to_string())));
    if !end.up {
        entries.push(("up", "false".to_owned()));
    }
    entries.extend(end.impairments.entries());
    if let Some(vlans) = &end.vlans {
        entries.push(("vlans", list(&vlans.value.iter().copied().map(port_vlan).collect::<Vec<_>>())));
    }
    entries.extend(end.isolated.as_ref().map(|isolated| ("isolated", isolated.value.to_string())));
    map(&entries)
}
