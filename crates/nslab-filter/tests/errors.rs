//! Errors say what is wrong, where, and what to do.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use std::net::IpAddr;
use std::sync::LazyLock;

use nslab_filter::{ErrorKind, Filter, NameTable, Names, Transport};
use nslab_types::MacAddr;
use proptest::prelude::*;

/// Filters; the part that is wrong, in brackets `‹›`; what the message says; what the hint says.
const WRONG: &[(&str, &str, &str)] = &[
    ("‹10.0.0.2›", "the address 10.0.0.2 needs a word before it", "write \"host 10.0.0.2\""),
    ("tcp and ‹hots› 10.0.0.1", "\"hots\" is no word of the filter language", "did you mean \"host\"?"),
    ("‹TCP›", "\"TCP\" is no word of the filter language", "did you mean \"tcp\"?"),
    ("tcp ‹prot› 80", "\"prot\" is no word", "did you mean \"port\"?"),
    ("tcp[‹tcpflag›] & tcp-syn != 0", "\"tcpflag\" is no word", "did you mean \"tcpflags\"?"),
    ("tcp[tcpflags] & ‹tcp-synn› != 0", "\"tcp-synn\" is no word", "did you mean \"tcp-syn\"?"),
    ("‹whatever›", "\"whatever\" is no word", "before a name or address say what it is"),
    ("tcp port 80 ‹host› 10.0.0.1", "\"host\" does not continue", "join the two with \"and\" or \"or\""),
    ("tcp port 80 and host‹›", "an address or name is wanted after \"host\"", ""),
    ("tcp port 80 and‹›", "the filter ends where a condition is wanted", ""),
    ("tcp port 80 ‹)›", "nothing is open that this closes", ""),
    ("tcp and ‹(›port 80", "this parenthesis is never closed", ""),
    ("ip proto ‹tcp›", "is a word of the language", "write \\tcp"),
    ("port ‹foo›", "no port is named \"foo\"", "write its number"),
    ("udp port ‹http›", "\"http\" is a port of tcp, not of udp", ""),
    ("port ‹65536›", "a port is at most 65535", ""),
    ("portrange ‹ssh›", "\"ssh\" is no range of ports", "as \"portrange 8000-8080\""),
    ("net ‹10.0.0.1/8›", "the address has bits outside of its mask", "the network is 10.0.0.0/8"),
    ("net ‹2001:db8::1/32›", "the address has bits outside", "the network is 2001:db8::/32"),
    ("net 10.0.0.0/‹33›", "a prefix of IPv4 has at most 32 bits", ""),
    ("net ‹10›/8", "a prefix length needs an address with a dot in it", "write \"net 10.0.0.0/8\""),
    ("host ‹10.0.0.0/8›", "masks are for networks, not for hosts", "write \"net 10.0.0.0/8\""),
    ("host ‹10.0.0.256›", "\"10.0.0.256\" is no address", ""),
    ("tcp host ‹10.0.0.1›", "\"tcp host\" does not go with an address", "write \"tcp and host …\""),
    ("ip port ‹80›", "does not go with ports", "write \"ip and port …\""),
    ("ip6 host ‹10.0.0.1›", "does not go with an address of IPv4", ""),
    ("host ‹02:00:00:00:00:01›", "does not go with an Ethernet address", "ether host 02:00:00:00:00:01"),
    ("host ‹nosuch›", "\"nosuch\" is no address", "names of hosts are not looked up here"),
    ("ether host ‹red›", "no Ethernet address is known of \"red\"", ""),
    ("net ‹loopback›", "\"loopback\" is no network's address", ""),
    ("tcp and ‹80›", "what stands before \"80\" does not say what it is", ""),
    ("ip[0:‹3›] = 5", "the size of a field is 1, 2 or 4 bytes", ""),
    ("‹ip[0]›", "a number alone is no condition", "compare it"),
    ("ip[0] / ‹0› = 1", "division by zero", ""),
    ("ip[0] << ‹32› = 1", "a shift is by at most 31", ""),
    ("ip[‹0 / (1 - 1)›] = 1", "division by zero", ""),
    ("ip proto ‹300›", "a protocol's number is at most 255", ""),
    ("‹stp›[0] = 1", "fields of stp cannot be looked at", ""),
    ("ip protochain ‹6›", "the kernel's filters cannot follow a chain of headers", "\"proto\" looks at"),
    ("‹gateway› red", "\"gateway\" is not done here", ""),
    ("wlan ‹type› mgt", "\"type\" is for 802.11 frames", ""),
    ("vlan ‹4096›", "a VLAN id is at most 4095", ""),
    ("mpls and ‹arp›", "behind \"mpls\" only IPv4 and IPv6", ""),
    ("vxlan and ‹vxlan›", "only one tunnel can be looked into", ""),
    ("‹tcp and udp›", "no packet can match this filter", ""),
    ("host 10.0.0.1‹,› 10.0.0.2", "\",\" has no meaning", "\"or\""),
    ("host ‹ü›", "\"ü\" has no meaning", ""),
    ("‹4294967296› = 1", "is not a number of 32 bits", ""),
    ("tcp port 80 ‹&› host 10.0.0.1", "\"&\" has no place here", "join conditions with \"and\""),
    ("(tcp or udp) ‹|› icmp", "\"|\" has no place here", "join conditions with \"or\""),
    ("host 10.0.0.1‹:›80", "\":\" has no place here", "write \"and port 80\""),
    ("‹tcp.port› == 80", "is no word", "write \"tcp port 80\": filters of Wireshark's display"),
    ("‹http.host› == 80", "is no word", "filters of Wireshark's display"),
    (
        "tcp port ‹=› 80",
        "a port is wanted after \"tcp port\", not \"=\"",
        "leave out the sign: \"tcp port 80\"",
    ),
    ("tcp ‹80›", "\"80\" has no place here", "write \"tcp port 80\""),
    ("udp‹/›53", "\"/\" has no place here", "write \"udp port 53\""),
    ("port ‹80-90›", "no port is named \"80-90\"", "write \"portrange 80-90\""),
    ("host ‹2001:db8::1/64›", "masks are for networks", "write \"net 2001:db8::/64\""),
    ("host ‹10.0.0.1/24›", "masks are for networks", "write \"net 10.0.0.0/24\""),
    ("host ‹10.0.0.1/32›", "masks are for networks", "write \"host 10.0.0.1\""),
    ("‹10.0.0.0›/8", "needs a word before it", "write \"net 10.0.0.0/8\""),
    ("host fe80::1‹%›eth0", "\"%\" has no place here", "an address has no zone here"),
    ("vlan ‹id› 5", "\"id\" is no word", "the number stands right behind the word: \"vlan 5\""),
    ("vlan‹=›5", "\"=\" has no place here", "the number stands right behind the word: \"vlan 5\""),
    ("icmp ‹type› 8", "\"type\" is for 802.11 frames", "write \"icmp[icmptype] = icmp-echo\""),
    ("tcp ‹flags› syn", "\"flags\" is no word", "write \"tcp[tcpflags] & tcp-syn != 0\""),
    ("‹http›", "\"http\" is no word", "write \"port http\""),
    ("‹ospf›", "\"ospf\" is no word", "write \"ip proto ospf\""),
    ("‹ipv6›", "\"ipv6\" is no word", "write \"ip6\""),
    ("port 80 ‹/›8", "a prefix length has no place here", ""),
];

