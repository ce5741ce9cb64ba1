//! Ports.

use std::ops::Range;

use super::host::IP6_HEADER;
use super::layout::Place;
use super::link::ether;
use super::{Lowering, Result};
use crate::graph::condition::{Condition, with_constant};
use crate::graph::value::Size;
use crate::names::Transport;
use crate::syntax::{Direction, Relation, Version};

impl Lowering<'_> {
    /// Ports of TCP, UDP or SCTP. Of IPv4 only in packets that have them, behind options; of IPv6 only right behind its header.
    pub(super) fn port(
        &mut self,
        transport: Option<Transport>,
        direction: Direction,
        low: u16,
        high: u16,
        span: &Range<usize>,
    ) -> Result<Condition> {
        let six = self.port_of(Version::V6, transport, direction, low, high, span)?;
        Ok(six.or(self.port_of(Version::V4, transport, direction, low, high, span)?))
    }

    /// The same of one version of IP.
    pub(super) fn port_of(
        &mut self,
        version: Version,
        transport: Option<Transport>,
        direction: Direction,
        low: u16,
        high: u16,
        span: &Range<usize>,
    ) -> Result<Condition> {
        let kind = match version {
            Version::V4 => ether::IP,
            Version::V6 => ether::IP6,
        };
        let ip = self.ether_type(kind, span)?;
        let only = transport.map(|transport| vec![transport]);
        let transports = only.unwrap_or_else(|| Transport::ALL.into());
        let network = self.layout.network();
        // One branch for each protocol: what is known of one then helps behind it. Equal ends become one in the end.
        let branches = transports.into_iter().map(|transport| match version {
            Version::V4 => {
                let carried = self.ip4_carries(transport.number());
                let behind = self.behind_ip4(network);
                carried.and(self.first_fragment()).and(self.ports_at(behind, direction, low, high))
            }
            Version::V6 => {
                let carried = self.ip6_carries(transport.number());
                carried.and(self.ports_at(network.plus(IP6_HEADER), direction, low, high))
            }
        });
        Ok(ip.and(Condition::Any(branches.collect())))
    }

    fn ports_at(&mut self, transport: Place, direction: Direction, low: u16, high: u16) -> Condition {
        let source = self.port_at(transport, low, high);
        let destination = self.port_at(transport.plus(2), low, high);
        match direction {
            Direction::Source => source,
            Direction::Destination => destination,
            Direction::Either => source.or(destination),
            Direction::Both => source.and(destination),
        }
    }

    fn port_at(&mut self, place: Place, low: u16, high: u16) -> Condition {
        let port = self.load(Size::Half, place);
        let (low, high) = (u32::from(low), u32::from(high));
        if low == high {
            return with_constant(self.values, port, Relation::Equal, low);
        }
        let least = with_constant(self.values, port, Relation::GreaterEqual, low);
        least.and(with_constant(self.values, port, Relation::LessEqual, high))
    }
}
