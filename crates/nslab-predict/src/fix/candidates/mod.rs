//! What might mend a cause, the least invasive first. Nothing here has to be right: each is tried.

mod bridge;
mod firewall;
mod links;
mod neighbours;
mod routes;

use std::net::IpAddr;

use ipnet::IpNet;
use nslab_kernel::address::Address;
use nslab_kernel::link::Link;
use nslab_snapshot::{Name, Snapshot, State, Where};

use super::Aim;
use super::change::Change;
use crate::group::belong_together;
use crate::l2::Port;
use crate::{Cause, Code, Evidence, Network, Packet, Prediction, Question};

/// Changes that belong together.
pub(super) type Proposal = Vec<Change>;

/// A cause with what candidates are made from.
struct Case<'a> {
    network: &'a Network<'a>,
    cause: &'a Cause,
    prediction: &'a Prediction,
    /// The packet as it was where it stopped.
    packet: &'a Packet,
    /// It belongs to a connection that was seen both ways: it is an answer, or said to be of one.
    established: bool,
    aim: &'a Aim,
}

/// The candidates for a prediction's cause.
pub(super) fn of(
    network: &Network<'_>,
    question: &Question,
    prediction: &Prediction,
    aim: &Aim,
) -> Vec<Proposal> {
    let Some(cause) = &prediction.cause else { return Vec::new() };
    let returns = matches!(cause.code, Code::ReturnDropped | Code::NoReturnRoute);
    let case = Case {
        network,
        cause,
        prediction,
        packet: cause.packet.as_ref().unwrap_or(&prediction.packet),
        established: question.established || returns,
        aim,
    };
    let mut all = case.by_evidence();
    all.extend(case.by_code(if cause.code == Code::ReturnDropped {
        cause.inner.unwrap_or(Code::ReturnDropped)
    } else {
        cause.code
    }));
    let mut different = Vec::new();
    for proposal in all {
        if !different.contains(&proposal) {
            different.push(proposal);
        }
    }
    different
}

impl<'a> Case<'a> {
    fn by_code(&self, code: Code) -> Vec<Proposal> {
        match code {
            Code::LinkDown | Code::LoopbackDown => self.link_up(),
            Code::NoCarrier => self.carrier(),
            Code::NoSourceAddress => self.source_address(),
            Code::NoRoute | Code::TtlExpired => self.routes(),
            Code::RouteThrow => {
                let mut all = self.routes();
                all.extend(self.past_a_route());
                all
            }
            Code::NoReturnRoute => {
                let mut all = self.routes();
                all.extend(self.masquerade());
                all
            }
            Code::NatMissing => {
                let mut all = self.masquerade();
                all.extend(self.routes());
                all
            }
            Code::RouteBlackhole | Code::RouteUnreachable | Code::RouteProhibit => self.past_a_route(),
            Code::GatewayUnreachable | Code::NeighbourFailed | Code::WrongSegment => self.neighbour(),
            Code::DuplicateAddress => self.duplicate_address(),
            Code::DuplicateMac => self.duplicate_mac(),
            Code::ForwardingOff => vec![vec![self.sysctl(self.forwarding_key(), 1)]],
            Code::RpFilter => self.reverse_path(),
            Code::MtuExceeded | Code::MtuMismatch | Code::PmtuBlackhole => {
                let mut all = self.mtu();
                all.extend(self.past_a_rule());
                all
            }
            Code::FirewallDrop | Code::FirewallReject => self.past_a_rule(),
            Code::BridgeFirewall => {
                let mut all = self.past_a_rule();
                let ip = if self.packet.is_ipv6() { "ip6" } else { "ip" };
                all.push(vec![self.sysctl(format!("net.bridge.bridge-nf-call-{ip}tables"), 0)]);
                all
            }
            Code::BridgeVlan => self.vlan(),
            Code::BridgeIsolated => self.isolation(),
            Code::BridgeStp => self.port_state(),
            Code::BridgeFdb => self.forwarding_entry(),
            Code::TcDrop => self.queues(),
            Code::Martian => self.martian(),
            // For people to decide, or nothing of the network's.
            _ => Vec::new(),
        }
    }

    /// A sysctl that the cause names is set to what lets the packet pass.
    fn by_evidence(&self) -> Vec<Proposal> {
        let Evidence::Sysctl(key) = &self.cause.evidence else { return Vec::new() };
        let value = match key.rsplit('.').next().unwrap_or_default() {
            "ip_forward" | "forwarding" | "accept_local" | "route_localnet" | "proxy_arp" | "proxy_ndp" => 1,
            "rp_filter" => return self.reverse_path(),
            _ => 0,
        };
        vec![vec![self.sysctl(key.clone(), value)]]
    }

    fn sysctl(&self, key: String, value: i64) -> Change {
        Change::Sysctl(self.cause.namespace, key, value)
    }

    fn forwarding_key(&self) -> String {
        let key = if self.packet.is_ipv6() { "net.ipv6.conf.all.forwarding" } else { "net.ipv4.ip_forward" };
        key.to_owned()
    }

