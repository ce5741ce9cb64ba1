//! Frames in the ring (`include/uapi/linux/if_packet.h`).

use crate::link::IfIndex;

/// What stands before a frame, after which a `struct sockaddr_ll` comes: how many bytes it has, and where in them things are.
struct Header {
    length: usize,
    time: usize,
    captured: usize,
    original: usize,
    status: usize,
    places: usize,
    tag: usize,
}

/// `struct tpacket3_hdr`, in blocks.
const IN_BLOCK: Header =
    Header { length: 48, time: 4, captured: 12, original: 16, status: 20, places: 24, tag: 32 };
/// `struct tpacket2_hdr`, of a frame that has a place of its own. Its tag has two bytes less between number and type.
const ALONE: Header =
    Header { length: 32, time: 16, captured: 8, original: 4, status: 0, places: 12, tag: 24 };
/// A `struct sockaddr_ll`.
const ADDRESS_LEN: usize = 20;
/// `TP_STATUS_CSUMNOTREADY`, `TP_STATUS_VLAN_VALID`, `TP_STATUS_VLAN_TPID_VALID`.
const CHECKSUM_NOT_READY: u32 = 1 << 3;
const VLAN_VALID: u32 = 1 << 4;
const VLAN_TPID_VALID: u32 = 1 << 6;
/// The `EtherType` of a VLAN tag (`ETH_P_8021Q`), where the kernel does not say which it was.
const ETH_P_8021Q: u16 = 0x8100;

/// What the kernel took a frame for (`PACKET_HOST` and so on).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketKind {
    /// It came in, to this host.
    Host,
    /// It came in, to all.
    Broadcast,
    /// It came in, to a group.
    Multicast,
    /// It came in, to somebody else: the interface is a bridge's port, or promiscuous.
    OtherHost,
    /// It goes out.
    Outgoing,
}

impl PacketKind {
    fn from_kernel(kind: u8) -> Self {
        match kind {
            1 => Self::Broadcast,
            2 => Self::Multicast,
            3 => Self::OtherHost,
            4 => Self::Outgoing,
            _ => Self::Host,
        }
    }
}

/// A VLAN tag that the kernel keeps beside the frame, and out of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vlan {
    /// The `EtherType` that it had, as 0x8100.
    pub protocol: u16,
    /// Priority and number, as on the wire.
    pub control: u16,
}

/// A frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it passed, in nanoseconds since 1970.
    pub time: u64,
    /// How long it was, in bytes; without a tag that is beside it.
    pub length: u32,
    /// Its first bytes, from its link-layer header on, if interfaces of its type have one.
    pub bytes: &'a [u8],
    /// Where in them the network layer's header begins.
    pub network: usize,
    /// The interface.
    pub interface: IfIndex,
    /// Which way it goes, and to whom.
    pub kind: PacketKind,
    /// The type of the interface (`ARPHRD_…`), as [`HARDWARE_ETHERNET`](super::HARDWARE_ETHERNET).
    pub hardware: u16,
    /// What is in it (`ETH_P_…`).
    pub protocol: u16,
    /// The tag that it had.
    pub vlan: Option<Vlan>,
    /// Its transport checksum is not worked out yet, as the interface is to do that.
    pub checksum_pending: bool,
    /// The sender's link-layer address, as far as the kernel tells it (at most eight bytes).
    pub sender: &'a [u8],
}

/// The frame whose header is at `offset` of what was handed over; none if that is no frame. A block has its own header first, so
/// what stands at its beginning is a frame alone.
pub fn frame_at(block: &[u8], offset: usize) -> Option<Frame<'_>> {
    let header = block.get(offset..)?;
    let (at, type_at) = if offset == 0 { (&ALONE, ALONE.tag + 2) } else { (&IN_BLOCK, IN_BLOCK.tag + 4) };
    let (seconds, nanoseconds) = (word(header, at.time)?, word(header, at.time + 4)?);
    let (captured, length) = (word(header, at.captured)? as usize, word(header, at.original)?);
    let status = word(header, at.status)?;
    let (mac, net) = (usize::from(short(header, at.places)?), usize::from(short(header, at.places + 2)?));
    let bytes = header.get(mac..)?.get(..captured)?;
    let address = header.get(at.length..)?.first_chunk::<ADDRESS_LEN>()?;
    let halen = usize::from(address[11]).min(8);
    let has_type = status & VLAN_TPID_VALID != 0;
    let tag = || {
        Some(Vlan {
            protocol: if has_type { short(header, type_at)? } else { ETH_P_8021Q },
            control: short(header, at.tag)?,
        })
    };
    Some(Frame {
        time: u64::from(seconds) * 1_000_000_000 + u64::from(nanoseconds),
        length,
        bytes,
        network: net.saturating_sub(mac),
        interface: word(address, 4)?,
        kind: PacketKind::from_kernel(address[10]),
        hardware: u16::from_ne_bytes([address[8], address[9]]),
        protocol: u16::from_be_bytes([address[2], address[3]]),
        vlan: (status & VLAN_VALID != 0).then(tag).flatten(),
        checksum_pending: status & CHECKSUM_NOT_READY != 0,
        sender: &address[12..12 + halen],
    })
}

