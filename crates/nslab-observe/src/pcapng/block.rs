//! The blocks, appended to a buffer, in this machine's byte order.

/// `LINKTYPE_…` (<https://www.tcpdump.org/linktypes.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkType {
    /// Frames of Ethernet (1).
    Ethernet,
    /// Packets of IP without a header before them (101).
    Ip,
    /// A header as packet sockets make one, version 2 (276), for interfaces of other types.
    Cooked,
}

impl LinkType {
    fn number(self) -> u16 {
        match self {
            Self::Ethernet => 1,
            Self::Ip => 101,
            Self::Cooked => 276,
        }
    }
}

/// What a section says of itself: where and by what it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// The operating system (`shb_os`).
    pub system: String,
    /// The program (`shb_userappl`).
    pub program: String,
    /// A comment.
    pub comment: Option<String>,
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// With what its packets begin.
    pub link_type: LinkType,
    /// The most bytes that are kept of a packet; 0 for all.
    pub snap_length: u32,
    /// Its name (`if_name`).
    pub name: String,
    /// More of it (`if_description`).
    pub description: String,
    /// Its MAC.
    pub mac: Option<[u8; 6]>,
    /// The filter, as it was written (`if_filter`).
    pub filter: Option<String>,
}

/// Which way a packet went, and to whom (`epb_flags`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// In, to this host.
    Unicast,
    /// In, to a group.
    Multicast,
    /// In, to all.
    Broadcast,
    /// In, to somebody else.
    Other,
    /// Out.
    Out,
}

impl Direction {
    fn flags(self) -> u32 {
        // Bits 0 and 1: 1 in, 2 out. Bits 2 to 4: 1 unicast, 2 multicast, 3 broadcast, 4 promiscuous.
        match self {
            Self::Unicast => 1 | 1 << 2,
            Self::Multicast => 1 | 2 << 2,
            Self::Broadcast => 1 | 3 << 2,
            Self::Other => 1 | 4 << 2,
            Self::Out => 2,
        }
    }
}

/// A packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The interface, by its number in the section.
    pub interface: u32,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// How long it was.
    pub length: u32,
    /// What was captured of it, in up to three pieces, one after the other.
    pub bytes: [&'a [u8]; 3],
    /// Which way it went.
    pub direction: Direction,
    /// What it has in common with other sightings of the same packet (`epb_packetid`).
    pub packet_id: Option<u64>,
    /// Whether it was dropped after this (`epb_verdict`); none if that is not said.
    pub is_dropped: Option<bool>,
}

/// What became of an interface's packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics<'a> {
    /// The interface, by its number in the section.
    pub interface: u32,
    /// When capturing began and ended, in nanoseconds since 1970.
    pub began: u64,
    /// See `began`.
    pub ended: u64,
    /// How many were received (`isb_ifrecv`).
    pub received: u64,
    /// How many were lost (`isb_ifdrop`).
    pub lost: u64,
    /// How many were written (`isb_usrdeliv`).
    pub written: u64,
    /// A comment.
    pub comment: Option<&'a str>,
}

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;
const MAGIC: u32 = 0x1a2b_3c4d;

/// Begins a block; [`end`] ends it.
fn begin(out: &mut Vec<u8>, kind: u32) -> usize {
    let start = out.len();
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&[0; 4]);
    start
}

#[allow(clippy::cast_possible_truncation, reason = "a block is at most a packet long")]
fn end(out: &mut Vec<u8>, start: usize) {
    let length = ((out.len() - start + 4) as u32).to_ne_bytes();
    out[start + 4..start + 8].copy_from_slice(&length);
    out.extend_from_slice(&length);
}

fn pad(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&[0; 3][..length.next_multiple_of(4) - length]);
}

/// An option. Text that is longer than one can be is cut.
fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX) - 3)];
    out.extend_from_slice(&code.to_ne_bytes());
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(0).to_ne_bytes());
    out.extend_from_slice(value);
    pad(out, value.len());
}

fn end_of_options(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4]);
}

/// A time as its upper and its lower half.
#[allow(clippy::cast_possible_truncation, reason = "halves")]
fn time(time: u64) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&((time >> 32) as u32).to_ne_bytes());
    bytes[4..].copy_from_slice(&(time as u32).to_ne_bytes());
    bytes
}

/// The section header block, with which a file begins.
pub(super) fn section(out: &mut Vec<u8>, section: &Section) {
    let start = begin(out, SECTION);
    out.extend_from_slice(&MAGIC.to_ne_bytes());
    // Version 1.0; how long the section is is not known.
    out.extend_from_slice(&1_u16.to_ne_bytes());
    out.extend_from_slice(&0_u16.to_ne_bytes());
    out.extend_from_slice(&u64::MAX.to_ne_bytes());
    if let Some(comment) = &section.comment {
        option(out, 1, comment.as_bytes());
    }
    option(out, 3, section.system.as_bytes());
    option(out, 4, section.program.as_bytes());
    end_of_options(out);
    end(out, start);
}

