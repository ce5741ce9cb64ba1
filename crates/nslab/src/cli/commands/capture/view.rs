//! A frame as it is looked at and written.

use nslab_decode::{Decoded, Identity, Link, Ports, Tag, decapsulated, decode};
use nslab_kernel::packet::{Frame, HARDWARE_ETHERNET, HARDWARE_LOOPBACK, PacketKind};
use nslab_observe::pcapng::LinkType;

/// `EtherType`s of what has no header before it where an interface is not Ethernet's.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// A frame without what packet sockets make of it.
pub(in crate::cli::commands) struct View<'a> {
    pub(in crate::cli::commands) link_type: LinkType,
    /// How long it was, with its tag.
    pub(in crate::cli::commands) length: u32,
    /// What can be taken apart; none if it is of no kind that can be.
    frame: Option<nslab_decode::Frame<'a>>,
    raw: &'a Frame<'a>,
    /// The header that stands before what is of another type.
    cooked: [u8; 20],
    tag: [u8; 4],
}

impl<'a> View<'a> {
    /// Of a frame, or with `decap` of that in it, if it is a tunnel's.
    pub(in crate::cli::commands) fn of(raw: &'a Frame<'a>, decap: bool) -> Self {
        let link_type = match (raw.hardware, raw.protocol) {
            (HARDWARE_ETHERNET | HARDWARE_LOOPBACK, _) => LinkType::Ethernet,
            (_, IPV4 | IPV6) => LinkType::Ip,
            _ => LinkType::Cooked,
        };
        let before = u32::try_from(raw.network).unwrap_or(0);
        let (link, bytes, length) = match link_type {
            LinkType::Ethernet => (Link::Ethernet, raw.bytes, raw.length),
            _ => (
                Link::Ip,
                raw.bytes.get(raw.network..).unwrap_or_default(),
                raw.length.saturating_sub(before),
            ),
        };
        let frame = (link_type != LinkType::Cooked).then(|| nslab_decode::Frame {
            bytes,
            length: (length as usize).max(bytes.len()),
            link,
            vlan: raw.vlan.map(|vlan| Tag::of_tci(vlan.protocol, vlan.control)),
            partial_checksum: raw.checksum_pending,
        });
        let mut view = Self { link_type, length, frame, raw, cooked: [0; 20], tag: [0; 4] };
        if let Some(inner) = frame.filter(|_| decap).and_then(|frame| decapsulated(&frame, Ports::default()))
        {
            view.link_type = LinkType::Ethernet;
            view.length = u32::try_from(inner.length).unwrap_or(u32::MAX);
            view.frame = Some(inner);
        }
        if view.link_type == LinkType::Cooked {
            view.cooked = cooked(raw);
            view.length += 20;
        }
        if let Some(vlan) = view.frame.and_then(|frame| frame.vlan).and(raw.vlan) {
            view.tag[..2].copy_from_slice(&vlan.protocol.to_be_bytes());
            view.tag[2..].copy_from_slice(&vlan.control.to_be_bytes());
            view.length += 4;
        }
        view
    }

    /// Taken apart.
    pub(in crate::cli::commands) fn decoded(&self) -> Option<Decoded<'a>> {
        self.frame.as_ref().map(decode)
    }

    /// By what it is known elsewhere.
    pub(in crate::cli::commands) fn identity(&self) -> Option<Identity> {
        Identity::of_frame(self.frame.as_ref()?)
    }

    /// Its bytes as they stand in a file, in pieces.
    pub(in crate::cli::commands) fn pieces(&self) -> [&[u8]; 3] {
        let Some(frame) = &self.frame else {
            return [&self.cooked, self.raw.bytes.get(self.raw.network..).unwrap_or_default(), &[]];
        };
        // The kernel takes the tag out of the frame.
        match frame.vlan.and(frame.bytes.split_at_checked(12)) {
            Some((addresses, rest)) => [addresses, &self.tag, rest],
            None => [frame.bytes, &[], &[]],
        }
    }
}

/// `LINKTYPE_LINUX_SLL2`: protocol, reserved, interface, hardware, kind, length of the address, address.
fn cooked(frame: &Frame<'_>) -> [u8; 20] {
    let mut head = [0; 20];
    head[..2].copy_from_slice(&frame.protocol.to_be_bytes());
    head[4..8].copy_from_slice(&frame.interface.to_be_bytes());
    head[8..10].copy_from_slice(&frame.hardware.to_be_bytes());
    head[10] = match frame.kind {
        PacketKind::Host => 0,
        PacketKind::Broadcast => 1,
        PacketKind::Multicast => 2,
        PacketKind::OtherHost => 3,
        PacketKind::Outgoing => 4,
    };
    head[11] = u8::try_from(frame.sender.len()).unwrap_or(0);
    head[12..12 + frame.sender.len()].copy_from_slice(frame.sender);
    head
}

#[cfg(test)]
mod tests {
    use nslab_kernel::packet::Vlan;

    use super::*;

    fn frame(hardware: u16, protocol: u16, bytes: &[u8]) -> Frame<'_> {
        Frame {
            time: 0,
            length: u32::try_from(bytes.len()).unwrap() + 100,
            bytes,
            network: if hardware == 1 { 14 } else { 0 },
            interface: 7,
            kind: PacketKind::Outgoing,
            hardware,
            protocol,
            vlan: None,
            checksum_pending: false,
            sender: &[1, 2],
        }
    }

    #[test]
    fn tags_are_put_back() {
        let bytes: Vec<u8> = (0..40).collect();
        let mut raw = frame(1, 0x0806, &bytes);
        assert_eq!(View::of(&raw, false).pieces().concat(), bytes);
        raw.vlan = Some(Vlan { protocol: 0x8100, control: 0xe007 });
        let view = View::of(&raw, true);
        assert_eq!(view.pieces(), [&bytes[..12], &[0x81, 0, 0xe0, 7], &bytes[12..]]);
        assert_eq!((view.length, view.link_type), (144, LinkType::Ethernet));
        assert_eq!(view.decoded().unwrap().vlans[0].id, 7);
    }

    #[test]
    fn what_has_no_header_of_ethernet_is_written_otherwise() {
        let bytes = [0x45; 30];
        let raw = frame(65534, 0x0800, &bytes);
        let view = View::of(&raw, false);
        assert_eq!((view.link_type, view.length, view.pieces().concat().len()), (LinkType::Ip, 130, 30));
        let raw = frame(824, 0x0004, &bytes);
        let view = View::of(&raw, false);
        assert_eq!((view.link_type, view.length), (LinkType::Cooked, 150));
        let head = [0, 4, 0, 0, 0, 0, 0, 7, 3, 56, 4, 2, 1, 2, 0, 0, 0, 0, 0, 0];
        assert_eq!(view.pieces(), [&head[..], &bytes, &[]]);
        assert!(view.decoded().is_none() && view.identity().is_none());
    }
}
