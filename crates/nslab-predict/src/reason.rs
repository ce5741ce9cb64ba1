//! What the kernel's own reasons for dropping packets mean here.

use crate::Code;

/// The causes that a reason can stand for (`enum skb_drop_reason` without its prefix, `include/net/dropreason-core.h`) of a packet of this
/// version of IP, the most likely one first. Empty if it may be any: of most drops the kernel says no more than `NOT_SPECIFIED`.
pub fn causes(reason: &str, ipv6: bool) -> &'static [Code] {
    match reason {
        // No rule is named.
        "NETFILTER_DROP" => &[Code::FirewallDrop, Code::FirewallReject, Code::BridgeFirewall],
        "IP_RPFILTER" => &[Code::RpFilter],
        // `ip_error`: what may not be passed on, and `ip6_forward`.
        "IP_INADDRERRORS" => &[
            Code::ForwardingOff,
            Code::Martian,
            Code::RouteUnreachable,
            Code::RouteProhibit,
            Code::RouteBlackhole,
            Code::RouteThrow,
            Code::NoRoute,
            Code::LinkDown,
        ],
        // `ip6_pkt_prohibit`; of IPv4 that is another reason.
        "IP_INNOROUTES" if ipv6 => &[
            Code::NoRoute,
            Code::RouteUnreachable,
            Code::RouteProhibit,
            Code::RouteThrow,
            Code::ForwardingOff,
            Code::LinkDown,
        ],
        "IP_INNOROUTES" => {
            &[Code::NoRoute, Code::RouteUnreachable, Code::RouteThrow, Code::ForwardingOff, Code::LinkDown]
        }
        "IP_OUTNOROUTES" => &[
            Code::NoRoute,
            Code::RouteUnreachable,
            Code::RouteProhibit,
            Code::RouteBlackhole,
            Code::RouteThrow,
            Code::LinkDown,
        ],
        // A loopback address (`ip6_rcv_core`); of IPv4 that is routing's to say.
        "IP_INHDR" if ipv6 => &[Code::TtlExpired, Code::Martian],
        "IP_INHDR" => &[Code::TtlExpired],
        "PKT_TOO_BIG" => &[Code::MtuExceeded, Code::PmtuBlackhole, Code::MtuMismatch],
        "NO_SOCKET" | "IP_NOPROTO" => &[Code::NoListener, Code::ListenerOtherAddress],
        // Whatever keeps the question, or the answer to it, from getting there.
        "NEIGH_FAILED" | "NEIGH_QUEUEFULL" | "NEIGH_DEAD" => &[
            Code::NeighbourFailed,
            Code::WrongSegment,
            Code::GatewayUnreachable,
            Code::LinkDown,
            Code::NoCarrier,
            Code::PeerUnseen,
            Code::BridgeVlan,
            Code::BridgeIsolated,
            Code::BridgeStp,
            Code::BridgeFdb,
            Code::BridgeFirewall,
            Code::FirewallDrop,
            Code::TcDrop,
            Code::MtuMismatch,
            // Who is asked does not take the question from there (`arp_process`), or who asks does not take the answer.
            Code::RpFilter,
            Code::Martian,
            Code::DuplicateAddress,
        ],
        "NEIGH_CREATEFAIL" => &[Code::NeighbourTableFull],
        "IP_INVALID_SOURCE"
        | "IP_LOCAL_SOURCE"
        | "IP_LOCALNET"
        | "IP_INVALID_DEST"
        | "INVALID_PROTO"
        | "UNICAST_IN_L2_MULTICAST" => &[Code::Martian],
        "QDISC_DROP" | "QDISC_OVERLIMIT" | "QDISC_CONGESTED" | "QDISC_CAKE_FLOOD" | "FQ_BAND_LIMIT"
        | "FQ_HORIZON_LIMIT" | "FQ_FLOW_LIMIT" | "TC_INGRESS" | "TC_EGRESS" | "TC_CHAIN_NOTFOUND" | "XDP" => {
            &[Code::TcDrop, Code::NoCarrier, Code::LinkDown]
        }
        "DEV_READY" => &[Code::LinkDown, Code::NoCarrier],
        "BRIDGE_INGRESS_STP_STATE" => &[Code::BridgeStp],
        // Bridges: every way to a port was closed.
        "NO_TX_TARGET" => &[Code::BridgeIsolated, Code::BridgeVlan, Code::BridgeStp, Code::BridgeFdb],
        _ => &[],
    }
}

