//! Routes that were written, and gateways.

use std::net::IpAddr;

use nslab_types::IfName;

use super::super::bits::is_link_local;
use super::super::parts::unknown_interface;
use super::super::segments::Network;
use super::super::{Problems, and_list};
use super::{MAIN, Table, lookup};
use crate::diagnostic::{Diagnostic, Span, Spanned, did_you_mean};
use crate::lab::{self, Destination, Family, Gateway, Via};
use crate::model::{NextHop, Route, RouteAction};

/// Makes a route exact. A default route by a node's name becomes one for each family that they share.
pub(super) fn resolve(
    net: &Network<'_>,
    node: usize,
    route: &Spanned<lab::Route>,
    problems: &mut Problems,
) -> Vec<Route> {
    let mut routes = Vec::new();
    for family in families(net, node, route) {
        match exact(net, node, route, family, problems) {
            Ok(exact) => routes.push(exact),
            Err(problem) => problems.push(*problem),
        }
    }
    routes
}

fn families(net: &Network<'_>, node: usize, route: &lab::Route) -> Vec<Family> {
    let family = match route.to {
        Destination::Net(to) => return vec![Family::of(to.addr())],
        Destination::Default(family) => family,
    };
    if let Some(family) = family.or(route.source.as_ref().map(|source| Family::of(source.value))) {
        return vec![family];
    }
    let lab::RouteAction::Forward(hops) = &route.action else { return vec![Family::Ipv4] };
    let mut names = Vec::new();
    for via in hops.iter().filter_map(|hop| hop.via.as_ref()) {
        match &via.value {
            Via::Address(address) => return vec![Family::of(*address)],
            Via::Node(name) => names.extend(index_of(net, name)),
        }
    }
    let shared =
        |family: &Family| names.iter().all(|name| !lookup::shared(net, node, *name, *family).is_empty());
    let families: Vec<Family> = Family::BOTH.into_iter().filter(shared).collect();
    if names.is_empty() || families.is_empty() { vec![Family::Ipv4] } else { families }
}

fn exact(
    net: &Network<'_>,
    node: usize,
    route: &Spanned<lab::Route>,
    family: Family,
    problems: &mut Problems,
) -> Result<Route, Box<Diagnostic>> {
    let to = match route.to {
        Destination::Net(to) => to,
        Destination::Default(_) => family.everything(),
    };
    if let Some(source) = &route.source {
        if Family::of(source.value) != family {
            return Err(Box::new(wrong_family(source.value, family, source.span)));
        }
        if !lookup::is_own(net, node, source.value) {
            return Err(Box::new(
                Diagnostic::error(
                    "foreign-source",
                    format!("{} is not an address of {}", source.value, net.lab.nodes[node].name.value),
                )
                .at(source.span, "")
                .help("`src` is the node's own address that its packets carry"),
            ));
        }
    }
    let action = match &route.action {
        lab::RouteAction::Forward(hops) => RouteAction::Forward(
            hops.iter()
                .map(|hop| next_hop(net, node, hop, family, route.span, problems))
                .collect::<Result<_, _>>()?,
        ),
        lab::RouteAction::Blackhole => RouteAction::Blackhole,
        lab::RouteAction::Unreachable => RouteAction::Unreachable,
        lab::RouteAction::Prohibit => RouteAction::Prohibit,
        lab::RouteAction::Throw => RouteAction::Throw,
    };
    Ok(Route {
        to,
        action,
        metric: route.metric,
        table: route.table.unwrap_or(MAIN),
        source: route.source.as_ref().map(|source| source.value),
        mtu: route.mtu,
        derived: false,
    })
}