/// The frames of a block: where each is in what was handed over, for [`frame_at`], and its time.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    block: &'a [u8],
    next: usize,
    left: u32,
}

impl<'a> Frames<'a> {
    /// Those of a block, which begins with a `struct tpacket_block_desc`.
    pub fn of(block: &'a [u8]) -> Self {
        let left = word(block, 12).unwrap_or(0);
        Self { block, next: word(block, 16).unwrap_or(0) as usize, left }
    }

    /// One that was handed over alone.
    pub fn alone(frame: &'a [u8]) -> Self {
        Self { block: frame, next: 0, left: 1 }
    }
}

impl Iterator for Frames<'_> {
    /// Place and time, in nanoseconds since 1970.
    type Item = (usize, u64);

    fn next(&mut self) -> Option<(usize, u64)> {
        self.left = self.left.checked_sub(1)?;
        let place = self.next;
        let header = self.block.get(place..)?;
        let at = if place == 0 { &ALONE } else { &IN_BLOCK };
        let time = u64::from(word(header, at.time)?) * 1_000_000_000 + u64::from(word(header, at.time + 4)?);
        match word(header, 0)? {
            // The last one's.
            0 => self.left = 0,
            step => self.next += step as usize,
        }
        Some((place, time))
    }
}

/// What a block holds, without the rest of its room (`blk_len` in `struct tpacket_hdr_v1`).
pub(super) fn filled(block: &[u8]) -> &[u8] {
    let length = word(block, 20).map_or(block.len(), |length| length as usize);
    &block[..length.min(block.len())]
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block with two frames of `payload`.
    fn block(payload: &[u8]) -> Vec<u8> {
        let mut block = vec![0; 48];
        let each = (82 + 14 + payload.len()).next_multiple_of(16);
        block[12..16].copy_from_slice(&2_u32.to_ne_bytes());
        block[16..20].copy_from_slice(&48_u32.to_ne_bytes());
        for number in 0..2_u32 {
            let start = block.len();
            let next = if number == 0 { u32::try_from(each).unwrap() } else { 0 };
            let length = u32::try_from(payload.len()).unwrap();
            for word in [next, 5, 7 + number, length, length + 100, CHECKSUM_NOT_READY | VLAN_VALID] {
                block.extend(word.to_ne_bytes());
            }
            for short in [82_u16, 96] {
                block.extend(short.to_ne_bytes());
            }
            block.extend(0_u32.to_ne_bytes());
            block.extend(42_u32.to_ne_bytes());
            block.resize(start + IN_BLOCK.length, 0);
            block.extend(17_u16.to_ne_bytes());
            block.extend(0x0800_u16.to_be_bytes());
            block.extend(9_u32.to_ne_bytes());
            block.extend(1_u16.to_ne_bytes());
            block.extend([4, 6, 1, 2, 3, 4, 5, 6, 0, 0]);
            block.resize(start + 82, 0);
            block.extend(payload);
            block.resize(start + each, 0);
        }
        block
    }

    #[test]
    fn frames_are_found_one_after_the_other() {
        let block = block(b"payload");
        let places: Vec<_> = Frames::of(&block).collect();
        assert_eq!(places.iter().map(|(_, time)| *time).collect::<Vec<_>>(), [5_000_000_007, 5_000_000_008]);
        let frame = frame_at(&block, places[1].0).unwrap();
        assert_eq!((frame.bytes, frame.length, frame.network), (&b"payload"[..], 107, 14));
        assert_eq!((frame.interface, frame.kind, frame.hardware), (9, PacketKind::Outgoing, 1));
        assert_eq!(frame.vlan, Some(Vlan { protocol: 0x8100, control: 42 }));
        assert_eq!((frame.protocol, frame.sender), (0x0800, &[1, 2, 3, 4, 5, 6][..]));
        assert!(frame.checksum_pending);
    }

    #[test]
    fn what_is_cut_off_is_no_frame() {
        let whole = block(b"payload");
        for length in 0..whole.len() {
            for (place, _) in Frames::of(&whole[..length]) {
                let _ = frame_at(&whole[..length], place);
            }
        }
        assert_eq!(frame_at(&whole, whole.len()), None);
        assert_eq!(frame_at(&whole, usize::MAX), None);
    }
}
