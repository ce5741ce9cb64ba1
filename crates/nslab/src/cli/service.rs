//! What a destination on the command line says besides a name: `:80/tcp`, `/47`.

/// What is sent to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// An echo request of ICMP or `ICMPv6`.
    Echo,
    /// To a port of TCP.
    Tcp(u16),
    /// To a port of UDP.
    Udp(u16),
    /// Of another IP protocol, by its number.
    Other(u8),
}

/// IP protocols that people call by name (IANA's protocol numbers).
const PROTOCOLS: [(&str, u8); 13] = [
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("sctp", 132),
];

/// The number of a protocol.
fn protocol(word: &str) -> Option<u8> {
    let named = PROTOCOLS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, number)| *number);
    named.or_else(|| word.parse().ok())
}

/// Takes a destination apart: whom, and what is sent if it says so. The error is a sentence.
pub(super) fn split(text: &str) -> Result<(String, Option<Service>), String> {
    // An IPv6 address is told from what follows it by brackets.
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest
            .split_once(']')
            .ok_or_else(|| format!("{text:?} begins with a bracket that is not closed"))?;
        if rest.is_empty() {
            return Ok((address.to_owned(), None));
        }
        let (none, service) = suffix(text, rest)?;
        return match (none.is_empty(), service) {
            (true, Some(service)) => Ok((address.to_owned(), Some(service))),
            _ => Err(format!("{rest:?} behind an address is neither :PORT/PROTO nor /PROTO")),
        };
    }
    // With the interface by which it is to leave, as `fe80::1%eth0`.
    let bare = text.split_once('%').map_or(text, |(bare, _)| bare);
    if bare.parse::<std::net::IpAddr>().is_ok() && !text.contains('/') {
        return Ok((text.to_owned(), None));
    }
    // The colon of `pid:7` is no port's.
    let kind = ["pid:", "netns:", "container:"].into_iter().find(|kind| text.starts_with(kind)).unwrap_or("");
    let (name, service) = suffix(text, &text[kind.len()..])?;
    if name.parse::<std::net::Ipv6Addr>().is_ok()
        && matches!(service, Some(Service::Other(_) | Service::Echo))
    {
        return Ok((name, service));
    }
    if kind.is_empty() && name.contains(':') {
        return Err(format!(
            "{text:?} may be read in two ways: write an IPv6 address in brackets, as [fd00::1]:80/tcp"
        ));
    }
    Ok((format!("{kind}{name}"), service))
}

/// The name before, and the service that the end of a text says.
fn suffix(whole: &str, text: &str) -> Result<(String, Option<Service>), String> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|&port| port > 0);
    let with_port = |text: &str| {
        let (name, number) = text.rsplit_once(':')?;
        Some((name.to_owned(), number.to_owned()))
    };
    let named = text.rsplit_once('/').and_then(|(head, word)| Some((head, word, protocol(word)?)));
    let Some((head, word, number)) = named else {
        return match with_port(text) {
            Some((name, number))
                if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                let port = port(&number).ok_or_else(|| format!("{number} is no port: 1 to 65535 are"))?;
                Ok((name, Some(Service::Tcp(port))))
            }
            _ => match text.rsplit_once('/') {
                // `:80/xyz` is no name of a node.
                Some((head, word)) if head.contains(':') => {
                    Err(format!("{word:?} is no protocol: tcp, udp, icmp, and numbers from 0 to 255 are"))
                }
                _ => Ok((text.to_owned(), None)),
            },
        };
    };
    match number {
        6 | 17 => {
            let wanted = || format!("{whole:?} names no port: write NAME:PORT/{word}");
            let (name, number_of_port) = with_port(head).ok_or_else(wanted)?;
            let port = port(&number_of_port)
                .ok_or_else(|| format!("{number_of_port:?} is no port: 1 to 65535 are"))?;
            let service = if number == 6 { Service::Tcp(port) } else { Service::Udp(port) };
            Ok((name, Some(service)))
        }
        1 | 58 => Ok((head.to_owned(), Some(Service::Echo))),
        other => Ok((head.to_owned(), Some(Service::Other(other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        let ok = |text: &str| split(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        for (text, name, service) in [
            ("blue", "blue", None),
            ("lab/blue", "lab/blue", None),
            ("lab/blue:80/tcp", "lab/blue", Some(Service::Tcp(80))),
            ("blue:53/UDP", "blue", Some(Service::Udp(53))),
            ("blue:8080", "blue", Some(Service::Tcp(8080))),
            ("blue/47", "blue", Some(Service::Other(47))),
            ("blue/gre", "blue", Some(Service::Other(47))),
            ("blue/icmp", "blue", Some(Service::Echo)),
            ("blue/58", "blue", Some(Service::Echo)),
            ("blue:53/17", "blue", Some(Service::Udp(53))),
            ("10.0.0.1", "10.0.0.1", None),
            ("10.0.0.1:80/tcp", "10.0.0.1", Some(Service::Tcp(80))),
            ("fd00::1", "fd00::1", None),
            ("fe80::1%eth0", "fe80::1%eth0", None),
            ("[fe80::1%eth0]:80/tcp", "fe80::1%eth0", Some(Service::Tcp(80))),
            ("fd00::1/47", "fd00::1", Some(Service::Other(47))),
            ("[fd00::1]", "fd00::1", None),
            ("[fd00::1]:80/tcp", "fd00::1", Some(Service::Tcp(80))),
            ("[fd00::1]/icmpv6", "fd00::1", Some(Service::Echo)),
            ("pid:7", "pid:7", None),
            ("pid:7:80/tcp", "pid:7", Some(Service::Tcp(80))),
            ("container:default/web:80/tcp", "container:default/web", Some(Service::Tcp(80))),
            ("container:default/web", "container:default/web", None),
            ("netns:/run/x", "netns:/run/x", None),
        ] {
            assert_eq!(ok(text), (name.to_owned(), service), "{text}");
        }
        for text in [
            "blue/tcp",
            "blue:0/tcp",
            "blue:65536/tcp",
            "blue:http/tcp",
            "blue:80/xyz",
            "fd00::1:80/tcp",
            "[fd00::1",
            "[fd00::1]x",
            "[fd00::1]:80/300",
            "blue:99999",
        ] {
            assert!(split(text).is_err(), "{text}: {:?}", split(text));
        }
    }
}
