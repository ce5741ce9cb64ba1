//! What a tracepoint tells.

/// `enum kind` of the programs.
const DROPPED: u32 = 0;
const RECEIVED: u32 = 1;
const SENT: u32 = 2;
const CONSUMED: u32 = 3;

/// `flags` of the programs' `struct event`.
const HAS_LINK_HEADER: u8 = 1;
const HAS_NETWORK_HEADER: u8 = 2;
const CHECKSUM_PENDING: u8 = 4;
const HAS_REASON: u8 = 8;
const HAS_TAG: u8 = 16;

/// The length of `struct event`, in bytes, and of what of the packet is in it.
pub(crate) const LENGTH: usize = 224;
const BYTES: usize = 128;

/// What happened to a packet somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// What.
    pub what: What,
    /// In which namespace: the inode number of its file. None where the packet was neither at an interface nor a socket's.
    pub namespace: Option<u32>,
    /// The interface that it was at or on its way to, by its number there. None before routing has chosen one, and where the
    /// kernel had forgotten it already.
    pub link: Option<u32>,
    /// The interface's name.
    pub link_name: Option<&'a str>,
    /// The interface that it came into the namespace by; none of what was made there (`skb->skb_iif`).
    pub came_by: Option<u32>,
    /// The interface's kind (`ARPHRD_…`): 1 for Ethernet, 772 for loopback.
    pub hardware: Option<u16>,
    /// The `EtherType` (`skb->protocol`).
    pub protocol: u16,
    /// What it was to the interface that it came by.
    pub packet_type: PacketKind,
    /// Its mark.
    pub mark: u32,
    /// A VLAN tag that the kernel carries beside it.
    pub tag: Option<Tag>,
    /// Its checksum is not filled in yet.
    pub checksum_pending: bool,
    /// Its first bytes, at most 128, and of what does not lie in one piece only the first piece: from its link header on, else
    /// from its network header on, or from where whoever had it was reading, if it has neither.
    pub bytes: &'a [u8],
    /// Where in `bytes` the network header begins; none if nobody had looked for one yet.
    pub network: Option<usize>,
    /// There is a link header at the beginning of `bytes`.
    pub has_link_header: bool,
    /// How long it was, in bytes, counted from the first of `bytes`.
    pub length: u32,
    /// Where the kernel's bookkeeping of it is (`struct sk_buff *`), and where its bytes are (`skb->head`): alike for all that
    /// happens to one packet, until others get the memory. Clones share their bytes.
    pub identity: (u64, u64),
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was dropped.
    Dropped {
        /// Why, as this kernel numbers reasons ([`Names::reason`](crate::Names::reason)); none before Linux 5.17.
        reason: Option<u32>,
        /// Where in the kernel's code ([`Tracepoints::symbol`](crate::Tracepoints::symbol)).
        location: u64,
    },
    /// An interface got it.
    Received,
    /// An interface's driver sends it.
    Sent,
    /// It was freed, all being well.
    Consumed {
        /// Where in the kernel's code; none before Linux 6.3.
        location: Option<u64>,
    },
}

/// To whom a packet was (`PACKET_…`, `include/uapi/linux/if_packet.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketKind {
    /// To this host, or made here.
    Host,
    /// To all.
    Broadcast,
    /// To a group.
    Multicast,
    /// To another host.
    OtherHost,
    /// One of the kernel's own kinds, by its number.
    Other(u8),
}

/// A VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Its `EtherType`.
    pub protocol: u16,
    /// Priority, drop eligible, and the VLAN's number (IEEE 802.1Q).
    pub control: u16,
}