#[test]
fn show_what_is_wrong_where_and_what_helps() {
    for (marked, message, hint) in WRONG {
        let start = marked.find('‹').unwrap();
        let end = marked.find('›').unwrap() - '‹'.len_utf8();
        let text = marked.replace(['‹', '›'], "");
        let error = Filter::parse(&text, &NameTable::builtin()).unwrap_err();
        assert_eq!(error.span, start..end, "{text}: {error}");
        assert!(error.to_string().contains(message), "{text}: {error}");
        let said = error.hint.unwrap_or_default();
        assert!(said.contains(hint), "{text}: {said}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let kind = |text: &str| Filter::parse(text, &NameTable::builtin()).unwrap_err().kind;
    let hosts: Vec<String> = (0..3000).map(|host| format!("10.0.{}.{}", host / 256, host % 256)).collect();
    assert_eq!(kind(&format!("host {}", hosts.join(" or "))), ErrorKind::TooLarge);
    assert_eq!(kind(&format!("{}ip{}", "(".repeat(5000), ")".repeat(5000))), ErrorKind::TooLarge);
    assert_eq!(kind(&format!("{}ip", "not ".repeat(5000))), ErrorKind::TooLarge);
    assert_eq!(kind(&format!("{}5 = 5", "-".repeat(5000))), ErrorKind::TooLarge);
    assert_eq!(kind(&format!("ip[0]{} = 5", " + ip[0]".repeat(5000))), ErrorKind::TooLarge);
    assert_eq!(kind(&format!("{}0{} = 5", "ip[".repeat(5000), "]".repeat(5000))), ErrorKind::TooLarge);
    assert_eq!(kind(&"ip and arp or ".repeat(5000)), ErrorKind::TooLarge);
    assert_eq!(kind(&" ".repeat(1 << 20)), ErrorKind::TooLarge);
}

/// Jumps farther than one instruction can reach go by stops, and lead where they should.
#[test]
fn long_programs_jump_far() {
    let hosts: Vec<String> = (0..600).map(|host| format!("10.0.{}.{}", host / 256, host % 256)).collect();
    let text = format!("host {} or udp port 7", hosts.join(" or "));
    let filter = Filter::parse(&text, &NameTable::builtin()).unwrap();
    let length = filter.program().instructions().len();
    assert!((2400..2600).contains(&length), "{length}");
    let mut frame = [0; 60];
    frame[12..15].copy_from_slice(&[8, 0, 0x45]);
    let takes = |frame: &[u8]| filter.program().matches(&nslab_filter::Frame::new(frame));
    for (host, matches) in [(0, true), (300, true), (599, true), (600, false), (60_000, false)] {
        frame[30..34].copy_from_slice(&[
            10,
            0,
            u8::try_from(host / 256).unwrap(),
            u8::try_from(host % 256).unwrap(),
        ]);
        assert_eq!(takes(&frame), matches, "{host}");
    }
    frame[23] = 17;
    frame[37] = 7;
    assert!(takes(&frame));
}

static NAMES: LazyLock<NameTable> = LazyLock::new(NameTable::builtin);

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written, the place that an error names is in it.
    #[test]
    fn errors_are_within_the_text(
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..12),
        odd in "\\PC{0,6}",
    ) {
        for text in [words.join(" "), words.concat(), format!("{}{odd}", words.join(" "))] {
            if let Err(error) = Filter::parse(&text, &*NAMES) {
                prop_assert!(text.get(error.span.clone()).is_some(), "{text}: {error:?}");
            }
        }
    }
}

