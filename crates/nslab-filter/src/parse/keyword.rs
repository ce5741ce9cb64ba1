//! The words of the language.

/// Protocols that are words of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    Link,
    Ip,
    Arp,
    Rarp,
    Sctp,
    Tcp,
    Udp,
    Icmp,
    Igmp,
    Igrp,
    Pim,
    Vrrp,
    Carp,
    Atalk,
    Aarp,
    Decnet,
    Lat,
    Sca,
    Mopdl,
    Moprc,
    Ip6,
    Icmp6,
    Ah,
    Esp,
    Iso,
    Esis,
    Isis,
    Clnp,
    Stp,
    Ipx,
    Netbeui,
}

/// What a word does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Keyword {
    Protocol(Protocol),
    Src,
    Dst,
    Host,
    Net,
    Mask,
    Port,
    PortRange,
    Proto,
    ProtoChain,
    Less,
    Greater,
    Byte,
    Broadcast,
    Multicast,
    And,
    Or,
    Not,
    Len,
    Inbound,
    Outbound,
    IfIndex,
    Vlan,
    Mpls,
    PppoeDiscovery,
    PppoeSession,
    Geneve,
    Vxlan,
    /// A word for other kinds of networks or other systems, with what it is for.
    Foreign(&'static str),
}

use Keyword::{
    And, Broadcast, Byte, Dst, Foreign, Geneve, Greater, Host, IfIndex, Inbound, Len, Less, Mask, Mpls,
    Multicast, Net, Not, Or, Outbound, Port, PortRange, PppoeDiscovery, PppoeSession, Proto, ProtoChain, Src,
    Vlan, Vxlan,
};

const WLAN: &str = "is for 802.11 frames";
const ATM: &str = "is for ATM";
const ISIS: &str = "is not done here";
const LLC: &str = "is not done here";
const PF: &str = "is for OpenBSD's packet filter";
const MTP: &str = "is for SS7 signalling";
const GATEWAY: &str = "is not done here, as in libpcap with IPv6";

const fn protocol(protocol: Protocol) -> Keyword {
    Keyword::Protocol(protocol)
}

