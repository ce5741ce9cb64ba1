//! Ethernet, VLAN tags, and the frames of IEEE 802.2.

use nslab_types::MacAddr;
use serde::Serialize;

use crate::data::{Broken, Data};
use crate::layers::{self, Decoded, Network, Stp, Walk, ethertype, stp};

/// The greatest number that is a length and no `EtherType` (IEEE 802.3 3.2.6).
pub(crate) const LONGEST: usize = 1500;

/// Tags beyond these are no tags but what the frame carries.
const MOST_TAGS: usize = 8;

/// The header of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Ethernet {
    /// To whom.
    pub destination: MacAddr,
    /// From whom.
    pub source: MacAddr,
    /// What the frame carries, behind all VLAN tags: an `EtherType`, or up to 1500 the length of an IEEE 802.2 frame.
    pub ethertype: u16,
}

/// A VLAN tag (IEEE 802.1Q 9.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Tag {
    /// The `EtherType` that says that it is one: 0x8100, or 0x88a8 of a provider's.
    pub protocol: u16,
    /// 0 (best effort) to 7.
    pub priority: u8,
    /// May be dropped before others.
    pub drop_eligible: bool,
    /// The VLAN, 0 to 4095; 0 is a tag for the priority's sake only.
    pub id: u16,
}

impl Tag {
    /// In a frame.
    pub(crate) const LENGTH: usize = 4;

    /// Of the `EtherType` and the tag control information, as the kernel hands them over.
    pub fn of_tci(protocol: u16, tci: u16) -> Self {
        Self { protocol, priority: (tci >> 13) as u8, drop_eligible: tci & 0x1000 != 0, id: tci & 0x0fff }
    }
}

/// The header and the tags; gives the `EtherType` of what comes behind, and that.
pub(crate) fn read<'a>(decoded: &mut Decoded<'a>, tag: Option<Tag>) -> Result<(u16, Data<'a>), Broken> {
    let header = decoded.data.header::<14>().map_err(Broken::of("ether"))?;
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, k0, k1] = *header;
    let mut kind = u16::from_be_bytes([k0, k1]);
    let mut rest = decoded.data.skip(header.len());
    decoded.ethernet = Some(Ethernet {
        destination: MacAddr([d0, d1, d2, d3, d4, d5]),
        source: MacAddr([s0, s1, s2, s3, s4, s5]),
        ethertype: kind,
    });
    decoded.vlans.extend(tag);
    while matches!(kind, ethertype::VLAN | ethertype::SERVICE_VLAN | ethertype::QINQ | ethertype::QINQ_2)
        && decoded.vlans.len() < MOST_TAGS
    {
        let [t0, t1, k0, k1] = *rest.header().map_err(Broken::of("vlan"))?;
        decoded.vlans.push(Tag::of_tci(kind, u16::from_be_bytes([t0, t1])));
        kind = u16::from_be_bytes([k0, k1]);
        rest = rest.skip(Tag::LENGTH);
        if let Some(ethernet) = &mut decoded.ethernet {
            ethernet.ethertype = kind;
        }
    }
    Ok((kind, rest))
}

/// A frame of IEEE 802.2.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Llc<'a> {
    /// The destination's service access point, 0x42 for spanning trees.
    pub dsap: u8,
    /// The source's.
    pub ssap: u8,
    /// 3 for information without a number.
    pub control: u8,
    /// What it carries.
    #[serde(flatten)]
    pub payload: LlcPayload<'a>,
    /// What comes behind these.
    #[serde(skip)]
    pub data: Data<'a>,
}

/// What is in a frame of IEEE 802.2.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LlcPayload<'a> {
    /// A spanning tree's.
    Stp(Stp<'a>),
    /// What else would stand behind an `EtherType`.
    Snap {
        /// Whose number the `EtherType` is: 0 for the usual ones, the only ones that are read.
        organisation: u32,
        /// The `EtherType`.
        kind: u16,
        /// What stands behind it.
        network: Box<Network<'a>>,
    },
    /// Something else.
    Payload(Data<'a>),
    /// What could not be read.
    Broken(Broken),
}

pub(crate) fn llc<'a>(length: u16, data: Data<'a>, walk: Walk<'_>) -> Result<Llc<'a>, Broken> {
    let data = data.first(usize::from(length));
    let [dsap, ssap, control] = *data.header().map_err(Broken::of("llc"))?;
    let data = data.skip(3);
    let read = || {
        Ok(match (dsap, ssap, control) {
            (0x42, 0x42, 3) => LlcPayload::Stp(stp::read(data)?),
            (0xaa, 0xaa, 3) => {
                let [o0, o1, o2, k0, k1] = *data.header().map_err(Broken::of("llc"))?;
                let organisation = u32::from_be_bytes([0, o0, o1, o2]);
                if organisation != 0 {
                    return Ok(LlcPayload::Payload(data));
                }
                let kind = u16::from_be_bytes([k0, k1]);
                let walk = walk.down().map_err(Broken::of("llc"))?;
                let network = Box::new(layers::network(kind, data.skip(5), walk)?);
                LlcPayload::Snap { organisation, kind, network }
            }
            _ => LlcPayload::Payload(data),
        })
    };
    let payload = read().unwrap_or_else(LlcPayload::Broken);
    Ok(Llc { dsap, ssap, control, payload, data })
}