/// What texts are made of, in any order.
const WORDS: &[&str] = &[
    "tcp",
    "ip",
    "ip6",
    "ether",
    "host",
    "net",
    "port",
    "portrange",
    "proto",
    "src",
    "dst",
    "and",
    "or",
    "not",
    "(",
    ")",
    "[",
    "]",
    ":",
    "+",
    "-",
    "&",
    "<<",
    "=",
    "!=",
    "<",
    "/",
    "mask",
    "vlan",
    "vxlan",
    "mpls",
    "len",
    "less",
    "80",
    "0x1f",
    "10.0.0.1",
    "10",
    "2001:db8::1",
    "02:00:00:00:00:01",
    "http",
    "80-90",
    "foo",
    "\\tcp",
    "byte",
    "%",
    "ü",
    "tcpflags",
];

/// A host of two addresses, and an Ethernet address.
struct Hosts;

impl Names for Hosts {
    fn port(&self, _: &str, _: Transport) -> Option<u16> {
        None
    }
    fn protocol(&self, _: &str) -> Option<u8> {
        None
    }
    fn hosts(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let red = ["10.0.0.2", "2001:db8::2"].map(|address| address.parse().unwrap());
        Ok(if name == "red" { red.into() } else { Vec::new() })
    }
    fn ethernet(&self, name: &str) -> Option<MacAddr> {
        (name == "red").then_some(MacAddr([2, 0, 0, 0, 0, 2]))
    }
}

#[test]
fn names_of_hosts_stand_for_all_their_addresses() {
    let program = |text: &str| Filter::parse(text, &Hosts).unwrap().program().clone();
    assert_eq!(program("host red"), program("host 10.0.0.2 or 2001:db8::2"));
    assert_eq!(program("src red"), program("src host 10.0.0.2 or src 2001:db8::2"));
    assert_eq!(program("ip host \\red"), program("ip host 10.0.0.2"));
    assert_eq!(program("ip6 host red"), program("ip6 host 2001:db8::2"));
    assert_eq!(program("ether host red"), program("ether host 02:00:00:00:00:02"));
    assert_eq!(Filter::parse("host blue", &Hosts).unwrap_err().kind, ErrorKind::UnknownName);
}

#[test]
fn the_snaplen_is_what_programs_return() {
    let filter = Filter::parse_keeping("arp", &NameTable::builtin(), 96).unwrap();
    let mut frame = [0; 60];
    frame[12..14].copy_from_slice(&[8, 6]);
    assert_eq!(filter.program().run(&nslab_filter::Frame::new(&frame)), 96);
    assert_eq!(filter.text(), "arp");
    assert_eq!(Filter::parse(" ", &NameTable::builtin()).unwrap().program().instructions().len(), 1);
}
