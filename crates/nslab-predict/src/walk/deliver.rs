//! Packets that are for this namespace: sockets, and what answers (`ip_local_deliver`, `net/ipv4/ip_input.c`).

use std::net::IpAddr;

use nslab_kernel::link::IfIndex;
use nslab_kernel::nftables::Hook;
use nslab_kernel::sock_diag::{Protocol, State as SocketState};
use nslab_snapshot::{Listener, Part, State};

use super::hooks::At;
use super::run::{Phase, Refused, RefusedWith, Run};
use super::{Walk, tracking};
use crate::fib::{self, Flow};
use crate::nft::{Tracking, inverted, tuple};
use crate::{Action, Cause, Code, Doubt, Error, Evidence, Ip, Packet, Tcp, Told, Transport, Verdict};

/// Protocols that the kernel may have handlers for, which the snapshot does not tell (`net/ipv4/protocol.c`): IP in IP, IPv6,
/// GRE, ESP, AH, `IPComp`, PIM, L2TP, DCCP, SCTP, UDP-Lite.
const HANDLED: [u8; 12] = [2, 4, 33, 41, 47, 50, 51, 103, 108, 115, 132, 136];

impl Walk<'_> {
    /// Through the hook of input, to whoever it is for.
    pub(super) fn local(&mut self, run: Run, state: &State, link: IfIndex) {
        let at = At { tracked: true, ..At::new(Hook::Input, Some(link), None) };
        for (mut run, _) in self.hook(run, state, at) {
            tracking::confirm(&mut run);
            // Of a protocol that nobody takes the connection is not forgotten (`ip_protocol_deliver_rcu`): an error inherits it.
            if !matches!((&run.phase, run.packet.transport), (Phase::Request, Transport::Other(_))) {
                run.tracking = Tracking::None;
            }
            match run.phase.clone() {
                Phase::Request => self.deliver(run, state, link),
                Phase::Answer => self.answered_sender(run),
                Phase::Error(refused) => self.told(run, &refused),
            }
        }
    }

    /// The packet that was asked about arrives.
    fn deliver(&mut self, mut run: Run, state: &State, link: IfIndex) {
        let ipv6 = run.packet.is_ipv6();
        let to = run.packet.ip.destination;
        match run.packet.transport {
            Transport::Icmp { kind, .. } => {
                let echo = if ipv6 { 128 } else { 8 };
                if kind != echo {
                    run.step(Action::Deliver, to.to_string(), "to whoever listens to ICMP");
                    return self.ends.push(run.end(Verdict::Delivered, None, None));
                }
                let key = match (ipv6, state.settings.ignores_echo, state.settings.ignores_echo_ipv6) {
                    (false, true, _) => "net.ipv4.icmp_echo_ignore_all",
                    (true, _, true) => "net.ipv6.icmp.echo_ignore_all",
                    _ => {
                        run.step(Action::Deliver, to.to_string(), "the kernel answers echo requests");
                        return self.answer(run, state, link);
                    }
                };
                let text = format!("echo requests are not answered ({key} is on)");
                let cause = Cause::new(Code::NoListener, run.namespace, key, text);
                self.drop(run, cause.with(Evidence::Sysctl(key.to_owned())));
            }
            Transport::Tcp(_) if self.established => {
                run.step(Action::Deliver, to.to_string(), "to the connection's socket");
                self.answer(run, state, link);
            }
            Transport::Tcp(tcp) => {
                let error = Error::Reset;
                self.socket_takes(run, state, link, Protocol::Tcp, tcp.destination, error);
            }
            Transport::Udp { destination, .. } => {
                let (kind, code) = if ipv6 { (1, 4) } else { (3, 3) };
                let error = Error::Icmp { kind, code, mtu: None };
                self.socket_takes(run, state, link, Protocol::Udp, destination, error);
            }
            Transport::Other(number) => self.protocol_takes(run, state, link, number),
        }
    }

    /// To the socket that is bound to a port.
    fn socket_takes(
        &mut self,
        mut run: Run,
        state: &State,
        link: IfIndex,
        protocol: Protocol,
        port: u16,
        error: Error,
    ) {
        let to = run.packet.ip.destination;
        if let Some(far) = self.tunnel
            && far.takes(run.namespace, &run.packet)
        {
            return self.ends.push(run.end(Verdict::Delivered, None, None));
        }
        self.unread_sockets(&run, state, protocol);
        let of_port = |listener: &&Listener| {
            let socket = &listener.socket;
            socket.protocol == protocol && socket.port == port && socket.state == SocketState::Open
        };
        let mut there = state.sockets.iter().filter(of_port);
        let takes = |listener: &&Listener| {
            listener.socket.takes(to) && listener.socket.link.is_none_or(|own| own == link)
        };
        if let Some(listener) = there.clone().find(takes) {
            let who = listener
                .process
                .as_ref()
                .map_or_else(String::new, |process| format!("to {} (pid {})", process.command, process.pid));
            run.step(Action::Deliver, format!("{protocol} port {port}"), who);
            if protocol == Protocol::Udp {
                run.assume("what listens on the UDP port answers, with a packet as long");
            }
            return self.answer(run, state, link);
        }
        let others: Vec<IpAddr> = there.by_ref().map(|listener| listener.socket.address).collect();
        let object = format!("{protocol} port {port}");
        let cause = if others.is_empty() {
            let text = format!("nothing listens on {protocol} port {port}");
            Cause::new(Code::NoListener, run.namespace, object, text)
        } else {
            let names: Vec<String> = others.iter().map(IpAddr::to_string).collect();
            let text = format!(
                "what listens on {protocol} port {port} does so on {} only, and the packet is for {to}",
                names.join(" and ")
            );
            Cause::new(Code::ListenerOtherAddress, run.namespace, object, text)
                .with(Evidence::Listeners(others))
        };
        self.fail(run, cause, Some(error));
    }

    /// To whatever takes a protocol.
    fn protocol_takes(&mut self, mut run: Run, state: &State, link: IfIndex, number: u8) {
        if self.tunnel.is_some_and(|far| far.takes(run.namespace, &run.packet)) {
            return self.ends.push(run.end(Verdict::Delivered, None, None));
        }
        self.unread_sockets(&run, state, Protocol::Raw);
        let to = run.packet.ip.destination;
        let raw = state.sockets.iter().find(|listener| {
            let socket = &listener.socket;
            socket.protocol == Protocol::Raw
                && socket.raw_protocol == number
                && socket.address.is_ipv6() == to.is_ipv6()
                && socket.takes(to)
                && socket.link.is_none_or(|own| own == link)
        });
        if raw.is_some() {
            run.step(Action::Deliver, format!("protocol {number}"), "to a raw socket");
            return self.ends.push(run.end(Verdict::Delivered, None, None));
        }
        if HANDLED.contains(&number) {
            let what = format!("whether the kernel here takes packets of protocol {number}");
            return self.unknown(run, format!("protocol {number}"), Doubt::new(what, "send one"));
        }
        let text = format!("nothing takes packets of protocol {number}");
        let cause = Cause::new(Code::NoListener, run.namespace, format!("protocol {number}"), text);
        let (kind, code) = if to.is_ipv6() { (4, 1) } else { (3, 2) };
        self.fail(run, cause, Some(Error::Icmp { kind, code, mtu: None }));
    }

    /// Sockets that could not be read may be there or not.
    fn unread_sockets(&mut self, run: &Run, state: &State, protocol: Protocol) {
        if let Some(gap) = state.gaps.iter().find(|gap| gap.part == Part::Sockets(protocol)) {
            let doubt = Doubt::new(
                format!("which {protocol} sockets there are could not be read ({})", gap.why),
                "look with `ss -lnp` as root",
            );
            self.perhaps(run, "sockets", &doubt);
        }
    }

    /// The answer sets out.
    fn answer(&mut self, run: Run, state: &State, link: IfIndex) {
        let asked = run.packet.clone();
        let ipv6 = asked.is_ipv6();
        let (reflects, reflects6) = state.settings.mark_is_reflected;
        let mark = if if ipv6 { reflects6 } else { reflects } { asked.mark } else { 0 };
        let (transport, size, tos, mark) = match asked.transport {
            Transport::Icmp { kind, id, .. } => {
                let kind = if ipv6 { kind + 1 } else { 0 };
                (Transport::Icmp { kind, code: 0, id }, asked.ip.size, asked.ip.tos, mark)
            }
            Transport::Tcp(tcp) => {
                let flags = if self.established { Tcp::ACK } else { Tcp::SYN | Tcp::ACK };
                let tcp = Tcp { source: tcp.destination, destination: tcp.source, flags };
                (Transport::Tcp(tcp), if ipv6 { 80 } else { 60 }, 0, 0)
            }
            Transport::Udp { source, destination } => {
                let transport = Transport::Udp { source: destination, destination: source };
                (transport, asked.ip.size, 0, 0)
            }
            Transport::Other(number) => (Transport::Other(number), asked.ip.size, 0, 0),
        };
        let packet = Packet {
            ip: Ip {
                source: asked.ip.destination,
                destination: asked.ip.source,
                ttl: ttl(state, ipv6),
                tos,
                dont_fragment: matches!(transport, Transport::Tcp(_) | Transport::Udp { .. }),
                size,
            },
            transport,
            mark,
        };
        let mut next = run.follow(packet, Phase::Answer);
        // `icmpv6_echo_reply` (`net/ipv6/icmp.c`) prefers the interface by which the request came.
        let echo = ipv6 && matches!(transport, Transport::Icmp { .. });
        let of_link = matches!(asked.ip.source, IpAddr::V6(source) if source.is_unicast_link_local());
        next.oif = (echo || of_link).then_some(link).filter(|&link| !is_loopback(state, link));
        self.make(next);
    }

    /// The answer gets to somebody: whether to the one who asked.
    fn answered_sender(&mut self, mut run: Run) {
        let sent = run.sent.clone();
        let expected = sent.as_ref().and_then(|sent| inverted(&tuple(sent)));
        let to = run.packet.ip.destination;
        if run.namespace == self.sender && expected == Some(tuple(&run.packet)) {
            run.step(Action::Deliver, to.to_string(), "to the sender");
            return self.ends.push(run.end(Verdict::Delivered, None, None));
        }
        let asked = sent.map_or(to, |sent| sent.ip.destination);
        let text = if run.namespace == self.sender {
            format!(
                "the answer comes from {}, and it is {asked} that was asked: the sender does not know it for the answer",
                run.packet.ip.source
            )
        } else {
            format!("the answer for {to} gets to {}, which has that address too", self.name(run.namespace))
        };
        let cause = Cause::new(Code::NoListener, run.namespace, to.to_string(), text);
        self.drop(run, cause);
    }

    /// An error or a reset gets to somebody: whether to the one who sent.
    fn told(&mut self, mut run: Run, refused: &Refused) {
        let sent = run.sent.as_ref().map(tuple);
        let mut is_its = match refused.error {
            Error::Icmp { .. } => sent == Some(tuple(&refused.quoted)),
            Error::Reset => sent.as_ref().and_then(inverted) == Some(tuple(&run.packet)),
        };
        if !is_its
            && run.namespace == self.sender
            && matches!(refused.error, Error::Icmp { .. })
            && run.sent.as_ref().is_some_and(|sent| is_of_one_socket(sent, &refused.quoted))
        {
            is_its = true;
            run.assume(format!(
                "the sender's socket is not connected: it hears of errors about {}, too, which it did not send to",
                refused.quoted.ip.destination
            ));
        }
        let to = run.packet.ip.destination;
        if run.namespace == self.sender && is_its {
            run.step(Action::Deliver, to.to_string(), "to the sender");
            let told = Told { from: run.packet.ip.source, what: refused.error };
            let verdict = if refused.in_vain.is_some() { Verdict::Dropped } else { Verdict::Rejected };
            let cause = refused.cause.clone();
            return self.ends.push(run.end(verdict, Some(cause), Some(told)));
        }
        let text = format!("it gets to {}, which sent nothing that it is about", self.name(run.namespace));
        let cause = Cause::new(Code::NoListener, run.namespace, to.to_string(), text);
        self.drop(run, cause);
    }

    /// The packet that tells the sender of one that was refused; none if nobody is told (`__icmp_send`, `net/ipv4/icmp.c`;
    /// `icmp6_send`, `net/ipv6/icmp.c`; `nf_send_reset`, `net/ipv4/netfilter/nf_reject_ipv4.c`).
    pub(super) fn error_packet(&self, run: &Run, error: Error, by_rules: bool) -> Option<Packet> {
        let state = self.state(run.namespace)?;
        let refused = &run.packet;
        let ipv6 = refused.is_ipv6();
        let to = refused.ip.source;
        if to.is_unspecified() || to.is_multicast() || refused.ip.destination.is_multicast() {
            return None;
        }
        // One that was for this namespace is told of from the address that it was for.
        let has = |address| state.network.addresses.iter().any(|own| own.address.addr() == address);
        let is_own = match run.refused_with {
            RefusedWith::WayBack if !ipv6 => has(to),
            RefusedWith::Bridge if !ipv6 => false,
            _ => has(refused.ip.destination),
        };
        let any: IpAddr = if ipv6 {
            std::net::Ipv6Addr::UNSPECIFIED.into()
        } else {
            std::net::Ipv4Addr::UNSPECIFIED.into()
        };
        let (reflects, reflects6) = state.settings.mark_is_reflected;
        let mark = if if ipv6 { reflects6 } else { reflects } { refused.mark } else { 0 };
        let (source, transport, size, tos) = match error {
            Error::Icmp { kind, code, .. } => {
                // The header and as much of the packet as is quoted (RFC 1812, section 4.3.2.3; RFC 4443, section 2.4).
                let (header, most) = if ipv6 { (48, 1280) } else { (28, 576) };
                // `IPTOS_PREC_INTERNETCONTROL`, and what `RT_TOS` leaves.
                let tos = if ipv6 { 0 } else { refused.ip.tos & 0x1e | 0xc0 };
                let transport = Transport::Icmp { kind, code, id: 0 };
                (
                    if is_own { refused.ip.destination } else { error_source(run, state, to).unwrap_or(any) },
                    transport,
                    (refused.ip.size + header).min(most),
                    tos,
                )
            }
            Error::Reset => {
                let Transport::Tcp(tcp) = refused.transport else { return None };
                if tcp.flags & Tcp::RST != 0 {
                    return None;
                }
                let tcp =
                    Tcp { source: tcp.destination, destination: tcp.source, flags: Tcp::RST | Tcp::ACK };
                // Without what tells of congestion (`tcp_v4_send_reset`, `tcp_v6_send_response`; `nf_reject_iphdr_put`).
                let tos = if by_rules { 0 } else { refused.ip.tos & !3 };
                (refused.ip.destination, Transport::Tcp(tcp), if ipv6 { 60 } else { 40 }, tos)
            }
        };
        let ip = Ip { source, destination: to, ttl: ttl(state, ipv6), tos, dont_fragment: false, size };
        Some(Packet { ip, transport, mark })
    }
}

