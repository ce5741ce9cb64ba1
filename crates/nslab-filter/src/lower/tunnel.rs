//! Tunnels over UDP: what stands behind them in the text is about the frame inside.

use std::ops::Range;

use super::host::IP6_HEADER;
use super::layout::{Layout, Place};
use super::link::ether;
use super::{Lowering, Result, unsupported};
use crate::error::FilterError;
use crate::graph::condition::Condition;
use crate::graph::value::Size;
use crate::names::Transport;
use crate::syntax::{Direction, Version};

/// UDP's header, and behind it eight bytes of the tunnel's.
const UDP_HEADER: u32 = 8;

impl Lowering<'_> {
    /// VXLAN on its port (RFC 7348 5): a header of eight bytes, with the network's number in the fifth to the seventh.
    pub(super) fn vxlan(&mut self, network: Option<u32>, span: &Range<usize>) -> Result<Condition> {
        let (udp, condition) = self.udp_to(4789, span)?;
        let header = udp.plus(UDP_HEADER);
        let mut condition = condition.and(self.field_is(Size::Byte, header, 0x08));
        if let Some(number) = network {
            condition = condition.and(self.bits_are(Size::Word, header.plus(4), 0xffff_ff00, number << 8));
        }
        self.enter(header.plus(8));
        Ok(condition)
    }

    /// Geneve on its port.
    pub(super) fn geneve(span: &Range<usize>) -> FilterError {
        unsupported(span, "\"geneve\" is not done here").hint("\"udp dst port 6081\" matches its packets")
    }

    /// UDP to a port, over the version of IP that is supposed.
    fn udp_to(&mut self, port: u16, span: &Range<usize>) -> Result<(Place, Condition)> {
        let version = if self.case.outer_ip6 { Version::V6 } else { Version::V4 };
        self.layout.outer_is_ip6 = Some(self.ether_type(ether::IP6, span)?);
        let udp = Some(Transport::Udp);
        let condition = self.port_of(version, udp, Direction::Destination, port, port, span)?;
        let network = self.layout.network();
        let header = match version {
            Version::V4 => self.behind_ip4(network),
            Version::V6 => network.plus(IP6_HEADER),
        };
        Ok((header, condition))
    }

    fn enter(&mut self, frame: Place) {
        let outer_is_ip6 = self.layout.outer_is_ip6.take();
        self.layout = Layout { inside: true, outer_is_ip6, ..Layout::ethernet(frame) };
    }
}
