//! TCP (RFC 9293).

use serde::{Serialize, Serializer};

use crate::checksum::{self, Checked};
use crate::data::{Broken, Data, Fault};
use crate::layers::ip::{Ends, protocol};

/// A segment of TCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Tcp<'a> {
    /// From which port.
    pub source_port: u16,
    /// To which port.
    pub destination_port: u16,
    /// Its first byte's number.
    pub sequence: u32,
    /// The number of the byte that is expected next; holds with the flag ACK only.
    pub acknowledgement: u32,
    /// The length of the header with its options: 20 to 60 bytes.
    pub header_length: u8,
    /// What is asked or said by it.
    pub flags: TcpFlags,
    /// So many bytes may be sent to its sender, not scaled.
    pub window: u16,
    /// As it stands there.
    pub checksum: u16,
    /// How far data goes that is urgent; holds with the flag URG only.
    pub urgent: u16,
    /// Its options.
    #[serde(skip_serializing_if = "TcpOptions::is_empty")]
    pub options: TcpOptions<'a>,
    /// What is in it.
    pub payload: Data<'a>,
    /// From the header on.
    #[serde(skip)]
    pub data: Data<'a>,
}

/// The flags of a segment, as the bits of the header (include/net/tcp.h `TCPHDR_FIN` …).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpFlags(pub u16);

#[expect(missing_docs, reason = "named as in RFC 9293 3.1, RFC 3168 and draft-ietf-tcpm-accurate-ecn")]
impl TcpFlags {
    pub const FIN: u16 = 0x01;
    pub const SYN: u16 = 0x02;
    pub const RST: u16 = 0x04;
    pub const PSH: u16 = 0x08;
    pub const ACK: u16 = 0x10;
    pub const URG: u16 = 0x20;
    pub const ECE: u16 = 0x40;
    pub const CWR: u16 = 0x80;
    pub const AE: u16 = 0x100;
}

impl TcpFlags {
    /// Whether any of `flags` is set.
    pub fn has(self, flags: u16) -> bool {
        self.0 & flags != 0
    }

    /// Their names, lowest bit first.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let names = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ae"];
        names.into_iter().enumerate().filter(move |(bit, _)| self.0 >> bit & 1 != 0).map(|(_, name)| name)
    }
}

/// As the names of those set.
impl Serialize for TcpFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

pub(crate) fn read(data: Data<'_>) -> Result<Tcp<'_>, Broken> {
    let broken = |fault| Broken::of("tcp")(fault).with_ports(data);
    let header: &[u8; 20] = data.header().map_err(broken)?;
    let u16 = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let u32 = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = usize::from(header[12] >> 4) * 4;
    if length < header.len() || length > data.length() {
        return Err(broken(Fault::HeaderLength { length }));
    }
    let options = Data::new(data.bytes(), length).skip(header.len());
    Ok(Tcp {
        source_port: u16(0),
        destination_port: u16(2),
        sequence: u32(4),
        acknowledgement: u32(8),
        header_length: header[12] >> 4 << 2,
        flags: TcpFlags(u16(12) & 0x1ff),
        window: u16(14),
        checksum: u16(16),
        urgent: u16(18),
        options: TcpOptions(options),
        payload: data.skip(length),
        data,
    })
}

impl Tcp<'_> {
    /// The sender's clock, and what it last saw of the other's, if it says so.
    pub fn timestamps(&self) -> Option<(u32, u32)> {
        self.options.into_iter().find_map(|option| match option {
            TcpOption::Timestamps { value, echo } => Some((value, echo)),
            _ => None,
        })
    }

    pub(crate) fn check(&self, ends: Ends) -> Checked {
        checksum::check_message(self.checksum, ends.source, ends.destination, protocol::TCP, self.data)
    }
}

/// The options of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpOptions<'a>(pub Data<'a>);

impl TcpOptions<'_> {
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.length() == 0
    }
}

/// One option of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TcpOption<'a> {
    /// 0: nothing more comes.
    End,
    /// 1: fills up.
    Nothing,
    /// 2: the greatest segment that the sender takes, in bytes.
    MaximumSegment(u16),
    /// 3: windows are to be shifted left by so many bits (RFC 7323 2).
    WindowScale(u8),
    /// 4: the sender takes selective acknowledgements (RFC 2018).
    SelectivePermitted,
    /// 5: blocks received, each from its first byte up to the one behind its last.
    Selective(SackBlocks<'a>),
    /// 8: the sender's clock, and what it last saw of the other's (RFC 7323 3).
    Timestamps {
        /// The sender's.
        value: u32,
        /// The other's.
        echo: u32,
    },
    /// Another.
    Other {
        /// Its number.
        kind: u8,
        /// What is in it, behind type and length.
        value: &'a [u8],
    },
    /// One whose length cannot be, or is not at hand: the last that is read.
    Bad {
        /// Its number.
        kind: u8,
        /// It has no length, as it was not captured, or as the header ends.
        is_cut: bool,
    },
}

/// Blocks of a selective acknowledgement, 8 bytes each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SackBlocks<'a>(&'a [u8]);

impl Iterator for SackBlocks<'_> {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        let (from, rest) = self.0.split_first_chunk()?;
        let (to, rest) = rest.split_first_chunk()?;
        self.0 = rest;
        Some((u32::from_be_bytes(*from), u32::from_be_bytes(*to)))
    }
}

impl SackBlocks<'_> {
    /// How many they are.
    pub fn count(self) -> usize {
        self.0.len() / 8
    }
}

impl Serialize for SackBlocks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(*self)
    }
}

/// Up to the end of options, or to one whose length cannot be.
impl<'a> Iterator for TcpOptions<'a> {
    type Item = TcpOption<'a>;

    fn next(&mut self) -> Option<TcpOption<'a>> {
        let data = std::mem::take(&mut self.0);
        if data.length() == 0 {
            return None;
        }
        let Some(kind) = data.u8(0) else { return Some(TcpOption::Bad { kind: 0, is_cut: true }) };
        if kind <= 1 {
            if kind == 0 {
                return Some(TcpOption::End);
            }
            self.0 = data.skip(1);
            return Some(TcpOption::Nothing);
        }
        let length = match data.u8(1) {
            Some(length) if length >= 2 && usize::from(length) <= data.length() => usize::from(length),
            found => return Some(TcpOption::Bad { kind, is_cut: found.is_none() }),
        };
        let Some(value) = data.bytes().get(2..length) else {
            return Some(TcpOption::Bad { kind, is_cut: true });
        };
        self.0 = data.skip(length);
        Some(match (kind, value) {
            (2, &[a, b]) => TcpOption::MaximumSegment(u16::from_be_bytes([a, b])),
            (3, &[shift]) => TcpOption::WindowScale(shift),
            (4, []) => TcpOption::SelectivePermitted,
            (5, blocks) if blocks.len() % 8 == 0 => TcpOption::Selective(SackBlocks(blocks)),
            (8, [_, _, _, _, _, _, _, _]) => {
                TcpOption::Timestamps { value: data.u32(2)?, echo: data.u32(6)? }
            }
            (kind, value) => TcpOption::Other { kind, value },
        })
    }
}

impl Serialize for TcpOptions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(*self)
    }
}