/// Whether a socket that is not connected may have sent both, to different destinations: it is looked for by what is its own alone
/// (`__udp4_lib_err`, `net/ipv4/udp.c`; `raw_icmp_error`, `net/ipv4/raw.c`; `ping_err`, `net/ipv4/ping.c`).
fn is_of_one_socket(sent: &Packet, quoted: &Packet) -> bool {
    sent.ip.source == quoted.ip.source
        && match (sent.transport, quoted.transport) {
            (Transport::Udp { source, .. }, Transport::Udp { source: quoted, .. }) => source == quoted,
            (Transport::Icmp { id, .. }, Transport::Icmp { id: quoted, .. }) => id == quoted,
            (Transport::Other(number), Transport::Other(quoted)) => number == quoted,
            _ => false,
        }
}

/// The address that an error of `ICMPv6` is from, if the route has none: one of the interface by which the packet came
/// (`icmp6_send`, `icmpv6_rt_has_prefsrc`, `net/ipv6/icmp.c`). Of IPv4 it is the route's.
fn error_source(run: &Run, state: &State, to: IpAddr) -> Option<IpAddr> {
    let (IpAddr::V6(address), Some(link)) = (to, run.came_by) else { return None };
    let decision = fib::lookup(state, &Flow::to(to));
    let route = decision.outcomes.first()?.reason.route.and_then(|place| state.network.routes.get(place));
    if route.is_some_and(|route| route.source.is_some()) {
        return None;
    }
    fib::select_source6(state, link, address).first().copied()
}

pub(super) fn is_loopback(state: &State, link: IfIndex) -> bool {
    state.link(link).is_some_and(|link| link.loopback)
}

/// The TTL or hop limit of what a namespace sends.
fn ttl(state: &State, ipv6: bool) -> u8 {
    match (ipv6, state.settings.ipv6_all.hop_limit) {
        (false, _) => state.settings.ttl,
        (true, 0) => 64,
        (true, limit) => limit,
    }
}