impl<'a> Event<'a> {
    /// Reads a program's `struct event`; `epoch` is what has to be added to its time. None if it is of another length or kind.
    pub(crate) fn parse(raw: &'a [u8], epoch: u64) -> Option<Self> {
        if raw.len() < LENGTH {
            return None;
        }
        let long = |at: usize| raw[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
        let word = |at: usize| raw[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
        let short = |at: usize| raw[at..at + 2].try_into().map_or(0, u16::from_ne_bytes);
        // Numbers of the network.
        let network_short = |at: usize| u16::from_be_bytes([raw[at], raw[at + 1]]);
        let some = |number: u32| (number != 0).then_some(number);
        let flags = raw[73];
        let has = |flag: u8| flags & flag != 0;
        let what = match word(32) {
            DROPPED => What::Dropped { reason: has(HAS_REASON).then(|| word(48)), location: long(8) },
            RECEIVED => What::Received,
            SENT => What::Sent,
            CONSUMED => What::Consumed { location: Some(long(8)).filter(|&one| one != 0) },
            _ => return None,
        };
        let name = &raw[80..96];
        let name = &name[..name.iter().position(|&byte| byte == 0).unwrap_or(name.len())];
        let captured = usize::from(short(64)).min(BYTES);
        let hardware = short(60);
        Some(Self {
            time: long(0).wrapping_add(epoch),
            what,
            namespace: some(word(36)),
            link: some(word(40)),
            link_name: std::str::from_utf8(name).ok().filter(|name| !name.is_empty()),
            came_by: some(word(44)),
            hardware: (hardware != u16::MAX).then_some(hardware),
            protocol: network_short(62),
            packet_type: match raw[72] {
                0 => PacketKind::Host,
                1 => PacketKind::Broadcast,
                2 => PacketKind::Multicast,
                3 => PacketKind::OtherHost,
                other => PacketKind::Other(other),
            },
            mark: word(56),
            tag: has(HAS_TAG).then(|| Tag { protocol: network_short(68), control: short(70) }),
            checksum_pending: has(CHECKSUM_PENDING),
            bytes: &raw[96..96 + captured],
            network: has(HAS_NETWORK_HEADER).then(|| usize::from(short(66))),
            has_link_header: has(HAS_LINK_HEADER),
            length: word(52),
            identity: (long(16), long(24)),
        })
    }
}

/// An event that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    head: Event<'static>,
    bytes: Box<[u8]>,
    link_name: Option<Box<str>>,
}

impl Event<'_> {
    /// A copy to keep.
    pub fn record(&self) -> Record {
        Record {
            head: Event { bytes: &[], link_name: None, ..*self },
            bytes: self.bytes.into(),
            link_name: self.link_name.map(Into::into),
        }
    }
}

impl Record {
    /// The event.
    pub fn event(&self) -> Event<'_> {
        Event { bytes: &self.bytes, link_name: self.link_name.as_deref(), ..self.head }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_as_the_program_writes_it() {
        let mut raw = vec![0; LENGTH];
        raw[0..8].copy_from_slice(&5_u64.to_ne_bytes());
        raw[8..16].copy_from_slice(&0xffff_ffff_8100_0000_u64.to_ne_bytes());
        raw[36..40].copy_from_slice(&0xf000_0001_u32.to_ne_bytes());
        raw[40..44].copy_from_slice(&16_u32.to_ne_bytes());
        raw[48..52].copy_from_slice(&3_u32.to_ne_bytes());
        raw[52..56].copy_from_slice(&98_u32.to_ne_bytes());
        raw[60..62].copy_from_slice(&1_u16.to_ne_bytes());
        raw[62..64].copy_from_slice(&[8, 0]);
        raw[64..66].copy_from_slice(&60_u16.to_ne_bytes());
        raw[66..68].copy_from_slice(&14_u16.to_ne_bytes());
        raw[72] = 3;
        raw[73] = HAS_LINK_HEADER | HAS_NETWORK_HEADER | HAS_REASON;
        raw[80..84].copy_from_slice(b"eth0");
        let event = Event::parse(&raw, 100).unwrap();
        assert_eq!(event.what, What::Dropped { reason: Some(3), location: 0xffff_ffff_8100_0000 });
        assert_eq!((event.time, event.namespace, event.link), (105, Some(0xf000_0001), Some(16)));
        assert_eq!((event.link_name, event.came_by, event.protocol), (Some("eth0"), None, 0x0800));
        assert_eq!((event.bytes.len(), event.network, event.length), (60, Some(14), 98));
        assert_eq!((event.packet_type, event.tag, event.hardware), (PacketKind::OtherHost, None, Some(1)));
        assert_eq!(event.record().event(), event);
        raw[32] = 9;
        assert_eq!(Event::parse(&raw, 0), None);
        assert_eq!(Event::parse(&raw[1..], 0), None);
    }
}