/// All words with what they mean (pcap-filter(7)).
const WORDS: &[(&str, Keyword)] = &[
    ("dst", Dst),
    ("src", Src),
    ("link", protocol(Protocol::Link)),
    ("ether", protocol(Protocol::Link)),
    ("ppp", protocol(Protocol::Link)),
    ("slip", protocol(Protocol::Link)),
    ("fddi", protocol(Protocol::Link)),
    ("tr", protocol(Protocol::Link)),
    ("wlan", protocol(Protocol::Link)),
    ("arp", protocol(Protocol::Arp)),
    ("rarp", protocol(Protocol::Rarp)),
    ("ip", protocol(Protocol::Ip)),
    ("sctp", protocol(Protocol::Sctp)),
    ("tcp", protocol(Protocol::Tcp)),
    ("udp", protocol(Protocol::Udp)),
    ("icmp", protocol(Protocol::Icmp)),
    ("igmp", protocol(Protocol::Igmp)),
    ("igrp", protocol(Protocol::Igrp)),
    ("pim", protocol(Protocol::Pim)),
    ("vrrp", protocol(Protocol::Vrrp)),
    ("carp", protocol(Protocol::Carp)),
    ("ip6", protocol(Protocol::Ip6)),
    ("icmp6", protocol(Protocol::Icmp6)),
    ("ah", protocol(Protocol::Ah)),
    ("esp", protocol(Protocol::Esp)),
    ("atalk", protocol(Protocol::Atalk)),
    ("aarp", protocol(Protocol::Aarp)),
    ("decnet", protocol(Protocol::Decnet)),
    ("lat", protocol(Protocol::Lat)),
    ("sca", protocol(Protocol::Sca)),
    ("moprc", protocol(Protocol::Moprc)),
    ("mopdl", protocol(Protocol::Mopdl)),
    ("iso", protocol(Protocol::Iso)),
    ("esis", protocol(Protocol::Esis)),
    ("es-is", protocol(Protocol::Esis)),
    ("isis", protocol(Protocol::Isis)),
    ("is-is", protocol(Protocol::Isis)),
    ("clnp", protocol(Protocol::Clnp)),
    ("stp", protocol(Protocol::Stp)),
    ("ipx", protocol(Protocol::Ipx)),
    ("netbeui", protocol(Protocol::Netbeui)),
    ("host", Host),
    ("net", Net),
    ("mask", Mask),
    ("port", Port),
    ("portrange", PortRange),
    ("proto", Proto),
    ("protochain", ProtoChain),
    ("less", Less),
    ("greater", Greater),
    ("byte", Byte),
    ("broadcast", Broadcast),
    ("multicast", Multicast),
    ("and", And),
    ("or", Or),
    ("not", Not),
    ("len", Len),
    ("length", Len),
    ("inbound", Inbound),
    ("outbound", Outbound),
    ("ifindex", IfIndex),
    ("vlan", Vlan),
    ("mpls", Mpls),
    ("pppoed", PppoeDiscovery),
    ("pppoes", PppoeSession),
    ("geneve", Geneve),
    ("vxlan", Vxlan),
    ("gateway", Foreign(GATEWAY)),
    ("l1", Foreign(ISIS)),
    ("l2", Foreign(ISIS)),
    ("iih", Foreign(ISIS)),
    ("lsp", Foreign(ISIS)),
    ("snp", Foreign(ISIS)),
    ("csnp", Foreign(ISIS)),
    ("psnp", Foreign(ISIS)),
    ("llc", Foreign(LLC)),
    ("radio", Foreign(WLAN)),
    ("type", Foreign(WLAN)),
    ("subtype", Foreign(WLAN)),
    ("direction", Foreign(WLAN)),
    ("dir", Foreign(WLAN)),
    ("address1", Foreign(WLAN)),
    ("addr1", Foreign(WLAN)),
    ("address2", Foreign(WLAN)),
    ("addr2", Foreign(WLAN)),
    ("address3", Foreign(WLAN)),
    ("addr3", Foreign(WLAN)),
    ("address4", Foreign(WLAN)),
    ("addr4", Foreign(WLAN)),
    ("ra", Foreign(WLAN)),
    ("ta", Foreign(WLAN)),
    ("lane", Foreign(ATM)),
    ("metac", Foreign(ATM)),
    ("bcc", Foreign(ATM)),
    ("oam", Foreign(ATM)),
    ("oamf4", Foreign(ATM)),
    ("oamf4ec", Foreign(ATM)),
    ("oamf4sc", Foreign(ATM)),
    ("sc", Foreign(ATM)),
    ("ilmic", Foreign(ATM)),
    ("vpi", Foreign(ATM)),
    ("vci", Foreign(ATM)),
    ("connectmsg", Foreign(ATM)),
    ("metaconnect", Foreign(ATM)),
    ("on", Foreign(PF)),
    ("ifname", Foreign(PF)),
    ("rset", Foreign(PF)),
    ("ruleset", Foreign(PF)),
    ("rnr", Foreign(PF)),
    ("rulenum", Foreign(PF)),
    ("srnr", Foreign(PF)),
    ("subrulenum", Foreign(PF)),
    ("reason", Foreign(PF)),
    ("action", Foreign(PF)),
    ("fisu", Foreign(MTP)),
    ("lssu", Foreign(MTP)),
    ("lsu", Foreign(MTP)),
    ("msu", Foreign(MTP)),
    ("hfisu", Foreign(MTP)),
    ("hlssu", Foreign(MTP)),
    ("hmsu", Foreign(MTP)),
    ("sio", Foreign(MTP)),
    ("opc", Foreign(MTP)),
    ("dpc", Foreign(MTP)),
    ("sls", Foreign(MTP)),
    ("hsio", Foreign(MTP)),
    ("hopc", Foreign(MTP)),
    ("hdpc", Foreign(MTP)),
    ("hsls", Foreign(MTP)),
];

