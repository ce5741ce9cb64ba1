//! What makes every import a lab file that loads: what the lab file's own checks refuse is taken out and told of.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use nslab_topology::{Diagnostic, Severity};

use crate::draft::{Draft, Line, Route};
use crate::render::{Part, Rendered, render};
use crate::{Imported, Malformed, Place, Skipped, Source};

/// How often to look again after something was taken out: a link that goes takes addresses with it, these routes.
const ROUNDS: usize = 12;

/// Writes the lab file of a draft.
pub(crate) fn finish(mut draft: Draft) -> Result<Imported, Malformed> {
    settle_routes(&mut draft);
    for _ in 0..ROUNDS {
        let rendered = render(&draft);
        let Err(wrong) = nslab_topology::load(&rendered.text, &draft.name, &[]) else {
            return Ok(done(draft, rendered.text));
        };
        let errors: Vec<&Diagnostic> =
            wrong.list.iter().filter(|one| one.severity == Severity::Error).collect();
        if !take_out(&mut draft, &rendered, &errors) {
            let source = Source { name: "the lab file that was made", text: &rendered.text };
            return Err(source.wrong(wrong.list));
        }
    }
    let rendered = render(&draft);
    match nslab_topology::load(&rendered.text, &draft.name, &[]) {
        Ok(_) => Ok(done(draft, rendered.text)),
        Err(wrong) => {
            Err(Source { name: "the lab file that was made", text: &rendered.text }.wrong(wrong.list))
        }
    }
}

fn done(mut draft: Draft, lab_file: String) -> Imported {
    draft.skipped.sort_by(|one, other| one.place.cmp(&other.place));
    draft.skipped.dedup();
    Imported {
        lab: draft.name,
        lab_file,
        nodes: draft.nodes.len(),
        switches: draft.switches.len(),
        links: draft.links.len(),
        skipped: draft.skipped,
        notes: draft.notes,
    }
}

/// A route whose gateway is on no subnet of its node may be meant for an interface that the node's own commands make:
/// then it is one of these commands.
fn settle_routes(draft: &mut Draft) {
    for index in 0..draft.nodes.len() {
        if draft.nodes[index].routes.is_empty() {
            continue;
        }
        let name = draft.nodes[index].name.clone();
        let mut nets: Vec<IpNet> = draft.addresses_of(&name).into_iter().map(|(_, net)| net).collect();
        nets.extend(draft.nodes[index].addresses.iter().map(|line| line.value));
        let node = &mut draft.nodes[index];
        let (good, bad): (Vec<_>, Vec<_>) =
            std::mem::take(&mut node.routes).into_iter().partition(|line| reaches(&line.value, &nets));
        node.routes = good;
        for line in bad {
            unusable(draft, index, line, "its gateway is on no subnet of the node");
        }
    }
}

fn reaches(route: &Route, nets: &[IpNet]) -> bool {
    let is_near = |via: IpAddr| {
        nets.iter().any(|net| net.contains(&via))
            || matches!(via, IpAddr::V6(via) if via.is_unicast_link_local())
    };
    route.hops.iter().all(|hop| hop.onlink || hop.via.is_none_or(is_near))
}

fn unusable(draft: &mut Draft, node: usize, line: Line<Route>, why: &str) {
    if draft.nodes[node].setup.is_empty() {
        draft.skip(&line.place, line.text, why);
    } else {
        let setup = &mut draft.nodes[node].setup;
        setup.push(Line { value: line.text.clone(), place: line.place, text: line.text });
    }
}

/// Takes out what errors point at; false if they point at nothing that could be.
fn take_out(draft: &mut Draft, rendered: &Rendered, errors: &[&Diagnostic]) -> bool {
    let mut found: HashMap<Part, (&Diagnostic, &str)> = HashMap::new();
    for error in errors {
        let Some(span) = error.span() else { continue };
        if let Some(part) = rendered.parts.get(span.line - 1).copied().flatten() {
            let text = rendered.text.get(span.start..span.end).unwrap_or_default();
            found.entry(part).or_insert((*error, text));
        }
    }
    let mut parts: Vec<(Part, (&Diagnostic, &str))> = found.into_iter().collect();
    // From the last to the first, so that places stay what they are.
    parts.sort_by(|(one, _), (other, _)| other.cmp(one));
    let any = !parts.is_empty();
    for (part, (error, text)) in parts {
        remove(draft, part, &error.message, text);
    }
    any
}

