//! Ways out.

use std::collections::HashMap;

use nslab_types::IfName;

use super::Problems;
use super::names::RESERVED_INTERFACES;
use super::segments::Network;
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::Uplink;
use crate::model::{self, Publish};

/// Checks the ways out of all nodes.
pub(crate) fn check(net: &Network<'_>, problems: &mut Problems) {
    let mut published: Vec<(&Publish, Option<Span>)> = Vec::new();
    for (index, node) in net.lab.nodes.iter().enumerate() {
        let Some(uplink) = &node.uplink else { continue };
        let name = &node.name.value;
        if let Some(existing) = &node.existing {
            problems.push(
                Diagnostic::error(
                    "conflicting-keys",
                    format!("{name} is {}, which has its own way out", existing.value),
                )
                .at(uplink.span, "")
                .because(existing.span, "here"),
            );
        }
        if !uplink.ipv4 && uplink.ipv6 != Some(true) {
            problems.push(
                Diagnostic::error(
                    "empty-uplink",
                    format!("the way out of {name} is for neither IPv4 nor IPv6"),
                )
                .at(uplink.span, ""),
            );
        }
        interface(net, index, uplink, uplink.span, problems);
        for publish in &uplink.publish {
            if let Some(host) = publish.host
                && (host.is_ipv4() && !uplink.ipv4 || host.is_ipv6() && uplink.ipv6 != Some(true))
            {
                let family = if host.is_ipv4() { "ipv4" } else { "ipv6" };
                problems.push(
                    Diagnostic::error(
                        "wrong-family",
                        format!("{host} needs a way out with `{family}: true`"),
                    )
                    .at(publish.span, ""),
                );
            }
            let clash = published.iter().find(|(other, _)| {
                (other.transport, other.host_port) == (publish.transport, publish.host_port)
                    && (other.host == publish.host || other.host.is_none() || publish.host.is_none())
            });
            if let Some((_, earlier)) = clash {
                problems.push(
                    Diagnostic::error(
                        "duplicate-port",
                        format!("the host's port {} is published twice", publish.host_side()),
                    )
                    .at(publish.span, "again here")
                    .because(*earlier, "first here"),
                );
            }
            published.push((&publish.value, publish.span));
        }
    }
    host_names(net, problems);
}

fn interface(net: &Network<'_>, node: usize, uplink: &Uplink, span: Option<Span>, problems: &mut Problems) {
    let (text, span) = match &uplink.interface {
        Some(name) => (name.as_str(), name.span),
        None => (Uplink::INTERFACE, span),
    };
    match IfName::new(text) {
        Err(error) => problems.push(Diagnostic::error("bad-interface-name", error.to_string()).at(span, "")),
        Ok(_) if RESERVED_INTERFACES.contains(&text) => problems.push(
            Diagnostic::error("reserved-name", format!("no interface can be called `{text}`")).at(span, ""),
        ),
        Ok(name) => {
            let taken = net.node_ports[node].iter().find(|port| net.ports[**port].name == name);
            if let Some(port) = taken {
                let owner = &net.lab.nodes[node].name.value;
                problems.push(
                    Diagnostic::error(
                        "duplicate-interface",
                        format!("{owner} would have two interfaces called `{name}`"),
                    )
                    .at(span, "the way out")
                    .because(net.ports[*port].place(), "a link")
                    .help("name the way out, as `uplink: {interface: wan}`"),
                );
            }
        }
    }
}

/// The host's ends of the ways out have names made of lab and node, which may come to be the same when shortened.
fn host_names(net: &Network<'_>, problems: &mut Problems) {
    let mut known: HashMap<IfName, &str> = HashMap::new();
    for node in net.lab.nodes.iter().filter(|node| node.uplink.is_some()) {
        let Ok(name) = IfName::shortened(&host_name(&net.lab.name, &node.name)) else { continue };
        if let Some(other) = known.insert(name, &node.name) {
            problems.push(
                Diagnostic::error(
                    "duplicate-interface",
                    format!(
                        "the ways out of {other} and {} would be called `{name}` on the host",
                        node.name.value
                    ),
                )
                .at(node.uplink.as_ref().and_then(|uplink| uplink.span), "")
                .help("rename one of the nodes"),
            );
        }
    }
}

/// What the host's end of a node's way out is called, before it is shortened.
pub(crate) fn host_name(lab: &str, node: &str) -> String {
    format!("{lab}-{node}")
}

/// The way out with nothing left open that can be settled without a host.
pub(crate) fn exact(uplink: &Uplink) -> model::Uplink {
    let name = uplink.interface.as_ref().map_or(Uplink::INTERFACE, |name| name.as_str());
    model::Uplink {
        // Has been checked.
        interface: IfName::shortened(name).unwrap_or(IfName::LOOPBACK),
        ipv4: uplink.ipv4,
        ipv6: uplink.ipv6,
        publish: uplink.publish.iter().map(|publish| publish.value.clone()).collect(),
    }
}
