//! Who listens to which group: IGMP (RFC 2236, RFC 3376), and what listener discovery of IPv6 has in common with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Serialize, Serializer};

use crate::checksum::{self, Checked};
use crate::data::{Broken, Data};

/// A message of IGMP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Igmp<'a> {
    /// Its type: 0x11 query, 0x12, 0x16 and 0x22 reports of versions 1, 2, 3, 0x17 leave.
    #[serde(rename = "type")]
    pub kind: u8,
    /// Of a query: it is answered within so many tenths of a second; encoded above 127 in version 3 (RFC 3376 4.1.1).
    pub max_response: u8,
    /// As it stands there.
    pub checksum: u16,
    /// The group that it is about; 0.0.0.0 for all. A report of version 3 has records instead.
    pub group: Ipv4Addr,
    /// Of a query of version 3: from these sources only.
    pub sources: Sources<'a>,
    /// Of a report of version 3: what its sender listens to, and no more.
    pub records: GroupRecords<'a>,
    /// All of it.
    #[serde(skip)]
    pub data: Data<'a>,
}

pub(crate) fn read(data: Data<'_>) -> Result<Igmp<'_>, Broken> {
    let [kind, max_response, c0, c1, g0, g1, g2, g3] = *data.header().map_err(Broken::of("igmp"))?;
    let source_count = data.u16(10).filter(|_| kind == 0x11).unwrap_or_default();
    let record_count = if kind == 0x22 { u16::from_be_bytes([g2, g3]) } else { 0 };
    Ok(Igmp {
        kind,
        max_response,
        checksum: u16::from_be_bytes([c0, c1]),
        group: Ipv4Addr::new(g0, g1, g2, g3),
        sources: Sources::new(data.skip(12), source_count, false),
        records: GroupRecords { data: data.skip(8), left: record_count, is_ipv6: false },
        data,
    })
}

impl Igmp<'_> {
    /// What the checksum is found to be.
    pub fn check(&self) -> Checked {
        if self.data.is_cut() {
            return Checked::Unknown;
        }
        checksum::check(self.checksum, checksum::sum(self.data.bytes()))
    }
}

/// Addresses of senders in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sources<'a> {
    bytes: &'a [u8],
    pub(crate) is_ipv6: bool,
    /// How many there are said to be.
    pub count: u16,
    /// The message has room for all of them.
    pub is_whole: bool,
}

impl<'a> Sources<'a> {
    pub(crate) fn new(data: Data<'a>, count: u16, is_ipv6: bool) -> Self {
        let length = usize::from(count) * if is_ipv6 { 16 } else { 4 };
        let bytes = data.first(length).bytes();
        Self { bytes, is_ipv6, count, is_whole: length <= data.length() }
    }
}

impl Iterator for Sources<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        let (address, rest) = take_address(self.bytes, self.is_ipv6)?;
        self.bytes = rest;
        Some(address)
    }
}

fn take_address(bytes: &[u8], is_ipv6: bool) -> Option<(IpAddr, &[u8])> {
    if is_ipv6 {
        let (address, rest) = bytes.split_first_chunk::<16>()?;
        Some((Ipv6Addr::from(*address).into(), rest))
    } else {
        let (address, rest) = bytes.split_first_chunk::<4>()?;
        Some((Ipv4Addr::from(*address).into(), rest))
    }
}

impl Serialize for Sources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(*self)
    }
}

/// What a host says of one group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct GroupRecord<'a> {
    /// 1 and 2: it listens to these sources, to all but these; 3 and 4: it changed to that; 5 and 6: these are new, gone.
    pub kind: u8,
    /// The group.
    pub group: IpAddr,
    /// The sources.
    pub sources: Sources<'a>,
}

/// What a host says of groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupRecords<'a> {
    pub(crate) data: Data<'a>,
    pub(crate) left: u16,
    pub(crate) is_ipv6: bool,
}

/// Up to one that is not all there, which is given with what is.
impl<'a> Iterator for GroupRecords<'a> {
    type Item = GroupRecord<'a>;

    fn next(&mut self) -> Option<GroupRecord<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (kind, words, count) = (self.data.u8(0)?, self.data.u8(1)?, self.data.u16(2)?);
        let (group, rest) = take_address(self.data.bytes().get(4..)?, self.is_ipv6)?;
        let header = self.data.bytes().len() - rest.len();
        let sources = Sources::new(self.data.skip(header), count, self.is_ipv6);
        let length = usize::from(count) * if self.is_ipv6 { 16 } else { 4 };
        self.data = self.data.skip(header + length + usize::from(words) * 4);
        if !sources.is_whole {
            self.left = 0;
        }
        Some(GroupRecord { kind, group, sources })
    }
}

impl Serialize for GroupRecords<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(*self)
    }
}
