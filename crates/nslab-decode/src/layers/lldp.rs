//! LLDP (IEEE 802.1AB), and the slow protocols (IEEE 802.3 57A) by name.

use nslab_types::MacAddr;
use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::data::{Broken, Data};

/// What a device says of itself to who is at the other end of the cable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lldp<'a> {
    /// All of it.
    pub data: Data<'a>,
}

/// One thing that it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LldpItem<'a> {
    /// 1 chassis, 2 port, 3 time to live, 4 the port's description, 5 and 6 the system's name and description, 127 of an
    /// organisation.
    pub kind: u8,
    /// What is said.
    pub value: Data<'a>,
}

impl<'a> Lldp<'a> {
    /// All that it says, up to the end or to what is cut.
    pub fn items(&self) -> impl Iterator<Item = LldpItem<'a>> + use<'a> {
        let mut rest = self.data;
        std::iter::from_fn(move || {
            let head = rest.u16(0)?;
            let (kind, length) = ((head >> 9) as u8, usize::from(head & 0x1ff));
            let value = rest.skip(2).first(length);
            rest = rest.skip(2 + length);
            (kind != 0).then_some(LldpItem { kind, value })
        })
    }

    fn text(&self, kind: u8) -> Option<String> {
        let item = self.items().find(|item| item.kind == kind)?;
        Some(String::from_utf8_lossy(item.value.bytes()).into_owned())
    }

    /// The system's name, if it says it.
    pub fn system_name(&self) -> Option<String> {
        self.text(5)
    }

    /// The chassis (`kind` 1) or the port (2), as text where it is text, an address where it is one.
    fn identifier(&self, kind: u8) -> Option<String> {
        let value = self.items().find(|item| item.kind == kind)?.value;
        let is_address = matches!((kind, value.u8(0)?), (1, 4) | (2, 3));
        match value.array::<6>(1).filter(|_| is_address) {
            Some(mac) => Some(MacAddr(*mac).to_string()),
            None => Some(String::from_utf8_lossy(value.skip(1).bytes()).into_owned()),
        }
    }
}

impl Serialize for Lldp<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ttl = self.items().find(|item| item.kind == 3).and_then(|item| item.value.u16(0));
        let mut fields = serializer.serialize_struct("Lldp", 5)?;
        fields.serialize_field("chassis", &self.identifier(1))?;
        fields.serialize_field("port", &self.identifier(2))?;
        fields.serialize_field("ttl", &ttl)?;
        fields.serialize_field("port_description", &self.text(4))?;
        fields.serialize_field("system_name", &self.system_name())?;
        fields.end()
    }
}

/// A message of a slow protocol: LACP and the like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Slow<'a> {
    /// 1 LACP, 2 marker, 3 OAM.
    pub subtype: u8,
    /// The protocol's version, of LACP and marker.
    pub version: u8,
    /// LACP's: who speaks, and to whom it believes to speak.
    pub lacp: Option<[LacpEnd; 2]>,
    /// All of it.
    #[serde(skip)]
    pub data: Data<'a>,
}

/// One end of a bundle's cable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct LacpEnd {
    /// The system's priority.
    pub system_priority: u16,
    /// The system.
    pub system: MacAddr,
    /// Which ports may be bundled.
    pub key: u16,
    /// The port's priority.
    pub port_priority: u16,
    /// The port.
    pub port: u16,
    /// Activity 0x01, timeout 0x02, aggregation 0x04, synchronization 0x08, collecting 0x10, distributing 0x20,
    /// defaulted 0x40, expired 0x80.
    pub state: u8,
}

pub(crate) fn read_slow(data: Data<'_>) -> Result<Slow<'_>, Broken> {
    let [subtype, version] = *data.header().map_err(Broken::of("slow"))?;
    let end = |at: usize| {
        Some(LacpEnd {
            system_priority: data.u16(at + 2)?,
            system: MacAddr(*data.array(at + 4)?),
            key: data.u16(at + 10)?,
            port_priority: data.u16(at + 12)?,
            port: data.u16(at + 14)?,
            state: data.u8(at + 16)?,
        })
    };
    let lacp = end(2).zip(end(22)).filter(|_| subtype == 1).map(|(actor, partner)| [actor, partner]);
    Ok(Slow { subtype, version, lacp, data })
}