/// An interface description block. Interfaces are numbered in their order in the section.
pub(super) fn interface(out: &mut Vec<u8>, interface: &Interface) {
    let start = begin(out, INTERFACE);
    out.extend_from_slice(&interface.link_type.number().to_ne_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&interface.snap_length.to_ne_bytes());
    option(out, 2, interface.name.as_bytes());
    option(out, 3, interface.description.as_bytes());
    if let Some(mac) = interface.mac {
        option(out, 6, &mac);
    }
    // Times are in units of 10⁻⁹ seconds.
    option(out, 9, &[9]);
    if let Some(filter) = &interface.filter {
        // 0: in libpcap's words.
        let text: Vec<u8> = std::iter::once(0).chain(filter.bytes()).collect();
        option(out, 11, &text);
    }
    end_of_options(out);
    end(out, start);
}

/// An enhanced packet block.
#[allow(clippy::cast_possible_truncation, reason = "a packet's bytes are counted with 32 bits")]
pub(super) fn packet(out: &mut Vec<u8>, record: &Record<'_>) {
    let captured: usize = record.bytes.iter().map(|piece| piece.len()).sum();
    let options = 8
        + if record.packet_id.is_some() { 12 } else { 0 }
        + if record.is_dropped.is_some() { 16 } else { 0 }
        + 4;
    let total = (28 + captured.next_multiple_of(4) + options + 4) as u32;
    let mut head = [0; 28];
    head[..4].copy_from_slice(&PACKET.to_ne_bytes());
    head[4..8].copy_from_slice(&total.to_ne_bytes());
    head[8..12].copy_from_slice(&record.interface.to_ne_bytes());
    head[12..20].copy_from_slice(&time(record.time));
    head[20..24].copy_from_slice(&(captured as u32).to_ne_bytes());
    head[24..].copy_from_slice(&record.length.to_ne_bytes());
    out.reserve(total as usize);
    out.extend_from_slice(&head);
    for piece in record.bytes {
        out.extend_from_slice(piece);
    }
    pad(out, captured);
    option(out, 2, &record.direction.flags().to_ne_bytes());
    if let Some(id) = record.packet_id {
        option(out, 5, &id.to_ne_bytes());
    }
    if let Some(is_dropped) = record.is_dropped {
        // In the words of tc (1): `TC_ACT_OK`, `TC_ACT_SHOT` (`include/uapi/linux/pkt_cls.h`). There are none for netfilter.
        let verdict: u64 = if is_dropped { 2 } else { 0 };
        let mut value = [1; 9];
        value[1..].copy_from_slice(&verdict.to_ne_bytes());
        option(out, 7, &value);
    }
    end_of_options(out);
    out.extend_from_slice(&total.to_ne_bytes());
}

/// An interface statistics block.
pub(super) fn statistics(out: &mut Vec<u8>, of: &Statistics<'_>) {
    let start = begin(out, STATISTICS);
    out.extend_from_slice(&of.interface.to_ne_bytes());
    out.extend_from_slice(&time(of.ended));
    if let Some(comment) = of.comment {
        option(out, 1, comment.as_bytes());
    }
    option(out, 2, &time(of.began));
    option(out, 3, &time(of.ended));
    for (code, count) in [(4, of.received), (5, of.lost), (8, of.written)] {
        option(out, code, &count.to_ne_bytes());
    }
    end_of_options(out);
    end(out, start);
}

