//! A packet that goes no further: what stops it, who is told, and what that is to the question.

use std::net::IpAddr;

use nslab_kernel::link::IfIndex;

use super::Walk;
use super::deliver::is_loopback;
use super::run::{Phase, Refused, Run};
use crate::l2::Port;
use crate::{Action, Cause, Code, Doubt, Error, Evidence, Packet, Transport, Verdict};

impl Cause {
    pub(super) fn new(
        code: Code,
        namespace: usize,
        object: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        let (object, text) = (object.into(), text.into());
        Self {
            code,
            namespace,
            link: None,
            object,
            text,
            evidence: Evidence::None,
            packet: None,
            inner: None,
        }
    }

    pub(super) fn at(self, link: IfIndex) -> Self {
        Self { link: Some(link), ..self }
    }

    pub(super) fn with(self, evidence: Evidence) -> Self {
        Self { evidence, ..self }
    }
}

/// Whether a packet is an error itself, about which nobody tells anything (RFC 1122, section 3.2.2; RFC 4443, section 2.4).
fn is_error(packet: &Packet) -> bool {
    match packet.transport {
        Transport::Icmp { kind, .. } if packet.is_ipv6() => kind < 128,
        Transport::Icmp { kind, .. } => matches!(kind, 3 | 4 | 5 | 11 | 12),
        _ => false,
    }
}

/// Private addresses (RFC 1918, RFC 6598, RFC 4193).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || first == 100 && second & 0xc0 == 64
        }
        IpAddr::V6(address) => address.octets()[0] & 0xfe == 0xfc,
    }
}

