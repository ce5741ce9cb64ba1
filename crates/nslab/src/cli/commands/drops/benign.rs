//! Drops that are no fault: the kernel frees so what it has no use for any more, or never had.

use nslab_decode::{Decoded, Network, Transport};
use nslab_tracepoints::{Event, PacketKind};

/// Why a drop is none to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Benign {
    /// `ping_rcv` gets what raw sockets have got already.
    Ping,
    /// To a group that nobody there has joined.
    Group,
    /// For another host: bridges send everywhere what they do not know the way of.
    OtherHost,
    /// A protocol that nobody there takes, as LLDP.
    Protocol,
    /// A copy for a program that captures, and does not read fast enough.
    Copy,
    /// Neighbour discovery that tells nothing new.
    Neighbours,
    /// It waited in a socket, or an interface's queue, that was closed.
    Closed,
}

/// `EtherType`s of what people miss: IPv4, ARP, IPv6.
const MISSED: [u16; 3] = [0x0800, 0x0806, 0x86dd];

/// `ICMP_ECHOREPLY` and `ICMPV6_ECHO_REPLY` (`include/uapi/linux/icmp.h`, `icmpv6.h`).
const ECHO_REPLIES: [u8; 2] = [0, 129];
/// From router solicitation to redirect, of which one asks for a neighbour (RFC 4861).
const DISCOVERY: std::ops::RangeInclusive<u8> = 133..=137;
const SOLICITATION: u8 = 135;
/// Where messages of ICMP come to their end.
const ICMP: [&str; 4] = ["ping_rcv", "icmp_rcv", "icmpv6_rcv", "ndisc_rcv"];

impl Benign {
    /// All of them.
    pub(super) const ALL: [Self; 7] = [
        Self::Ping,
        Self::Group,
        Self::OtherHost,
        Self::Protocol,
        Self::Copy,
        Self::Neighbours,
        Self::Closed,
    ];

    /// Whether a drop is no fault, by its reason and the function where it was dropped.
    pub(super) fn of(
        event: &Event<'_>,
        decoded: Option<&Decoded<'_>>,
        reason: Option<&str>,
        function: &str,
    ) -> Option<Self> {
        let reason = reason.unwrap_or("NOT_SPECIFIED");
        let is_unsaid = reason == "NOT_SPECIFIED";
        match reason {
            "OTHERHOST" => return Some(Self::OtherHost),
            "PACKET_SOCK_ERROR" => return Some(Self::Copy),
            "QUEUE_PURGE" | "SOCKET_CLOSE" | "TCP_CLOSE" => return Some(Self::Closed),
            "UNHANDLED_PROTO" if !MISSED.contains(&event.protocol) => return Some(Self::Protocol),
            _ => {}
        }
        // Whether it is for a group, and which message of ICMP it is.
        let (is_group, message) = match decoded.map(|decoded| &decoded.network) {
            Some(Network::Ipv4(ip)) => {
                let message = match &ip.transport {
                    Transport::Icmp(icmp) => Some(icmp.kind),
                    _ => None,
                };
                (ip.destination.is_multicast() || ip.destination.is_broadcast(), message)
            }
            Some(Network::Ipv6(ip)) => {
                let message = match &ip.transport {
                    Transport::Icmpv6(icmp) => Some(icmp.kind),
                    _ => None,
                };
                (ip.destination.is_multicast(), message)
            }
            // Without an answer to ARP nothing is sent.
            Some(Network::Arp(_)) => (false, None),
            Some(_) | None => {
                (matches!(event.packet_type, PacketKind::Multicast | PacketKind::Broadcast), None)
            }
        };
        let is_icmp = ICMP.iter().any(|name| function.starts_with(name));
        if message.is_some_and(|kind| ECHO_REPLIES.contains(&kind))
            && (reason == "NO_SOCKET" || is_unsaid && is_icmp)
        {
            return Some(Self::Ping);
        }
        if message.is_some_and(|kind| DISCOVERY.contains(&kind)) && is_unsaid && is_icmp {
            return Some(Self::Neighbours);
        }
        // Who is asked for behind a bridge's port that lets nothing through is not found.
        let is_asked_for = function.starts_with("br_") && message == Some(SOLICITATION);
        let is_of_no_interest = is_unsaid
            || matches!(
                reason,
                "NO_TX_TARGET"
                    | "IP_INADDRERRORS"
                    | "IP_LOCALNET"
                    | "IP_INNOROUTES"
                    | "NO_SOCKET"
                    | "IP_NOPROTO"
            );
        if is_group && is_of_no_interest && !is_asked_for && !function.starts_with("nf") {
            return Some(Self::Group);
        }
        None
    }

