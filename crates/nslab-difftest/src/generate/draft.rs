//! A network in the making.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::network::{Line, Listener, Network, Service, What};

/// What is known of a network while it is drawn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) nodes: Vec<Node>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) lines: Vec<Line>,
    /// Which families have addresses.
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
}

/// A namespace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    /// It forwards.
    pub(crate) is_router: bool,
    /// It is only there for the links in it.
    pub(crate) is_switch: bool,
    pub(crate) ends: Vec<End>,
    /// Ports of its bridges.
    pub(crate) ports: Vec<Port>,
}

/// A port of a bridge: its name, the bridge's, and whose end is on the other side.
pub(crate) type Port = (String, String, Option<(usize, usize)>);

/// An interface with addresses.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) name: String,
    pub(crate) segment: usize,
    pub(crate) ipv4: Ipv4Addr,
    pub(crate) ipv6: Ipv6Addr,
}

/// A broadcast domain.
#[derive(Debug, Clone, Default)]
pub(crate) struct Segment {
    /// Nodes and which of their ends.
    pub(crate) members: Vec<(usize, usize)>,
}

impl End {
    pub(crate) fn address(&self, ipv6: bool) -> IpAddr {
        if ipv6 { self.ipv6.into() } else { self.ipv4.into() }
    }
}

/// The prefix of a segment.
pub(crate) fn prefix(segment: usize, ipv6: bool) -> String {
    if ipv6 { format!("fd00:{segment}::/64") } else { format!("10.0.{segment}.0/24") }
}

/// The prefix of all addresses of a family.
pub(crate) fn anywhere(ipv6: bool) -> &'static str {
    if ipv6 { "::/0" } else { "default" }
}

impl Draft {
    pub(crate) fn node(&mut self, is_router: bool, is_switch: bool) -> usize {
        self.nodes.push(Node { is_router, is_switch, ..Node::default() });
        self.nodes.len() - 1
    }

    /// An interface for a segment, which gets its addresses.
    pub(crate) fn end(&mut self, node: usize, segment: usize, name: String) -> usize {
        let number = self.segments[segment].members.len() + 1;
        let (low, net) = (u8::try_from(number).unwrap_or(250), u8::try_from(segment).unwrap_or(250));
        let ipv6 = format!("fd00:{segment}::{number}").parse().unwrap_or(Ipv6Addr::LOCALHOST);
        let ends = &mut self.nodes[node].ends;
        ends.push(End { name, segment, ipv4: Ipv4Addr::new(10, 0, net, low), ipv6 });
        let end = ends.len() - 1;
        self.segments[segment].members.push((node, end));
        end
    }

    pub(crate) fn families(&self) -> Vec<bool> {
        [(self.ipv4, false), (self.ipv6, true)]
            .into_iter()
            .filter(|(has, _)| *has)
            .map(|(_, ipv6)| ipv6)
            .collect()
    }

    pub(crate) fn ip(&mut self, space: usize, text: impl Into<String>) {
        self.lines.push(Line { space, what: What::Ip(text.into()) });
    }

    pub(crate) fn bridge(&mut self, space: usize, text: impl Into<String>) {
        self.lines.push(Line { space, what: What::Bridge(text.into()) });
    }

    pub(crate) fn tc(&mut self, space: usize, text: impl Into<String>) {
        self.lines.push(Line { space, what: What::Tc(text.into()) });
    }

    pub(crate) fn nft(&mut self, space: usize, text: impl Into<String>) {
        self.lines.push(Line { space, what: What::Nft(text.into()) });
    }

    pub(crate) fn sysctl(&mut self, space: usize, key: impl Into<String>, value: usize) {
        self.lines.push(Line { space, what: What::Sysctl(key.into(), value.to_string()) });
    }

    pub(crate) fn listen(&mut self, space: usize, service: Service, address: IpAddr, dual: bool) {
        self.lines.push(Line { space, what: What::Listen(Listener { service, address, dual }) });
    }

    /// Those that have addresses.
    pub(crate) fn hosts(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&node| !self.nodes[node].ends.is_empty()).collect()
    }

    pub(crate) fn routers(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&node| self.nodes[node].is_router).collect()
    }

    /// All interfaces with addresses.
    pub(crate) fn ends(&self) -> Vec<(usize, End)> {
        let of = |(number, node): (usize, &Node)| {
            node.ends.iter().map(move |end| (number, end.clone())).collect::<Vec<_>>()
        };
        self.nodes.iter().enumerate().flat_map(of).collect()
    }

    pub(crate) fn network(self) -> Network {
        Network { spaces: self.nodes.len(), lines: self.lines }
    }
}