/// The reason that a function which drops packets stands for, where the kernel gives none (before Linux 5.17): of those that drop for one
/// alone: rules (`nf_hook_slow`, `net/netfilter/core.c`) and routing (`ip_error`, `net/ipv4/route.c`; `ip6_pkt_drop`, `net/ipv6/route.c`).
pub fn of_function(function: &str) -> Option<&'static str> {
    match function {
        "nf_hook_slow" => Some("NETFILTER_DROP"),
        "ip_error" => Some("IP_INADDRERRORS"),
        "ip6_pkt_drop" => Some("IP_INNOROUTES"),
        _ => None,
    }
}

/// The cause that a reason stands for if nothing else is known; none if that cannot be said.
pub fn by_itself(reason: &str) -> Option<Code> {
    match reason {
        // Routing says so of much, an interface of both.
        "IP_INADDRERRORS" | "DEV_READY" | "NO_TX_TARGET" => None,
        // The most likely one is the same of both versions.
        _ => causes(reason, false).first().copied(),
    }
}

/// Whether a reason can mean that what keeps the packet from being sent is elsewhere on its segment.
pub fn is_of_segment(reason: &str) -> bool {
    matches!(reason, "NEIGH_FAILED" | "NEIGH_QUEUEFULL" | "NEIGH_DEAD")
}

/// Whether a packet that is dropped for such a reason has not come through IP to what it is for. Not so where that is not known: a copy
/// for somebody else may be dropped as `OTHERHOST`, and anything anywhere as `NOT_SPECIFIED`, or without a reason (`dropped`).
pub fn is_before_arrival(reason: &str) -> bool {
    let unknown = ["OTHERHOST", "NOT_SPECIFIED", "dropped"];
    let after = ["NO_SOCKET", "SOCKET_", "TCP_", "UDP_", "ICMP_", "UNHANDLED_PROTO", "PROTO_MEM"];
    !unknown.contains(&reason) && !after.iter().any(|begin| reason.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_dropped_on_the_way_did_not_arrive() {
        assert!(is_before_arrival("NETFILTER_DROP") && is_before_arrival("IP_RPFILTER"));
        for reason in ["NO_SOCKET", "TCP_CSUM", "NOT_SPECIFIED", "OTHERHOST", "dropped"] {
            assert!(!is_before_arrival(reason), "{reason}");
        }
    }

    #[test]
    fn reasons_without_a_meaning_are_any() {
        assert_eq!(causes("IP_RPFILTER", false), [Code::RpFilter]);
        assert_eq!((by_itself("PKT_TOO_BIG"), by_itself("IP_INADDRERRORS")), (Some(Code::MtuExceeded), None));
        assert!(causes("NOT_SPECIFIED", false).is_empty() && causes("REASON_4711", true).is_empty());
    }

    #[test]
    fn functions_stand_for_what_only_they_do() {
        assert_eq!(of_function("nf_hook_slow").and_then(by_itself), Some(Code::FirewallDrop));
        for (function, ipv6) in [("ip_error", false), ("ip6_pkt_drop", true)] {
            assert!(
                of_function(function).is_some_and(|reason| causes(reason, ipv6).contains(&Code::NoRoute))
            );
        }
        // What came in pieces and was put together is freed so as well (`skb_release_data`).
        assert_eq!(of_function("kfree_skb_list"), None);
    }

    #[test]
    fn who_is_asked_may_not_take_the_question() {
        for code in [Code::RpFilter, Code::Martian, Code::NeighbourFailed] {
            assert!(causes("NEIGH_FAILED", false).contains(&code), "{code}");
        }
    }

    #[test]
    fn a_route_that_prohibits_is_no_route_to_ipv6_alone() {
        let may_be = |ipv6| causes("IP_INNOROUTES", ipv6).contains(&Code::RouteProhibit);
        assert_eq!((may_be(false), may_be(true)), (false, true));
    }

    #[test]
    fn loopback_addresses_are_an_invalid_header_to_ipv6_alone() {
        let may_be = |ipv6| causes("IP_INHDR", ipv6).contains(&Code::Martian);
        assert_eq!((may_be(false), may_be(true)), (false, true));
        assert_eq!(by_itself("IP_INHDR"), Some(Code::TtlExpired));
    }
}
