//! The packets that carry a tunnel's frames.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Walk;
use super::output::mtu;
use super::run::Run;
use crate::fib::{self, Flow};
use crate::l2::{Carrier, Did, End, Port, TunnelEnd};
use crate::pmtu::IPV6_LEAST;
use crate::{Action, Cause, Code, Doubt, Evidence, Ip, Packet, Told, Verdict};

/// The ports that a tunnel sends from are chosen by a hash of what it carries; the first of them
/// (`udp_flow_src_port`, `include/net/udp.h`).
const SOURCE_PORT: u16 = 32768;

impl<'a> Walk<'a> {
    /// The ends of the tunnel that a frame goes into at a place of its way, if it does.
    pub(super) fn enters(&self, end: &End, place: usize) -> Option<(&'a TunnelEnd, &'a TunnelEnd)> {
        let tunnel_ends = self.network.wiring.tunnel_ends();
        if tunnel_ends.is_empty() {
            return None;
        }
        let hop = end.hops.get(place)?;
        let next = end.hops.get(place + 1)?;
        let own = tunnel_ends.iter().find(|one| one.at == hop.at && hop.did == Did::Sent)?;
        let far = tunnel_ends.iter().find(|one| one.at == next.at && next.did == Did::Received)?;
        (own.at != far.at).then_some((own, far))
    }

    /// The packet that carries a frame from one end to another; none if that is a group's, or not known.
    pub(super) fn tunnel_packet(
        &self,
        end: &End,
        own: &TunnelEnd,
        far: &TunnelEnd,
        inner: &Run,
        size: u32,
    ) -> Option<Packet> {
        let (state, below) = (self.state(own.at.namespace)?, self.state(own.below)?);
        let tunnel_ends = self.network.wiring.tunnel_ends();
        let to = own
            .remotes(state, end.frame.destination)
            .into_iter()
            .find(|&remote| {
                own.far(self.network.snapshot, tunnel_ends, remote).any(|other| other.at == far.at)
            })
            .filter(|to| !to.is_multicast())?;
        let (header, any): (u32, IpAddr) = if to.is_ipv6() {
            (40, Ipv6Addr::UNSPECIFIED.into())
        } else {
            (20, Ipv4Addr::UNSPECIFIED.into())
        };
        Some(Packet {
            ip: Ip {
                source: own.local.unwrap_or(any),
                destination: to,
                ttl: match (own.ttl, own.carrier) {
                    (0, Carrier::Vxlan { .. }) => below.settings.ttl,
                    (0, Carrier::Ip { .. }) => inner.packet.ip.ttl,
                    (ttl, _) => ttl,
                },
                tos: 0,
                // Nobody allows IPv6 to cut it (`ip6_fragment` without `ignore_df`); the others find out what fits.
                dont_fragment: to.is_ipv6() || matches!(own.carrier, Carrier::Ip { .. }),
                size: size + own.carrier.growth() + header,
            },
            transport: own.carrier.transport(SOURCE_PORT),
            mark: 0,
        })
    }

    /// What becomes of such a packet.
    pub(super) fn walk_below(
        &self,
        run: &Run,
        own: &TunnelEnd,
        far: &TunnelEnd,
        packet: Packet,
    ) -> Vec<super::run::End> {
        if self.inside.contains(&own.at) {
            return vec![self.circular(own, packet)];
        }
        let walk = Walk {
            inside: self.inside.iter().copied().chain([own.at]).collect(),
            network: self.network,
            sender: own.below,
            established: false,
            one_way: false,
            fresh: self.fresh,
            tunnel: self.network.wiring.tunnel_ends().iter().find(|one| one.at == far.at),
            pending: Vec::new(),
            ends: Vec::new(),
        };
        let mut first = Run::new(own.below, packet);
        first.connections.clone_from(&run.connections);
        first.learned.clone_from(&run.learned);
        walk.walk(first)
    }

    /// What carries a tunnel's packets is the tunnel itself (`ELOOP` of `vxlan_xmit_one`; over several,
    /// `XMIT_RECURSION_LIMIT`).
    fn circular(&self, own: &TunnelEnd, packet: Packet) -> super::run::End {
        let text = format!(
            "what is to carry the packets of {} to {} is that tunnel itself",
            self.port(own.at),
            packet.ip.destination
        );
        let cause =
            Cause::new(Code::TtlExpired, own.at.namespace, self.link_name(own.at), text).at(own.at.link);
        Run::new(own.below, packet).end(Verdict::Dropped, Some(cause), None)
    }

