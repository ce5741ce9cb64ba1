//! What it can mean here that one of the kernel's counters grew.

use nslab_kernel::counters::{Counter, LinkCounter, StackCounter};

use crate::Code;

/// The causes with which a packet makes a counter grow where it stops, the most likely one first; where the kernel does so is said at
/// the counter. Empty if none of them does: what the counter says is then something that predictions know nothing of.
///
/// Other packets make counters grow as well, so they can back a cause and never prove one. Of much the kernel counts nothing:
/// of what rules, bridges, routes that are black holes, or IPv4's martians swallow.
pub fn causes(counter: Counter) -> &'static [Code] {
    match counter {
        Counter::Stack(counter) => of_stack(counter),
        Counter::Link(_, counter) => of_link(counter),
    }
}

fn of_stack(counter: StackCounter) -> &'static [Code] {
    use StackCounter as Is;
    match counter {
        Is::IpInHdrErrors => &[Code::TtlExpired],
        // Where nothing is passed on, any route to elsewhere is "host unreachable" (`ip_route_input_slow`).
        Is::IpInAddrErrors => &[Code::ForwardingOff, Code::NoRoute, Code::RouteUnreachable],
        Is::IpExtInNoRoutes | Is::IpOutNoRoutes => &[Code::NoRoute, Code::RouteThrow, Code::LinkDown],
        Is::IpInUnknownProtos | Is::Ip6InUnknownProtos => &[Code::NoListener],
        Is::IpOutDiscards | Is::Ip6OutDiscards => {
            &[Code::FirewallDrop, Code::FirewallReject, Code::TcDrop, Code::LinkDown, Code::NoCarrier]
        }
        Is::IpFragFails | Is::Ip6FragFails | Is::Ip6InTooBigErrors => {
            &[Code::MtuExceeded, Code::PmtuBlackhole]
        }
        Is::TcpExtIPReversePathFilter => &[Code::RpFilter],
        Is::TcpOutRsts | Is::UdpNoPorts | Is::Udp6NoPorts => &[Code::NoListener, Code::ListenerOtherAddress],
        Is::Ip6InHdrErrors => &[Code::TtlExpired, Code::Martian],
        Is::Ip6InNoRoutes | Is::Ip6OutNoRoutes => {
            &[Code::NoRoute, Code::RouteUnreachable, Code::RouteProhibit, Code::RouteThrow, Code::LinkDown]
        }
        Is::Ip6InAddrErrors => &[Code::ForwardingOff, Code::Martian],
        Is::IpInDiscards
        | Is::Ip6InDiscards
        | Is::IpReasmFails
        | Is::Ip6ReasmFails
        | Is::IpExtInTruncatedPkts
        | Is::Ip6InTruncatedPkts
        | Is::IpExtInCsumErrors
        | Is::TcpExtListenOverflows
        | Is::TcpExtListenDrops
        | Is::TcpExtTCPBacklogDrop
        | Is::TcpInErrs
        | Is::UdpInErrors
        | Is::Udp6InErrors
        | Is::UdpRcvbufErrors
        | Is::Udp6RcvbufErrors => &[],
    }
}

fn of_link(counter: LinkCounter) -> &'static [Code] {
    match counter {
        LinkCounter::RxDropped => &[Code::MtuMismatch, Code::LinkDown],
        LinkCounter::TxDropped => &[Code::MtuMismatch, Code::LinkDown, Code::NoCarrier, Code::PeerUnseen],
        LinkCounter::RxErrors
        | LinkCounter::TxErrors
        | LinkCounter::RxMissedErrors
        | LinkCounter::TxCarrierErrors
        | LinkCounter::RxNohandler => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_stands_for_some_causes() {
        let of = |counter| causes(Counter::Stack(counter));
        assert_eq!(of(StackCounter::TcpExtIPReversePathFilter), [Code::RpFilter]);
        assert!(of(StackCounter::TcpExtListenOverflows).is_empty());
        assert_eq!(causes(Counter::Link(7, LinkCounter::RxDropped))[0], Code::MtuMismatch);
    }
}
