//! From an expression to conditions on a packet's bytes.
//!
//! Which bytes depends on what was written before: `vlan`, `mpls`, `pppoes` and the tunnels move what stands behind them,
//! in the order of the text, whether they matched or not (as libpcap does). A VLAN tag may be in the packet's bytes or,
//! on a live socket, beside them; a tunnel may run over IPv4 or IPv6. Such a thing is true of the packet from the start,
//! so the whole expression is lowered once for each [`Case`] and the cases are joined by the test that tells them apart.

mod arithmetic;
mod host;
mod layout;
mod link;
mod port;
mod tunnel;

use std::ops::Range;

use self::layout::{Layout, Tunnel};
use crate::error::{ErrorKind, FilterError};
use crate::graph::condition::{Condition, against};
use crate::graph::known::Against;
use crate::graph::value::Values;
use crate::program::ancillary;
use crate::syntax::{Expr, Primitive};

type Result<T> = std::result::Result<T, FilterError>;

/// What is supposed of a packet while an expression is lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Case {
    /// The outermost VLAN tag is beside the packet's bytes.
    tag_beside: bool,
    /// The tunnel's outer header is of IPv6.
    outer_ip6: bool,
    /// What Geneve carries is no Ethernet frame.
    no_frame: bool,
}

struct Lowering<'a> {
    values: &'a mut Values,
    layout: Layout,
    case: Case,
}

/// What has to hold of a packet for the expression to hold.
pub(crate) fn lower(expr: &Expr, values: &mut Values) -> Result<Condition> {
    let uses = Uses::of(expr)?;
    let base = Case { tag_beside: false, outer_ip6: false, no_frame: false };
    let plain = by_outer(expr, values, base, uses)?;
    if !uses.vlan {
        return Ok(plain);
    }
    let beside = by_outer(expr, values, Case { tag_beside: true, ..base }, uses)?;
    let present = values.ancillary(ancillary::VLAN_PRESENT);
    let test = against(values, present, Against::Equal(1));
    Ok(choice(test, beside, plain))
}

/// By the version of IP that a tunnel runs over.
fn by_outer(expr: &Expr, values: &mut Values, case: Case, uses: Uses) -> Result<Condition> {
    let (over_ip4, test) = by_inner(expr, values, case)?;
    match test.filter(|_| uses.tunnel) {
        None => Ok(over_ip4),
        Some(test) => Ok(choice(test, by_inner(expr, values, Case { outer_ip6: true, ..case })?.0, over_ip4)),
    }
}

/// By what a tunnel carries. Gives the test of its outer header as well.
fn by_inner(expr: &Expr, values: &mut Values, case: Case) -> Result<(Condition, Option<Condition>)> {
    let mut lower = |case: Case| {
        let mut lowering = Lowering { values, layout: Layout::outermost(), case };
        let condition = lowering.expr(expr)?;
        Ok((condition, lowering.layout.tunnel))
    };
    let (with_frame, tunnel) = lower(case)?;
    Ok(match tunnel {
        None => (with_frame, None),
        Some(Tunnel { outer_is_ip6, has_frame: None }) => (with_frame, Some(outer_is_ip6)),
        Some(Tunnel { outer_is_ip6, has_frame: Some(test) }) => {
            let without = lower(Case { no_frame: true, ..case })?.0;
            (choice(test, with_frame, without), Some(outer_is_ip6))
        }
    })
}

/// The one condition if the test holds, else the other.
fn choice(test: Condition, holds: Condition, otherwise: Condition) -> Condition {
    test.clone().and(holds).or(test.negated().and(otherwise))
}

/// What in an expression makes cases necessary.
#[derive(Debug, Clone, Copy, Default)]
struct Uses {
    vlan: bool,
    tunnel: bool,
}

impl Uses {
    fn of(expr: &Expr) -> Result<Self> {
        let mut uses = Self::default();
        uses.look(expr)?;
        Ok(uses)
    }

    fn look(&mut self, expr: &Expr) -> Result<()> {
        match expr {
            Expr::All(parts) | Expr::Any(parts) => parts.iter().try_for_each(|part| self.look(part)),
            Expr::Not(inner) => self.look(inner),
            Expr::Is(Primitive::Vlan(_), _) => {
                // Inside a tunnel tags are always in the bytes.
                self.vlan |= !self.tunnel;
                Ok(())
            }
            Expr::Is(Primitive::Geneve(_) | Primitive::Vxlan(_), span) => {
                if self.tunnel {
                    return Err(unsupported(span, "only one tunnel can be looked into"));
                }
                self.tunnel = true;
                Ok(())
            }
            Expr::Is(..) => Ok(()),
        }
    }
}

fn unsupported(span: &Range<usize>, message: impl Into<String>) -> FilterError {
    FilterError::new(ErrorKind::Unsupported, span.clone(), message)
}

impl Lowering<'_> {
    fn expr(&mut self, expr: &Expr) -> Result<Condition> {
        Ok(match expr {
            Expr::All(parts) => {
                Condition::All(parts.iter().map(|part| self.expr(part)).collect::<Result<_>>()?)
            }
            Expr::Any(parts) => {
                Condition::Any(parts.iter().map(|part| self.expr(part)).collect::<Result<_>>()?)
            }
            Expr::Not(inner) => self.expr(inner)?.negated(),
            Expr::Is(primitive, span) => self.primitive(primitive, span)?,
        })
    }

    fn primitive(&mut self, primitive: &Primitive, span: &Range<usize>) -> Result<Condition> {
        match primitive {
            Primitive::Protocol(protocol) => self.protocol(*protocol, span),
            Primitive::Address { carrier, direction, prefixes } => {
                self.address(*carrier, *direction, prefixes, span)
            }
            Primitive::EtherAddress { direction, address } => self.ether_address(*direction, *address, span),
            Primitive::Port { transport, direction, first, last } => {
                self.port(*transport, *direction, (*first).min(*last), (*first).max(*last), span)
            }
            Primitive::EtherType(number) => self.ether_type(*number, span),
            Primitive::IpProtocol { version, number } => self.ip_protocol(*version, *number, span),
            Primitive::IsoProtocol(number) => self.iso_protocol(*number, span),
            Primitive::EtherBroadcast => self.ether_broadcast(span),
            Primitive::EtherMulticast => self.ether_multicast(span),
            Primitive::IpBroadcast => self.ip_broadcast(span),
            Primitive::IpMulticast => self.ip_multicast(span),
            Primitive::Ip6Multicast => self.ip6_multicast(span),
            Primitive::Outgoing(outgoing) => {
                let kind = self.values.ancillary(ancillary::PACKET_TYPE);
                // `PACKET_OUTGOING` of include/uapi/linux/if_packet.h.
                let out = against(self.values, kind, Against::Equal(4));
                Ok(if *outgoing { out } else { out.negated() })
            }
            Primitive::Interface(number) => {
                let interface = self.values.ancillary(ancillary::INTERFACE);
                Ok(against(self.values, interface, Against::Equal(*number)))
            }
            Primitive::Vlan(id) => self.vlan(*id, span),
            Primitive::Mpls(label) => self.mpls(*label, span),
            Primitive::PppoeSession(session) => self.pppoe_session(*session, span),
            Primitive::Geneve(network) => self.geneve(*network, span),
            Primitive::Vxlan(network) => self.vxlan(*network, span),
            Primitive::Compare(left, relation, right) => self.compare(left, *relation, right, span),
        }
    }
}
