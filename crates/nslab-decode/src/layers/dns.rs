//! DNS (RFC 1035), and multicast DNS (RFC 6762).

use std::fmt::{self, Write as _};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::data::{Broken, Data};

/// Names are followed through so many pointers.
const MOST_POINTERS: usize = 64;
/// As long as a name can be, in bytes (RFC 1035 2.3.4).
const LONGEST_NAME: usize = 255;

/// A message of DNS. Its sections are read when they are gone through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dns<'a> {
    /// By which an answer is known.
    pub id: u16,
    /// Response 0x8000, operation 0x7800, authoritative 0x0400, truncated 0x0200, recursion desired 0x0100 and available
    /// 0x0080, authentic data 0x0020, checking disabled 0x0010, response code 0x000f.
    pub flags: u16,
    /// How many questions, answers, authorities and additional records there are said to be.
    pub counts: [u16; 4],
    /// All of it.
    pub data: Data<'a>,
}

pub(crate) const HEADER: usize = 12;

pub(crate) fn read(data: Data<'_>) -> Result<Dns<'_>, Broken> {
    let [i0, i1, f0, f1, counts @ ..] = *data.header::<HEADER>().map_err(Broken::of("domain"))?;
    Ok(Dns {
        id: u16::from_be_bytes([i0, i1]),
        flags: u16::from_be_bytes([f0, f1]),
        counts: std::array::from_fn(|i| u16::from_be_bytes([counts[i * 2], counts[i * 2 + 1]])),
        data,
    })
}

impl<'a> Dns<'a> {
    /// It is an answer.
    pub fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// 0 for a query.
    pub fn operation(&self) -> u8 {
        (self.flags >> 11 & 15) as u8
    }

    /// 0 for no error, 3 for a name that is not there (RFC 6895 2.3).
    pub fn response_code(&self) -> u8 {
        (self.flags & 15) as u8
    }

    /// What is asked, as far as it can be read.
    pub fn questions(&self) -> impl Iterator<Item = Question<'a>> + use<'a> {
        let mut reader = self.reader();
        (0..self.counts[0]).map_while(move |_| reader.question())
    }

    /// All records, with the number of their section: 1 answers, 2 authorities, 3 additional ones.
    pub fn records(&self) -> impl Iterator<Item = (usize, Record<'a>)> + use<'a> {
        let counts = self.counts;
        let mut reader = self.reader();
        let sections = (1..counts.len()).flat_map(move |section| (0..counts[section]).map(move |_| section));
        let is_there = (0..counts[0]).all(|_| reader.question().is_some());
        sections.filter(move |_| is_there).map_while(move |section| Some((section, reader.record()?)))
    }

    pub(crate) fn reader(&self) -> Reader<'a> {
        Reader { message: self.data, at: HEADER }
    }
}

/// A question.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Question<'a> {
    /// About what.
    pub name: Name<'a>,
    /// Which records, as 1 for addresses of IPv4 and 28 of IPv6.
    #[serde(rename = "type")]
    pub kind: u16,
    /// 1 for the Internet; multicast DNS asks for an answer to the asker alone with 0x8000.
    pub class: u16,
}

/// A record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Of what.
    pub name: Name<'a>,
    /// Of which type.
    pub kind: u16,
    /// 1 for the Internet; multicast DNS says that others are wrong now with 0x8000.
    pub class: u16,
    /// It holds for so many seconds.
    pub ttl: u32,
    /// What it says.
    pub data: Data<'a>,
    /// The whole message, and where in it `data` begins: names in it may point elsewhere.
    place: (Data<'a>, usize),
}

impl<'a> Record<'a> {
    /// The name `at` so many bytes in what it says, and how many bytes it takes there.
    pub fn name_at(&self, at: usize) -> Option<(Name<'a>, usize)> {
        let (message, begin) = self.place;
        let mut reader = Reader { message, at: begin + at };
        let name = reader.name()?;
        Some((name, reader.at - begin - at))
    }
}

/// A name, as labels in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name<'a> {
    message: Data<'a>,
    at: usize,
}

/// What is shown of a byte in a label.
pub(crate) fn write_byte(byte: u8, out: &mut impl fmt::Write) -> fmt::Result {
    if byte >= 0x80 {
        out.write_str("M-")?;
    }
    match byte & 0x7f {
        byte @ 0x20..=0x7e => out.write_char(char::from(byte)),
        byte => write!(out, "^{}", char::from(byte ^ 0x40)),
    }
}