    /// What such packets are, in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Ping => "answers to ping that programs have read already",
            Self::Group => "to groups that nobody there has joined",
            Self::OtherHost => "frames for other hosts, sent everywhere by bridges",
            Self::Protocol => "of protocols that nobody there takes",
            Self::Copy => "copies for programs that capture and are too slow",
            Self::Neighbours => "of neighbour discovery that tell nothing new",
            Self::Closed => "left in sockets or queues that were closed",
        }
    }

    /// Its name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Group => "group",
            Self::OtherHost => "other_host",
            Self::Protocol => "protocol",
            Self::Copy => "copy",
            Self::Neighbours => "neighbours",
            Self::Closed => "closed",
        }
    }
}

#[cfg(test)]
mod tests {
    use nslab_decode::{Frame, Link, decode};
    use nslab_tracepoints::What;

    use super::*;

    fn event(protocol: u16, bytes: &[u8]) -> Event<'_> {
        Event {
            time: 0,
            what: What::Dropped { reason: None, location: 0 },
            namespace: None,
            link: None,
            link_name: None,
            came_by: None,
            hardware: None,
            protocol,
            packet_type: PacketKind::Host,
            mark: 0,
            tag: None,
            checksum_pending: false,
            bytes,
            network: Some(0),
            has_link_header: false,
            length: 0,
            identity: (0, 0),
        }
    }

    /// An IPv4 packet with a message of ICMP, or an IPv6 one to `ff02::16`.
    fn packet(message: u8, ipv6: bool) -> Vec<u8> {
        let mut bytes = if ipv6 {
            let mut header = vec![0x60, 0, 0, 0, 0, 24, 58, 255];
            header.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            header.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16]);
            header
        } else {
            vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
        };
        bytes.extend([message, 0, 0, 0, 0, 1, 0, 1]);
        bytes.extend(if ipv6 { &[0; 16][..] } else { &[] });
        bytes
    }

    fn of(bytes: &[u8], reason: &str, function: &str) -> Option<Benign> {
        let decoded = decode(&Frame::new(bytes).on(Link::Ip));
        Benign::of(&event(0x0800, bytes), Some(&decoded), Some(reason), function)
    }

    #[test]
    fn what_matters_is_never_taken_for_no_fault() {
        let reply = packet(0, false);
        assert_eq!(of(&reply, "NO_SOCKET", "ping_rcv"), Some(Benign::Ping));
        assert_eq!(of(&reply, "NOT_SPECIFIED", "ip_error"), None);
        assert_eq!(of(&reply, "NETFILTER_DROP", "nf_hook_slow"), None);
        assert_eq!(of(&packet(8, false), "NO_SOCKET", "ping_rcv"), None);
        let asks = packet(135, true);
        assert_eq!(of(&asks, "NOT_SPECIFIED", "ip6_mc_input"), Some(Benign::Group));
        assert_eq!(of(&asks, "NOT_SPECIFIED", "br_flood"), None);
        assert_eq!(of(&asks, "NETFILTER_DROP", "nft_do_chain"), None);
        assert_eq!(of(&packet(136, true), "NOT_SPECIFIED", "icmpv6_rcv"), Some(Benign::Neighbours));
        assert_eq!(
            Benign::of(&event(0x88cc, &[]), None, Some("UNHANDLED_PROTO"), ""),
            Some(Benign::Protocol)
        );
        assert_eq!(Benign::of(&event(0x86dd, &[]), None, Some("UNHANDLED_PROTO"), ""), None);
    }
}