fn next_hop(
    net: &Network<'_>,
    node: usize,
    hop: &lab::NextHop,
    family: Family,
    span: Option<Span>,
    problems: &mut Problems,
) -> Result<NextHop, Box<Diagnostic>> {
    let (weight, onlink) = (hop.weight, hop.onlink);
    let port = match &hop.dev {
        Some(name) if name.value == "lo" && hop.via.is_none() => {
            return Ok(NextHop { via: None, dev: Some(IfName::LOOPBACK), weight, onlink });
        }
        Some(name) if net.lab.nodes[node].existing.is_some() && net.port_named(node, name).is_none() => {
            return by_foreign(hop, name, family);
        }
        Some(name) => Some(
            net.port_named(node, name).ok_or_else(|| Box::new(unknown_interface(net, node, name, true)))?,
        ),
        None => None,
    };
    let (via, port) = match &hop.via {
        None => (None, port),
        Some(Spanned { value: Via::Node(name), span }) => {
            let (port, address) = by_name(net, node, name, *span, family, port)?;
            (Some(address), Some(port))
        }
        Some(Spanned { value: Via::Address(address), span }) => {
            let place = span.or(hop.via.as_ref().and_then(|via| via.span));
            (
                Some(*address),
                Some(by_address(
                    net,
                    node,
                    *address,
                    &Known { family, port, onlink, span: place },
                    problems,
                )?),
            )
        }
    };
    let Some(port) = port else {
        let error = Diagnostic::error("bad-route", "this route does not say which way").at(span, "");
        return Err(Box::new(error));
    };
    Ok(NextHop { via, dev: Some(net.ports[port].name), weight, onlink })
}

/// A hop over an interface that is not the lab's, in a namespace that was there before it: what else is known of that
/// interface the kernel knows.
fn by_foreign(
    hop: &lab::NextHop,
    name: &Spanned<String>,
    family: Family,
) -> Result<NextHop, Box<Diagnostic>> {
    let dev = IfName::new(name).map_err(|error| {
        Box::new(Diagnostic::error("bad-interface-name", error.to_string()).at(name.span, ""))
    })?;
    let via = match &hop.via {
        None => None,
        Some(Spanned { value: Via::Address(address), span }) => {
            if Family::of(*address) != family {
                return Err(Box::new(wrong_family(*address, family, *span)));
            }
            Some(*address)
        }
        Some(Spanned { value: Via::Node(node), span }) => {
            let error = Diagnostic::error("bad-route", format!("{dev} is none of the lab's interfaces"));
            return Err(Box::new(error.at(name.span, "").because(*span, format!("{node} is on those"))));
        }
    };
    Ok(NextHop { via, dev: Some(dev), weight: hop.weight, onlink: hop.onlink })
}

/// What is known of a gateway beside its address.
struct Known {
    family: Family,
    /// The interface, if one is written.
    port: Option<usize>,
    onlink: bool,
    span: Option<Span>,
}

/// The way to a gateway given by address.
fn by_address(
    net: &Network<'_>,
    node: usize,
    address: IpAddr,
    known: &Known,
    problems: &mut Problems,
) -> Result<usize, Box<Diagnostic>> {
    let Known { family, port, onlink, span } = *known;
    let name = &net.lab.nodes[node].name.value;
    if Family::of(address) != family {
        return Err(Box::new(wrong_family(address, family, span)));
    }
    if lookup::is_own(net, node, address) {
        return Err(Box::new(
            Diagnostic::error("gateway-is-self", format!("{address} is {name}'s own address"))
                .at(span, "")
                .help("a gateway is another node's address"),
        ));
    }
    if onlink || is_link_local(address) {
        return port.ok_or_else(|| {
            let why = if onlink { "`onlink` needs" } else { "a link-local gateway needs" };
            Box::new(
                Diagnostic::error("missing-dev", format!("{why} the interface: {address} may be on any"))
                    .at(span, "")
                    .help("add `dev INTERFACE`"),
            )
        });
    }
    let found = match port {
        Some(port) => lookup::is_on(net, port, address).then_some(port),
        None => lookup::port_for(net, node, address),
    };
    let Some(port) = found else {
        let subnets = lookup::subnets(net, node);
        let whose = port.map_or_else(|| name.clone(), |port| net.port_label(port));
        let mut error = Diagnostic::error(
            "gateway-off-link",
            format!("the gateway {address} is on no subnet of {whose}"),
        )
        .at(span, "");
        error = if subnets.is_empty() {
            error.note(format!("{name} has no address"))
        } else {
            error.note(format!("{name} has {}", and_list(&subnets)))
        };
        return Err(Box::new(
            error.help("a gateway is a neighbour; `onlink` says that it is one all the same"),
        ));
    };
    let segment = &net.segments[net.segment_of[port]];
    let answers =
        segment.ports.iter().any(|far| net.addresses[*far].iter().any(|own| own.net.addr() == address));
    if !answers {
        problems.push(
            Diagnostic::warning(
                "gateway-missing",
                format!(
                    "nobody on {} has the gateway's address {address}",
                    net.describe_segment(net.segment_of[port])
                ),
            )
            .at(span, ""),
        );
    }
    Ok(port)
}

