//! What people write who mean something else, and what they should write.

use super::Parser;
use super::keyword::{Keyword, Protocol, similar};
use super::token::Kind;
use crate::error::{ErrorKind, FilterError};
use crate::names::Transport;

impl Parser<'_> {
    /// The error of a token that nothing can be made of, where an expression could have ended.
    pub(super) fn left_over(&self) -> FilterError {
        let word = self.written(self.next);
        let error = |message: String| FilterError::new(ErrorKind::Syntax, self.span(), message);
        let nothing = || error(format!("{word:?} has no place here"));
        let before = self.next.checked_sub(1).and_then(|place| self.kind_at(place));
        let transport = match before {
            Some(Kind::Keyword(Keyword::Protocol(it @ (Protocol::Tcp | Protocol::Udp | Protocol::Sctp)))) => {
                Some(it)
            }
            _ => None,
        };
        match (self.peek(), transport, self.numbered(self.next)) {
            (None, ..) => error("the filter ends too early".to_owned()),
            (Some(Kind::Name), ..) => self.unknown_word(self.next),
            (Some(kind @ (Kind::Number(_) | Kind::Slash)), Some(transport), _) => {
                let port = self.written(self.next + usize::from(kind == Kind::Slash));
                nothing().hint(format!("write \"{} port {port}\"", transport.word()))
            }
            (Some(Kind::Slash), ..) => error("a prefix length has no place here".to_owned())
                .hint("it belongs to an address of IPv6, or of IPv4 with a dot in it, as \"net 10.0.0.0/8\""),
            (Some(Kind::And), ..) => nothing().hint("join conditions with \"and\""),
            (Some(Kind::Or), ..) => nothing().hint("join conditions with \"or\""),
            (Some(Kind::Colon), ..) if matches!(before, Some(Kind::Dotted | Kind::Name)) => {
                let port = self.written(self.next + 1);
                nothing().hint(format!("write \"and port {port}\" for a port"))
            }
            (Some(Kind::Percent), ..) if matches!(before, Some(Kind::Ip6(_))) => {
                nothing().hint("an address has no zone here: say where to look instead")
            }
            (Some(Kind::Equal), _, Some(word)) => {
                nothing().hint(format!("the number stands right behind the word: \"{word} 5\""))
            }
            (
                Some(
                    Kind::Keyword(_)
                    | Kind::Number(_)
                    | Kind::Dotted
                    | Kind::Ip6(_)
                    | Kind::Mac(_)
                    | Kind::Open,
                ),
                ..,
            ) => error(format!("{word:?} does not continue what stands before it"))
                .hint("join the two with \"and\" or \"or\""),
            _ => nothing(),
        }
    }

    /// The word before a token, if it is one that a number may follow.
    fn numbered(&self, place: usize) -> Option<&str> {
        let before = place.checked_sub(1)?;
        let numbered = matches!(
            self.kind_at(before),
            Some(Kind::Keyword(
                Keyword::Vlan | Keyword::Vxlan | Keyword::Geneve | Keyword::Mpls | Keyword::PppoeSession
            ))
        );
        numbered.then(|| self.written(before))
    }

    /// The error of a name where a word of the language should be.
    pub(super) fn unknown_word(&self, place: usize) -> FilterError {
        let word = self.written(place);
        let message = format!("{word:?} is no word of the filter language");
        FilterError::new(ErrorKind::Syntax, self.span_at(place), message).hint(self.instead_of(place, word))
    }

    /// What to write instead of a word.
    fn instead_of(&self, place: usize, word: &str) -> String {
        if let Some(numbered) = self.numbered(place) {
            return format!("the number stands right behind the word: \"{numbered} 5\"");
        }
        if let Some((_, field)) = FIELDS.iter().find(|(name, _)| *name == word) {
            return format!("write {field:?}: filters of Wireshark's display are another language");
        }
        if word.contains('.') && word.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return "filters of Wireshark's display are another language; hosts are \"host NAME\"".to_owned();
        }
        let before = place.checked_sub(1).and_then(|place| self.kind_at(place));
        if word == "flags" && before == Some(Kind::Keyword(Keyword::Protocol(Protocol::Tcp))) {
            return "write \"tcp[tcpflags] & tcp-syn != 0\"".to_owned();
        }
        if let Some((_, meant)) = OTHERS.iter().find(|(name, _)| *name == word) {
            return format!("write {meant:?}");
        }
        if Transport::ALL.iter().any(|transport| self.names.port(word, *transport).is_some()) {
            return format!("write \"port {word}\"");
        }
        if let Some(similar) = similar(word) {
            return format!("did you mean {similar:?}?");
        }
        if self.names.protocol(word).is_some() {
            return format!("write \"ip proto {word}\"");
        }
        "before a name or address say what it is, as \"host\", \"net\" or \"port\"".to_owned()
    }
}

/// Fields of Wireshark's display filters, and the same here.
const FIELDS: &[(&str, &str)] = &[
    ("ip.addr", "host 10.0.0.1"),
    ("ip.src", "src host 10.0.0.1"),
    ("ip.dst", "dst host 10.0.0.1"),
    ("ipv6.addr", "host 2001:db8::1"),
    ("ipv6.src", "src host 2001:db8::1"),
    ("ipv6.dst", "dst host 2001:db8::1"),
    ("eth.addr", "ether host 02:00:5e:10:00:01"),
    ("eth.src", "ether src 02:00:5e:10:00:01"),
    ("eth.dst", "ether dst 02:00:5e:10:00:01"),
    ("tcp.port", "tcp port 80"),
    ("tcp.srcport", "tcp src port 80"),
    ("tcp.dstport", "tcp dst port 80"),
    ("tcp.flags.syn", "tcp[tcpflags] & tcp-syn != 0"),
    ("udp.port", "udp port 53"),
    ("udp.srcport", "udp src port 53"),
    ("udp.dstport", "udp dst port 53"),
    ("icmp.type", "icmp[icmptype] = 8"),
    ("vlan.id", "vlan 5"),
    ("frame.len", "len > 100"),
];

/// Words for what is called otherwise here.
const OTHERS: &[(&str, &str)] = &[
    ("ip4", "ip"),
    ("ipv4", "ip"),
    ("ipv6", "ip6"),
    ("inet", "ip"),
    ("inet6", "ip6"),
    ("icmpv6", "icmp6"),
    ("mac", "ether host"),
    ("eth", "ether"),
    ("ethernet", "ether"),
    ("dns", "port 53"),
    ("dhcp", "port 67 or port 68"),
    ("lldp", "ether proto 0x88cc"),
    ("lacp", "ether proto 0x8809"),
    ("ping", "icmp or icmp6"),
    ("sport", "src port"),
    ("dport", "dst port"),
    ("ports", "portrange"),
    ("source", "src"),
    ("destination", "dst"),
    ("syn", "tcp-syn"),
    ("ack", "tcp-ack"),
    ("fin", "tcp-fin"),
    ("rst", "tcp-rst"),
];