    /// Through a tunnel: the packet that carries the frame has to arrive.
    pub(super) fn below(&mut self, mut run: Run, end: &End, own: &TunnelEnd, far: &TunnelEnd) -> Vec<Run> {
        if !own.carrier.carries(run.packet.is_ipv6()) {
            let what = "what a tunnel does with packets of the other version of IP";
            self.unknown(run, self.port(own.at), Doubt::new(what, "send one"));
            return Vec::new();
        }
        let Some(packet) = self.tunnel_packet(end, own, far, &run, run.size()) else {
            run.assume("the network below carries the tunnel's group");
            return vec![run];
        };
        let detail = format!("{}, to {}", own.carrier, packet.ip.destination);
        run.step_in(own.at, Action::Encapsulate, self.port(own.at), detail);
        if let Some(mtu) = self.too_big_for_tunnel(&run, own, &packet) {
            self.told_by_tunnel(run, own, mtu);
            return Vec::new();
        }
        let mut on = Vec::new();
        for carried in self.walk_below(&run, own, far, packet) {
            let mut run = run.clone();
            run.hops.extend(carried.request);
            run.doubts.extend(carried.doubts);
            run.chance = run.chance.or(carried.chance);
            run.assumptions.extend(carried.assumptions);
            run.connections = carried.connections;
            match (carried.verdict, carried.cause) {
                (Verdict::Delivered, _) => {
                    run.step_in(far.at, Action::Decapsulate, self.port(far.at), far.carrier.to_string());
                    on.push(run);
                }
                // The tunnel itself tells of what does not fit (`tnl_update_pmtu`, `net/ipv4/ip_tunnel.c`).
                (_, Some(cause))
                    if matches!(cause.code, Code::MtuExceeded | Code::PmtuBlackhole)
                        && matches!(own.carrier, Carrier::Ip { .. }) =>
                {
                    let what = "whom a tunnel tells that a packet is too big for the network below it";
                    self.unknown(run, self.port(own.at), Doubt::new(what, "send it, or a smaller one"));
                }
                (Verdict::Unknown, Some(cause)) => {
                    let cause = in_tunnel(cause);
                    self.ends.push(run.end(Verdict::Unknown, Some(cause), None));
                }
                (_, Some(cause)) => self.drop(run, in_tunnel(cause)),
                (_, None) => {}
            }
        }
        on
    }
}

impl Walk<'_> {
    /// What a VXLAN in a bridge lets through, if the packet is longer and may not be cut: it looks whether the packet around it would fit
    /// the way below (`skb_tunnel_check_pmtu`, `net/ipv4/ip_tunnel_core.c`). Elsewhere it only notes that for the sender.
    fn too_big_for_tunnel(&self, run: &Run, own: &TunnelEnd, packet: &Packet) -> Option<u32> {
        let in_bridge = self.link(own.at)?.master.is_some_and(|master| {
            let master = Port { link: master, ..own.at };
            self.link(master).is_some_and(|link| link.as_bridge().is_some())
        });
        let cuttable = !run.packet.is_ipv6() && !run.packet.ip.dont_fragment;
        if !in_bridge || cuttable || !matches!(own.carrier, Carrier::Vxlan { .. }) {
            return None;
        }
        let below = self.state(own.below)?;
        let decision = fib::lookup(below, &Flow::of(packet, None));
        let fib::Verdict::Leave(ways) = &decision.only()?.verdict else { return None };
        let taken = mtu(below, ways.first(), packet.is_ipv6());
        let header = if packet.is_ipv6() { 40 } else { 20 };
        let least = taken.saturating_sub(own.carrier.growth() + header);
        // Of less than every host has to take it says nothing.
        let told = if run.packet.is_ipv6() { IPV6_LEAST } else { 576 };
        (run.size() > least && least >= told).then_some(least)
    }

    /// The tunnel sends the word back by the bridge, in the name of whom the packet is for (`iptunnel_pmtud_build_icmp`).
    fn told_by_tunnel(&mut self, mut run: Run, own: &TunnelEnd, mtu: u32) {
        let size = run.size();
        let object = self.port(own.at);
        let text = format!(
            "it has {size} bytes and may not be fragmented, and with the headers of the tunnel {object} only {mtu} fit the network below it"
        );
        let cause = Cause::new(Code::MtuExceeded, own.at.namespace, self.link_name(own.at), text)
            .at(own.at.link)
            .with(Evidence::Mtu { size, mtu });
        // Where a router was in between, it has to pass the word on, and everything on its way as well.
        if run.namespace != self.sender || !run.is_request() || !self.inside.is_empty() {
            let what = "whether the word of a tunnel that a packet is too big gets back to its sender";
            return self.unknown(run, object, Doubt::new(what, "send it, or a smaller one"));
        }
        let (kind, code) = if run.packet.is_ipv6() { (2, 0) } else { (3, 4) };
        let told =
            Told { from: run.packet.ip.destination, what: crate::Error::Icmp { kind, code, mtu: Some(mtu) } };
        let cause = Cause { packet: Some(run.packet.clone()), ..cause };
        run.step(Action::Stop, cause.object.clone(), cause.text.clone());
        let end = run.end(Verdict::Rejected, Some(cause), Some(told));
        self.ends.push(end);
    }
}

fn in_tunnel(cause: Cause) -> Cause {
    Cause { text: format!("the packet of the tunnel that carries it is lost: {}", cause.text), ..cause }
}