/// The way to a gateway given by a node's name.
fn by_name(
    net: &Network<'_>,
    node: usize,
    name: &str,
    span: Option<Span>,
    family: Family,
    port: Option<usize>,
) -> Result<(usize, IpAddr), Box<Diagnostic>> {
    let own = &net.lab.nodes[node].name.value;
    let Some(other) = index_of(net, name) else {
        let mut error = Diagnostic::error("unknown-node", format!("there is no node `{name}`")).at(span, "");
        error.help.extend(did_you_mean(name, net.lab.nodes.iter().map(|node| node.name.as_str())));
        return Err(Box::new(error));
    };
    let mut ways = lookup::shared(net, node, other, family);
    if let Some(port) = port {
        ways.retain(|(way, _)| *way == port);
    }
    match ways.as_slice() {
        [] => Err(Box::new(
            Diagnostic::error("not-neighbours", format!("{own} shares no {family} subnet with {name}"))
                .at(span, "")
                .help("a gateway is a neighbour on one of the node's links"),
        )),
        [way] => Ok(*way),
        several => {
            let addresses: Vec<String> = several.iter().map(|(_, address)| address.to_string()).collect();
            Err(Box::new(
                Diagnostic::error(
                    "ambiguous-gateway",
                    format!("{own} reaches {name} by {}", and_list(&addresses)),
                )
                .at(span, "")
                .help("write the address"),
            ))
        }
    }
}

/// Default routes by `gateway:`.
pub(super) fn gateways(net: &Network<'_>, node: usize, table: &mut Table, problems: &mut Problems) {
    let lab_node = &net.lab.nodes[node];
    let mut unmet: Option<(&Spanned<String>, usize)> = None;
    for (family, gateway) in [(Family::Ipv4, &lab_node.gateway_ipv4), (Family::Ipv6, &lab_node.gateway_ipv6)]
    {
        let (way, span) = match gateway {
            Gateway::Auto | Gateway::None => continue,
            Gateway::Address(address) => {
                let way = by_address(
                    net,
                    node,
                    address.value,
                    &Known { family, port: None, onlink: false, span: address.span },
                    problems,
                );
                (way.map(|port| (port, address.value)), address.span)
            }
            Gateway::Node(name) => {
                let other = index_of(net, name);
                let ways = other.map_or_else(Vec::new, |other| lookup::shared(net, node, other, family));
                if let Some(way) = ways.first() {
                    (Ok(*way), name.span)
                } else {
                    unmet = Some((name, unmet.map_or(0, |(_, count)| count) + 1));
                    continue;
                }
            }
        };
        match way {
            Ok((port, address)) => {
                let hop =
                    NextHop { via: Some(address), dev: Some(net.ports[port].name), weight: 1, onlink: false };
                let action = RouteAction::Forward(vec![hop]);
                let to = family.everything();
                let route =
                    Route { to, action, metric: None, table: MAIN, source: None, mtu: None, derived: false };
                table.add_written(route, span, problems);
            }
            Err(problem) => problems.push(*problem),
        }
    }
    let by_node = [&lab_node.gateway_ipv4, &lab_node.gateway_ipv6]
        .into_iter()
        .filter(|gateway| matches!(gateway, Gateway::Node(_)))
        .count();
    if let Some((name, count)) = unmet
        && count == by_node
    {
        let problem = by_name(net, node, name, name.span, Family::Ipv4, None);
        problems.list.extend(problem.err().map(|problem| *problem));
        problems.errors += 1;
        return;
    }
    let named =
        [&lab_node.gateway_ipv4, &lab_node.gateway_ipv6].into_iter().find_map(|gateway| match gateway {
            Gateway::Node(name) => Some(name),
            _ => None,
        });
    if let Some(name) = named
        && index_of(net, name).is_some_and(|other| !net.lab.nodes[other].forward)
    {
        problems.push(
            Diagnostic::warning(
                "gateway-does-not-forward",
                format!("the gateway {} is no router", name.value),
            )
            .at(name.span, "")
            .note("it drops what is not for itself")
            .help(format!("set `forward: true` on {}", name.value)),
        );
    }
}

fn wrong_family(address: IpAddr, family: Family, span: Option<Span>) -> Diagnostic {
    let error =
        Diagnostic::error("wrong-family", format!("{address} does not fit: this is an {family} route"));
    error.at(span, "")
}

fn index_of(net: &Network<'_>, name: &str) -> Option<usize> {
    net.node_index.get(name).copied()
}