impl Walk<'_> {
    /// It is dropped without a word.
    pub(super) fn drop(&mut self, run: Run, cause: Cause) {
        self.fail(run, cause, None);
    }

    /// What it hangs on is not known.
    pub(super) fn unknown(&mut self, run: Run, object: impl Into<String>, doubt: Doubt) {
        let text = format!("it is not known: {}", doubt.what);
        let cause = Cause::new(Code::Unmodelled, run.namespace, object, text)
            .with(Evidence::Doubts(vec![doubt.clone()]));
        let cause = Cause { packet: Some(run.packet.clone()), ..cause };
        let mut run = run;
        run.doubts.push(doubt);
        let end = run.end(Verdict::Unknown, Some(cause), None);
        self.ends.push(end);
    }

    /// It may be lost here, for a reason that is not known or by chance; it goes on as well.
    pub(super) fn perhaps(&mut self, run: &Run, object: &str, doubt: &Doubt) {
        let mut lost = run.clone();
        lost.doubts.push(doubt.clone());
        let cause = Cause::new(
            Code::Unmodelled,
            run.namespace,
            object,
            format!("it is not known what becomes of it: {}", doubt.what),
        );
        self.drop(lost, cause.with(Evidence::Doubts(vec![doubt.clone()])));
    }

    /// It goes no further, and its sender is told by `error` if that gets there.
    pub(super) fn fail(&mut self, run: Run, cause: Cause, error: Option<Error>) {
        self.stop(run, cause, error, None);
    }

    /// The same, but it is only in the end, after having asked for a neighbour in vain, that somebody tells the sender.
    pub(super) fn fail_in_vain(
        &mut self,
        run: Run,
        cause: Cause,
        error: Option<Error>,
        neighbour: (Port, IpAddr),
    ) {
        self.stop(run, cause, error, Some(neighbour));
    }

    fn stop(&mut self, mut run: Run, cause: Cause, error: Option<Error>, in_vain: Option<(Port, IpAddr)>) {
        let (cause, error) = match run.sourceless.take() {
            Some(own) if run.packet.ip.source.is_unspecified() && cause.code != Code::Unmodelled => {
                (own, None)
            }
            _ => (cause, error),
        };
        let cause = Cause { packet: Some(run.packet.clone()), ..cause };
        run.step(Action::Stop, cause.object.clone(), cause.text.clone());
        match run.phase.clone() {
            Phase::Request => match error {
                // Whether the sender hears of it would be one more way to follow.
                Some(_) if self.is_spent() => self.unknown(run, cause.object, super::hooks::too_many()),
                Some(error) if !is_error(&run.packet) => self.tell(run, cause, error, in_vain),
                _ => self.ends.push(run.end(Verdict::Dropped, Some(cause), None)),
            },
            Phase::Answer => {
                let cause = lost_answer(&run, cause);
                self.ends.push(run.end(Verdict::Dropped, Some(cause), None));
            }
            Phase::Error(refused) => {
                let cause = match refused.cause.code {
                    Code::MtuExceeded => black_hole(&refused.cause, cause),
                    _ => refused.cause,
                };
                self.ends.push(run.end(Verdict::Dropped, Some(cause), None));
            }
        }
    }

    /// An error or a reset sets out for the sender.
    fn tell(&mut self, run: Run, cause: Cause, error: Error, in_vain: Option<(Port, IpAddr)>) {
        if error == Error::Reset && run.by_bridge {
            // It goes straight out by the port, on the addresses of the old frame (`nf_send_reset`).
            let doubt = Doubt::new(
                "where a reset gets to that a bridge's port sends straight back",
                "send one and look",
            );
            return self.unknown(run, cause.object, doubt);
        }
        let by_rules = matches!(cause.evidence, Evidence::Firewall(_));
        let Some(packet) = self.error_packet(&run, error, by_rules) else {
            self.ends.push(run.end(Verdict::Dropped, Some(cause), None));
            return;
        };
        let (quoted, attached) = (run.packet.clone(), super::tracking::attached(&run.tracking));
        let refused = Box::new(Refused { cause, error, quoted, in_vain });
        // To an address of one link it goes back by the interface by which the packet came (`icmp6_send`, `net/ipv6/icmp.c`;
        // `tcp_v6_send_response`, `net/ipv6/tcp_ipv6.c`); resets of rules do not look at that (`nf_send_reset6`).
        let of_link = matches!(packet.ip.destination, IpAddr::V6(to) if to.is_unicast_link_local());
        let by_rule = matches!(refused.cause.code, Code::FirewallReject | Code::BridgeFirewall);
        let back = run.came_by.filter(|_| of_link && !(by_rule && error == Error::Reset));
        let own = |link: &IfIndex| !self.state(run.namespace).is_some_and(|state| is_loopback(state, *link));
        let oif = back.filter(own);
        let mut next = run.follow(packet, Phase::Error(refused));
        (next.tracking, next.oif) = (attached, oif);
        self.make(next);
    }
}

/// What it means that an answer is lost.
fn lost_answer(run: &Run, inner: Cause) -> Cause {
    let sender = run.packet.ip.destination;
    let no_way = matches!(inner.code, Code::NoRoute | Code::LinkDown)
        && matches!(inner.evidence, Evidence::NoRoute(_));
    if no_way {
        let outside = !is_private(run.packet.ip.source) && is_private(sender);
        if outside
            && run.request.iter().any(|hop| hop.namespace != run.namespace && hop.action == Action::Route)
        {
            let text = format!(
                "it arrives, and {} has no way back to {sender}, which is private: on the way out nothing masquerades",
                run.packet.ip.source
            );
            return Cause { code: Code::NatMissing, text, inner: Some(inner.code), ..inner };
        }
        let text = format!("it arrives; the answer finds no way back: {}", inner.text);
        return Cause { code: Code::NoReturnRoute, text, inner: Some(inner.code), ..inner };
    }
    if inner.code == Code::Unmodelled {
        return inner;
    }
    let text = format!("it arrives; the answer is lost: {}", inner.text);
    Cause { code: Code::ReturnDropped, text, inner: Some(inner.code), ..inner }
}

/// It is too big, and the error that says so is lost as well.
fn black_hole(too_big: &Cause, lost: Cause) -> Cause {
    let text = format!("{}; the ICMP error that would say so is lost: {}", too_big.text, lost.text);
    Cause { code: Code::PmtuBlackhole, text, inner: Some(lost.code), ..lost }
}