    /// Loose first, then off: what counts is the larger of a link's value and that of `all`.
    fn reverse_path(&self) -> Vec<Proposal> {
        let Some(link) = self.cause.link.and_then(|link| self.state(self.cause.namespace)?.link(link)) else {
            return Vec::new();
        };
        // sysctl(8) has a dot in a name as a slash.
        let own = format!("net.ipv4.conf.{}.rp_filter", link.name.as_str().replace('.', "/"));
        let off = vec![self.sysctl(own.clone(), 0)];
        let all_off =
            vec![self.sysctl("net.ipv4.conf.all.rp_filter".to_owned(), 0), self.sysctl(own.clone(), 0)];
        let mut all = vec![vec![self.sysctl(own, 2)]];
        // Where the way back is wrong it is the route that has to go.
        all.extend(self.without_way_back(link.index));
        all.extend([off, all_off]);
        all
    }

    fn snapshot(&self) -> &'a Snapshot {
        self.network.snapshot
    }

    fn state(&self, place: usize) -> Option<&'a State> {
        self.snapshot().namespaces.get(place)?.state()
    }

    fn link(&self, at: Port) -> Option<&'a Link> {
        self.state(at.namespace)?.link(at.link)
    }

    /// The interface that the cause is at.
    fn at(&self) -> Option<Port> {
        Some(Port { namespace: self.cause.namespace, link: self.cause.link? })
    }

    fn states(&self) -> impl Iterator<Item = (usize, &'a State)> + use<'a> {
        let all = self.network.snapshot.namespaces.iter().enumerate();
        all.filter_map(|(place, space)| Some((place, space.state()?)))
    }

    /// The links of a namespace that have a network layer, but loopback.
    fn links(&self, namespace: usize) -> Vec<(Port, &'a Link)> {
        let links = self.state(namespace).into_iter().flat_map(|state| &state.network.links);
        links
            .map(|link| (Port { namespace, link: link.index }, link))
            .filter(|(at, _)| self.network.segments.number(*at).is_some())
            .collect()
    }

    /// The addresses of an interface of the family of another address.
    fn addresses(&self, at: Port, family_of: IpAddr) -> impl Iterator<Item = &'a Address> + use<'a> {
        let all = self.state(at.namespace).into_iter().flat_map(|state| &state.network.addresses);
        all.filter(move |known| {
            let own = known.address.addr();
            let local = matches!(own, IpAddr::V6(own) if own.is_unicast_link_local());
            known.link == at.link && own.is_ipv6() == family_of.is_ipv6() && !local
        })
    }

    /// The other interfaces of an interface's segment.
    fn others(&self, at: Port) -> Vec<Port> {
        let number = self.network.segments.number(at);
        let mut all = self.network.segments.all().filter(|(known, _)| Some(*known) == number);
        let members = all.next().map_or(&[][..], |(_, members)| members);
        members.iter().filter(|other| other.namespace != at.namespace).copied().collect()
    }

    /// Who has an address, with its subnet: of those that have to do with the namespace of the cause. A host may have many
    /// networks, and they may use the same addresses.
    fn owners(&self, address: IpAddr) -> Vec<(Port, IpNet)> {
        let near: Vec<Port> =
            self.links(self.cause.namespace).into_iter().flat_map(|(at, _)| self.others(at)).collect();
        let knows = |owner: &Port| {
            Some(owner.namespace) == self.aim.destination
                || near.contains(owner)
                || self.prediction.hops.iter().any(|hop| hop.namespace == owner.namespace)
                || belong_together(self.snapshot(), self.cause.namespace, owner.namespace)
        };
        let all = self.states().flat_map(|(namespace, state)| {
            state.network.addresses.iter().map(move |known| (namespace, known))
        });
        all.filter(|(_, known)| known.address.addr() == address)
            .map(|(namespace, known)| (Port { namespace, link: known.link }, known.address))
            .filter(|(owner, _)| knows(owner))
            .collect()
    }

    /// Where a link's other end is.
    fn far(&self, at: Port) -> Option<Port> {
        let peer = self.state(at.namespace)?.peer(at.link)?;
        match peer.namespace {
            Where::Namespace(namespace) => Some(Port { namespace, link: peer.lower }),
            Where::Unseen => None,
        }
    }

    /// What to call a namespace in an interface's name.
    fn short(&self, place: usize) -> String {
        let name = self.snapshot().namespaces.get(place).map(nslab_snapshot::Namespace::name);
        let text = match name {
            Some(Name::Node { node: name, .. } | Name::Netns(name) | Name::Container { name, .. }) => {
                name.clone()
            }
            Some(Name::Process(process)) => format!("p{}", process.pid),
            Some(Name::Host) => "host".to_owned(),
            _ => format!("ns{place}"),
        };
        text.chars().filter(|letter| letter.is_ascii_alphanumeric() || "-_".contains(*letter)).collect()
    }
}
