//! Tunnels over UDP: what stands behind them in the text is about the frame inside.

use std::ops::Range;

use super::host::IP6_HEADER;
use super::layout::{Layout, Link, Place, Tunnel};
use super::link::ether;
use super::{Lowering, Result};
use crate::graph::condition::Condition;
use crate::graph::value::Size;
use crate::machine::Arithmetic;
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

    /// Geneve on its port (RFC 8926 3.4): a header of eight bytes, with the version in the first two bits, the length of
    /// options in words in the next six, the EtherType of what it carries and the network's number; then the options.
    pub(super) fn geneve(&mut self, network: Option<u32>, span: &Range<usize>) -> Result<Condition> {
        let (udp, to_port) = self.udp_to(6081, span)?;
        let header = udp.plus(UDP_HEADER);
        let geneve = to_port.and(self.bits_are(Size::Byte, header, 0xc0, 0));
        let mut condition = geneve.clone();
        if let Some(number) = network {
            condition = condition.and(self.bits_are(Size::Word, header.plus(4), 0xffff_ff00, number << 8));
        }
        let kind_field = header.plus(2);
        let has_frame = geneve.and(self.field_is(Size::Half, kind_field, ether::FRAME));
        let first = self.load(Size::Byte, header);
        let words = self.masked(first, 0x3f);
        let two = self.values.constant(2);
        let options = self.values.binary(Arithmetic::ShiftLeft, words, two).unwrap_or(words);
        let before = header.base.and_then(|base| self.values.binary(Arithmetic::Add, options, base));
        let inside = Place { base: Some(before.unwrap_or(options)), offset: header.offset + 8 };
        self.enter(inside);
        if self.case.no_frame {
            self.layout.kind = Link::Type;
            self.layout.kind_field = kind_field;
            self.layout.payload = inside;
        }
        if let Some(tunnel) = &mut self.layout.tunnel {
            tunnel.has_frame = Some(has_frame);
        }
        Ok(condition)
    }

    /// UDP to a port, over the version of IP that is supposed.
    fn udp_to(&mut self, port: u16, span: &Range<usize>) -> Result<(Place, Condition)> {
        let version = if self.case.outer_ip6 { Version::V6 } else { Version::V4 };
        let outer_is_ip6 = self.ether_type(ether::IP6, span)?;
        self.layout.tunnel = Some(Tunnel { outer_is_ip6, has_frame: None });
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
        let tunnel = self.layout.tunnel.take();
        self.layout = Layout { inside: true, tunnel, ..Layout::ethernet(frame) };
    }
}