/// How many of the first `written` bytes are whole blocks, of bytes that begin with one.
pub(super) fn whole_blocks(bytes: &[u8], written: usize) -> usize {
    let mut at = 0;
    loop {
        let length = bytes.get(at + 4..).and_then(|rest| rest.first_chunk::<4>());
        let Some(length) = length.map(|length| u32::from_ne_bytes(*length) as usize) else { return at };
        if length < 12 || at + length > written {
            return at;
        }
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks of some bytes: kind and body.
    fn blocks(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let word = |bytes: &[u8], at: usize| u32::from_ne_bytes(*bytes[at..].first_chunk().unwrap());
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let length = word(bytes, 4) as usize;
            assert_eq!(length % 4, 0);
            assert_eq!(word(bytes, length - 4) as usize, length);
            found.push((word(bytes, 0), bytes[8..length - 4].to_vec()));
            bytes = &bytes[length..];
        }
        found
    }

    fn options(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let half = |bytes: &[u8], at: usize| u16::from_ne_bytes(*bytes[at..].first_chunk().unwrap());
        let mut found = Vec::new();
        loop {
            let (code, length) = (half(bytes, 0), usize::from(half(bytes, 2)));
            if code == 0 {
                assert_eq!(bytes.len(), 4);
                return found;
            }
            found.push((code, bytes[4..4 + length].to_vec()));
            bytes = &bytes[4 + length.next_multiple_of(4)..];
        }
    }

    #[test]
    fn a_section_says_who_made_it() {
        let mut out = Vec::new();
        let made =
            Section { system: "Linux 6.1".into(), program: "nslab 1".into(), comment: Some("hm".into()) };
        section(&mut out, &made);
        let [(0x0a0d_0d0a, body)] = &blocks(&out)[..] else { panic!("{out:?}") };
        assert_eq!(body[..4], 0x1a2b_3c4d_u32.to_ne_bytes());
        assert_eq!(body[8..16], [0xff; 8]);
        let expected = [(1, b"hm".to_vec()), (3, b"Linux 6.1".to_vec()), (4, b"nslab 1".to_vec())];
        assert_eq!(options(&body[16..]), expected);
    }

    #[test]
    fn an_interface_has_name_resolution_and_filter() {
        let mut out = Vec::new();
        interface(
            &mut out,
            &Interface {
                link_type: LinkType::Cooked,
                snap_length: 96,
                name: "eth0@red".into(),
                description: String::new(),
                mac: Some([2, 0, 0, 0, 0, 1]),
                filter: Some("arp".into()),
            },
        );
        let [(1, body)] = &blocks(&out)[..] else { panic!("{out:?}") };
        assert_eq!(body[..2], 276_u16.to_ne_bytes());
        assert_eq!(body[4..8], 96_u32.to_ne_bytes());
        let expected = [
            (2, b"eth0@red".to_vec()),
            (3, Vec::new()),
            (6, vec![2, 0, 0, 0, 0, 1]),
            (9, vec![9]),
            (11, b"\0arp".to_vec()),
        ];
        assert_eq!(options(&body[8..]), expected);
    }

    #[test]
    fn a_packet_is_padded_whatever_its_length() {
        for length in 0..9 {
            let data = vec![7; length];
            let mut out = Vec::new();
            for (packet_id, is_dropped) in [(None, None), (Some(0x0102_0304_0506_0708), Some(true))] {
                let record = Record {
                    interface: 3,
                    time: 0x1234_5678_9abc_def0,
                    length: 1500,
                    bytes: [&data[..length / 2], &[], &data[length / 2..]],
                    direction: Direction::Broadcast,
                    packet_id,
                    is_dropped,
                };
                packet(&mut out, &record);
            }
            let blocks = blocks(&out);
            assert_eq!(blocks.len(), 2);
            for (number, (kind, body)) in blocks.iter().enumerate() {
                let word = |at: usize| u32::from_ne_bytes(*body[at..].first_chunk().unwrap());
                assert_eq!((*kind, word(0), word(4), word(8)), (6, 3, 0x1234_5678, 0x9abc_def0));
                assert_eq!((word(12) as usize, word(16)), (length, 1500));
                assert_eq!(body[20..20 + length], data);
                let options = options(&body[20 + length.next_multiple_of(4)..]);
                assert_eq!(options[0], (2, 13_u32.to_ne_bytes().to_vec()));
                assert_eq!(options.len(), 1 + 2 * number);
                if number == 1 {
                    assert_eq!(options[2], (7, [&[1_u8][..], &2_u64.to_ne_bytes()].concat()));
                    assert_eq!(options[1], (5, 0x0102_0304_0506_0708_u64.to_ne_bytes().to_vec()));
                }
            }
        }
    }

    #[test]
    fn statistics_tell_of_losses() {
        let mut out = Vec::new();
        let of = Statistics {
            interface: 2,
            began: 1 << 32,
            ended: (1 << 32) + 5,
            received: 9,
            lost: 4,
            written: 5,
            comment: Some("why"),
        };
        statistics(&mut out, &of);
        let [(5, body)] = &blocks(&out)[..] else { panic!("{out:?}") };
        let options = options(&body[12..]);
        let count = |code: u16| {
            let value = &options.iter().find(|(one, _)| *one == code).unwrap().1;
            u64::from_ne_bytes(*value.first_chunk().unwrap())
        };
        assert_eq!((count(4), count(5), count(8)), (9, 4, 5));
        let halves: Vec<u8> = [1_u32, 5].iter().flat_map(|half| half.to_ne_bytes()).collect();
        assert_eq!(options[2], (3, halves));
    }

    #[test]
    fn whole_blocks_are_known_in_what_is_cut_off() {
        let mut out = Vec::new();
        section(&mut out, &Section::default());
        let first = out.len();
        statistics(&mut out, &Statistics::default());
        assert_eq!(whole_blocks(&out, out.len()), out.len());
        assert_eq!(whole_blocks(&out, out.len() - 1), first);
        assert_eq!(whole_blocks(&out, first), first);
        assert_eq!(whole_blocks(&out, first - 1), 0);
        assert_eq!(whole_blocks(&[], 0), 0);
    }

    #[test]
    fn long_text_is_cut() {
        let mut out = Vec::new();
        let long = "x".repeat(70_000);
        section(&mut out, &Section { system: String::new(), program: long, comment: None });
        assert_eq!(blocks(&out).len(), 1);
    }
}