fn remove(draft: &mut Draft, part: Part, why: &str, text: &str) {
    let why = format!("a lab file does not allow it: {why}");
    match part {
        Part::Prefix => draft.prefix = None,
        Part::Node(index) => {
            let node = draft.nodes.remove(index);
            draft.skip(&node.place, format!("node {}", node.name), &why);
            unplug(draft, &node.name);
        }
        Part::Switch(index) => {
            let switch = draft.switches.remove(index);
            draft.skip(&switch.place, format!("switch {}", switch.name), &why);
            unplug(draft, &switch.name);
        }
        Part::Link(index) => {
            // The address alone, if that is what is wrong.
            if let Ok(net) = text.parse::<IpNet>() {
                let ends = &mut draft.links[index].ends;
                let line = ends.iter_mut().rev().find_map(|end| {
                    let at = end.addresses.iter().position(|line| line.value == net)?;
                    Some(end.addresses.remove(at))
                });
                if let Some(line) = line {
                    draft.skip(&line.place, line.text, &why);
                    return;
                }
            }
            drop_link(draft, index, &why);
        }
        Part::Route(node, index) => {
            let line = draft.nodes[node].routes.remove(index);
            unusable(draft, node, line, &why);
        }
        Part::Setup(node) => {
            for line in std::mem::take(&mut draft.nodes[node].setup) {
                draft.skip(&line.place, line.text, &why);
            }
        }
        Part::Sysctl(node, index) => told(draft, node, &why, |node| gone(node.sysctls.remove(index))),
        Part::Address(node, index) => told(draft, node, &why, |node| gone(node.addresses.remove(index))),
        Part::Rule(node, index) => told(draft, node, &why, |node| gone(node.rules.remove(index))),
        Part::Neighbour(node, index) => told(draft, node, &why, |node| gone(node.neighbours.remove(index))),
        Part::Env(node, index) => told(draft, node, &why, |node| gone(node.env.remove(index))),
        Part::File(node, index) => told(draft, node, &why, |node| gone(node.files.remove(index))),
        Part::Dns(node, index) => told(draft, node, &why, |node| gone(node.dns.remove(index))),
        Part::Publish(node, index) => told(draft, node, &why, |node| {
            let line = node.publish.remove(index);
            node.way_out = None;
            gone(line)
        }),
        Part::Interface(node, index) => {
            let end = &mut draft.nodes[node].interfaces[index].end;
            // The address alone, if that is what is wrong.
            let net = text.parse::<IpNet>().ok();
            if let Some(at) = net.and_then(|net| end.addresses.iter().rposition(|line| line.value == net)) {
                let line = end.addresses.remove(at);
                draft.skip(&line.place, line.text, &why);
                return;
            }
            let one = draft.nodes[node].interfaces.remove(index);
            draft.skip(&one.place, one.text, &why);
            for line in one.end.addresses {
                draft.skip(&line.place, line.text, "its interface is not part of the lab");
            }
        }
        Part::Program(node, index) => told(draft, node, &why, |node| gone(node.programs.remove(index))),
    }
}

fn gone<T>(line: Line<T>) -> (Place, String) {
    (line.place, line.text)
}

fn told(
    draft: &mut Draft,
    node: usize,
    why: &str,
    remove: impl FnOnce(&mut crate::draft::Node) -> (Place, String),
) {
    let (place, what) = remove(&mut draft.nodes[node]);
    draft.skipped.push(Skipped { place, what, why: why.to_owned() });
}

fn unplug(draft: &mut Draft, name: &str) {
    let why = format!("{name} is not part of the lab");
    while let Some(index) = draft.links.iter().position(|link| link.ends.iter().any(|end| end.device == name))
    {
        drop_link(draft, index, &why);
    }
}

fn drop_link(draft: &mut Draft, index: usize, why: &str) {
    let link = draft.links.remove(index);
    let [one, other] = [0, 1].map(|side| {
        let end = &link.ends[side];
        match &end.interface {
            Some(interface) => format!("{}:{interface}", end.device),
            None => end.device.clone(),
        }
    });
    draft.skip(&link.place, format!("link {one} – {other}"), why);
    for line in link.ends.into_iter().flat_map(|end| end.addresses) {
        draft.skip(&line.place, line.text, "its link is not part of the lab");
    }
}