/// With a dot at the end.
impl fmt::Display for Name<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut at, mut pointers, mut written) = (self.at, 0, 0);
        loop {
            let Some(length) = self.message.u8(at) else { return Ok(()) };
            match length {
                0 if written == 0 => return out.write_char('.'),
                0 => return Ok(()),
                1..=63 => {
                    let label = self.message.skip(at + 1).first(usize::from(length));
                    for byte in label.bytes() {
                        write_byte(*byte, out)?;
                    }
                    written += 1 + usize::from(length);
                    if label.is_cut() || written > LONGEST_NAME {
                        return Ok(());
                    }
                    out.write_char('.')?;
                    at += 1 + usize::from(length);
                }
                0xc0.. => {
                    let Some(pointer) = self.message.u16(at) else { return Ok(()) };
                    at = usize::from(pointer & 0x3fff);
                    pointers += 1;
                    if pointers > MOST_POINTERS {
                        return out.write_str("<LOOP>");
                    }
                }
                kind => return write!(out, "<ELT {}>", kind & 0x3f),
            }
        }
    }
}

impl Serialize for Name<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Goes through a message.
pub(crate) struct Reader<'a> {
    message: Data<'a>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn name(&mut self) -> Option<Name<'a>> {
        let name = Name { message: self.message, at: self.at };
        loop {
            match self.message.u8(self.at)? {
                0 => {
                    self.at += 1;
                    return Some(name);
                }
                length @ 1..=63 => self.at += 1 + usize::from(length),
                0xc0.. => {
                    self.message.u16(self.at)?;
                    self.at += 2;
                    return Some(name);
                }
                _ => return None,
            }
        }
    }

    fn u16(&mut self) -> Option<u16> {
        let value = self.message.u16(self.at)?;
        self.at += 2;
        Some(value)
    }

    pub(crate) fn question(&mut self) -> Option<Question<'a>> {
        Some(Question { name: self.name()?, kind: self.u16()?, class: self.u16()? })
    }

    pub(crate) fn record(&mut self) -> Option<Record<'a>> {
        let (name, kind, class) = (self.name()?, self.u16()?, self.u16()?);
        let ttl = self.message.u32(self.at)?;
        self.at += 4;
        let length = usize::from(self.u16()?);
        let data = self.message.skip(self.at).first(length);
        let record = Record { name, kind, class, ttl, data, place: (self.message, self.at) };
        self.at += length;
        Some(record)
    }
}

/// A type's name, where it is known (RFC 1035 3.2.2 and others).
pub(crate) fn kind(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        24 => "SIG",
        25 => "KEY",
        28 => "AAAA",
        29 => "LOC",
        33 => "SRV",
        35 => "NAPTR",
        36 => "KX",
        37 => "CERT",
        39 => "DNAME",
        41 => "OPT",
        42 => "APL",
        43 => "DS",
        44 => "SSHFP",
        45 => "IPSECKEY",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        49 => "DHCID",
        50 => "NSEC3",
        51 => "NSEC3PARAM",
        52 => "TLSA",
        53 => "SMIMEA",
        55 => "HIP",
        59 => "CDS",
        60 => "CDNSKEY",
        61 => "OPENPGPKEY",
        62 => "CSYNC",
        63 => "ZONEMD",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        249 => "TKEY",
        250 => "TSIG",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        256 => "URI",
        257 => "CAA",
        _ => return None,
    })
}

/// Types as their names; addresses, names and texts as such, other records as their length.
impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Record", 5)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("type", &self.kind)?;
        fields.serialize_field("class", &self.class)?;
        fields.serialize_field("ttl", &self.ttl)?;
        match self.kind {
            1 => match self.data.array::<4>(0) {
                Some(address) => fields.serialize_field("address", &std::net::Ipv4Addr::from(*address))?,
                None => fields.skip_field("address")?,
            },
            28 => match self.data.array::<16>(0) {
                Some(address) => fields.serialize_field("address", &std::net::Ipv6Addr::from(*address))?,
                None => fields.skip_field("address")?,
            },
            2 | 5 | 12 | 39 => fields.serialize_field("target", &self.name_at(0).map(|(name, _)| name))?,
            _ => fields.serialize_field("data", &self.data)?,
        }
        fields.end()
    }
}

impl Serialize for Dns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let of = |section| self.records().filter(move |(of, _)| *of == section).map(|(_, record)| record);
        let mut fields = serializer.serialize_struct("Dns", 8)?;
        fields.serialize_field("id", &self.id)?;
        fields.serialize_field("is_response", &self.is_response())?;
        fields.serialize_field("operation", &self.operation())?;
        fields.serialize_field("response_code", &self.response_code())?;
        fields.serialize_field("flags", &self.flags)?;
        fields.serialize_field("questions", &self.questions().collect::<Vec<_>>())?;
        fields.serialize_field("answers", &of(1).collect::<Vec<_>>())?;
        fields.serialize_field("authorities", &of(2).collect::<Vec<_>>())?;
        fields.serialize_field("additional", &of(3).collect::<Vec<_>>())?;
        fields.end()
    }
}