/// Names of numbers: offsets of fields and values in them (pcap-filter(7); IANA's registries for ICMP and ICMPv6, RFC 9293).
const NUMBERS: &[(&str, u32)] = &[
    ("icmptype", 0),
    ("icmpcode", 1),
    ("icmp-echoreply", 0),
    ("icmp-unreach", 3),
    ("icmp-sourcequench", 4),
    ("icmp-redirect", 5),
    ("icmp-echo", 8),
    ("icmp-routeradvert", 9),
    ("icmp-routersolicit", 10),
    ("icmp-timxceed", 11),
    ("icmp-paramprob", 12),
    ("icmp-tstamp", 13),
    ("icmp-tstampreply", 14),
    ("icmp-ireq", 15),
    ("icmp-ireqreply", 16),
    ("icmp-maskreq", 17),
    ("icmp-maskreply", 18),
    ("icmp6type", 0),
    ("icmp6code", 1),
    ("icmp6-destinationunreach", 1),
    ("icmp6-packettoobig", 2),
    ("icmp6-timeexceeded", 3),
    ("icmp6-parameterproblem", 4),
    ("icmp6-echo", 128),
    ("icmp6-echoreply", 129),
    ("icmp6-multicastlistenerquery", 130),
    ("icmp6-multicastlistenerreportv1", 131),
    ("icmp6-multicastlistenerdone", 132),
    ("icmp6-routersolicit", 133),
    ("icmp6-routeradvert", 134),
    ("icmp6-neighborsolicit", 135),
    ("icmp6-neighboradvert", 136),
    ("icmp6-redirect", 137),
    ("icmp6-routerrenum", 138),
    ("icmp6-nodeinformationquery", 139),
    ("icmp6-nodeinformationresponse", 140),
    ("icmp6-ineighbordiscoverysolicit", 141),
    ("icmp6-ineighbordiscoveryadvert", 142),
    ("icmp6-multicastlistenerreportv2", 143),
    ("icmp6-homeagentdiscoveryrequest", 144),
    ("icmp6-homeagentdiscoveryreply", 145),
    ("icmp6-mobileprefixsolicit", 146),
    ("icmp6-mobileprefixadvert", 147),
    ("icmp6-certpathsolicit", 148),
    ("icmp6-certpathadvert", 149),
    ("icmp6-multicastrouteradvert", 151),
    ("icmp6-multicastroutersolicit", 152),
    ("icmp6-multicastrouterterm", 153),
    ("tcpflags", 13),
    ("tcp-fin", 0x01),
    ("tcp-syn", 0x02),
    ("tcp-rst", 0x04),
    ("tcp-push", 0x08),
    ("tcp-ack", 0x10),
    ("tcp-urg", 0x20),
    ("tcp-ece", 0x40),
    ("tcp-cwr", 0x80),
];

/// What the word means, if it is one of the language. Case matters.
pub(crate) fn keyword(word: &str) -> Option<Keyword> {
    WORDS.iter().find(|(text, _)| *text == word).map(|(_, keyword)| *keyword)
}

/// The number that the word is a name of.
pub(crate) fn number(word: &str) -> Option<u32> {
    NUMBERS.iter().find(|(text, _)| *text == word).map(|(_, number)| *number)
}

/// The word of the language that was most likely meant.
pub(crate) fn similar(word: &str) -> Option<&'static str> {
    let words = WORDS.iter().filter(|(_, keyword)| !matches!(keyword, Foreign(_))).map(|(text, _)| *text);
    let words = words.chain(NUMBERS.iter().map(|(text, _)| *text));
    let lower = word.to_ascii_lowercase();
    let distance = |text: &str| strsim::damerau_levenshtein(&lower, text);
    let best = words.min_by_key(|text| distance(text))?;
    (distance(best) <= word.len().min(9) / 3 && word.len() > 1).then_some(best)
}

impl Protocol {
    /// Its word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Link => "ether",
            _ => WORDS
                .iter()
                .find(|(_, keyword)| *keyword == Keyword::Protocol(self))
                .map_or("", |(text, _)| text),
        }
    }
}
