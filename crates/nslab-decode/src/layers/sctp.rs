//! SCTP (RFC 9260): its ports and the names of its chunks.

use serde::{Serialize, Serializer};

use crate::data::{Broken, Data};

/// A packet of SCTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Sctp<'a> {
    /// From which port.
    pub source_port: u16,
    /// To which port.
    pub destination_port: u16,
    /// By which its receiver knows that it is of the association.
    pub verification_tag: u32,
    /// As it stands there (CRC-32C).
    pub checksum: u32,
    /// What is in it.
    pub chunks: SctpChunks<'a>,
    /// From the header on.
    #[serde(skip)]
    pub data: Data<'a>,
}

pub(crate) const HEADER: usize = 12;

pub(crate) fn read(data: Data<'_>) -> Result<Sctp<'_>, Broken> {
    let broken = |fault| Broken::of("sctp")(fault).with_ports(data);
    let [s0, s1, d0, d1, v0, v1, v2, v3, c0, c1, c2, c3] = *data.header::<HEADER>().map_err(broken)?;
    Ok(Sctp {
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        verification_tag: u32::from_be_bytes([v0, v1, v2, v3]),
        checksum: u32::from_be_bytes([c0, c1, c2, c3]),
        chunks: SctpChunks(data.skip(HEADER)),
        data,
    })
}

/// The chunks of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SctpChunks<'a>(Data<'a>);

/// One chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct SctpChunk<'a> {
    /// Its type (RFC 9260 3.2).
    #[serde(rename = "type")]
    pub kind: u8,
    /// What they say hangs on the type.
    pub flags: u8,
    /// What is in it.
    pub value: Data<'a>,
}

/// Up to the end, or to one whose length cannot be.
impl<'a> Iterator for SctpChunks<'a> {
    type Item = SctpChunk<'a>;

    fn next(&mut self) -> Option<SctpChunk<'a>> {
        let data = std::mem::take(&mut self.0);
        let (kind, flags, length) = (data.u8(0)?, data.u8(1)?, usize::from(data.u16(2)?));
        let value = data.first(length).skip(4);
        if length >= 4 {
            self.0 = data.skip(length.next_multiple_of(4));
        }
        Some(SctpChunk { kind, flags, value })
    }
}

impl Serialize for SctpChunks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(*self)
    }
}
