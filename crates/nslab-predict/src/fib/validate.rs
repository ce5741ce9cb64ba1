//! Whether a packet may come from where it says (`fib_validate_source`, `net/ipv4/fib_frontend.c`).

use std::net::{IpAddr, Ipv4Addr};

use nslab_kernel::link::{IfIndex, Link};
use nslab_kernel::route::{PROTOCOL_KERNEL, RouteAction};
use nslab_snapshot::State;

use super::arrival::DropReason;
use super::decision::Decision;
use super::devices::vrf_of;
use super::flow::Flow;
use super::rules::{self, Asked, Ruled};
use super::source4;
use super::table4::{self, Hops, How};
use crate::Doubt;

/// The check's answer.
pub(super) type Validity = Result<(), DropReason>;

/// Checks the source of `flow`, which came in by `link`; `out` is the interface by which it would leave, none if it is
/// for this namespace. `to` is the destination, unspecified for broadcasts.
pub(super) fn source(
    state: &State,
    flow: &Flow,
    link: &Link,
    to: Ipv4Addr,
    out: Option<IfIndex>,
) -> Decision<Validity> {
    let own = link.ipv4.unwrap_or_default();
    let all = state.settings.ipv4_all;
    let filter = own.rp_filter.max(all.rp_filter);
    let redirects = own.send_redirects || all.send_redirects;
    let accepts = own.accept_local || all.accept_local;
    if filter != 0 || out == Some(link.index) && redirects {
        return whole(state, flow, link, to, out, filter);
    }
    if accepts {
        return Decision::certain(Ok(()));
    }
    if is_custom(state) {
        return whole(state, flow, link, to, out, filter);
    }
    let source = flow.source_or_any();
    let quick = if source4::is_own(state, source) { Err(DropReason::OwnSource) } else { Ok(()) };
    let slow = whole(state, flow, link, to, out, filter);
    if slow.only().is_some_and(|slow| slow.is_ok() == quick.is_ok()) {
        return Decision::certain(quick);
    }
    let mut outcomes = vec![quick];
    outcomes.extend(slow.outcomes);
    let doubt = Doubt::new(
        "whether this namespace ever had a policy rule or local route of its own: only then a source is looked up in the \
         tables where rp_filter is off",
        "send the packet",
    );
    Decision { outcomes, doubts: vec![doubt] }.settled()
}

/// Rules or local routes that the kernel did not make itself.
fn is_custom(state: &State) -> bool {
    let local = state.network.routes.iter().any(|route| {
        route.to.addr().is_ipv4()
            && matches!(route.action, RouteAction::Local(_))
            && route.protocol != PROTOCOL_KERNEL
    });
    local || rules::are_custom(state, false)
}

/// Looks up the way back (`__fib_validate_source`).
fn whole(
    state: &State,
    flow: &Flow,
    link: &Link,
    to: Ipv4Addr,
    out: Option<IfIndex>,
    filter: u8,
) -> Decision<Validity> {
    let own = link.ipv4.unwrap_or_default();
    let all = state.settings.ipv4_all;
    let marked = own.src_valid_mark || all.src_valid_mark;
    let back = Flow {
        source: Some(IpAddr::V4(to)),
        destination: flow.source_or_any(),
        iif: out,
        oif: None,
        mark: if marked { flow.mark } else { 0 },
        ports: flow.ports.map(|(sport, dport)| (dport, sport)),
        uid: Some(0),
        ..*flow
    };
    let vrf = vrf_of(state, link.index);
    let asked = Asked { flow: &back, oif: None, vrf };
    let last_resort =
        || if filter == 0 { Ok(()) } else { Err(DropReason::ReversePath { strict: filter == 1 }) };
    let no_address = !state
        .network
        .addresses
        .iter()
        .any(|address| address.link == link.index && address.address.addr().is_ipv4());
    let accepts = own.accept_local || all.accept_local;
    table4::lookup(state, asked, How::default()).then(|ruled| {
        let Ruled { result: Ok(hit), .. } = ruled else { return Decision::certain(last_resort()) };
        let action = table4::action(state, hit.route);
        match action {
            Some(RouteAction::Forward(_)) => {}
            Some(RouteAction::Local(_)) if accepts => {}
            Some(RouteAction::Local(_)) => return Decision::certain(Err(DropReason::OwnSource)),
            _ => return Decision::certain(Err(DropReason::UnusableSource)),
        }
        let local = matches!(action, Some(RouteAction::Local(_)));
        if leads_by(state, action, link) || local && link.loopback {
            return Decision::certain(Ok(()));
        }
        if no_address {
            return Decision::certain(last_resort());
        }
        if filter == 1 {
            return Decision::certain(Err(DropReason::ReversePath { strict: true }));
        }
        Decision::certain(Ok(()))
    })
}

/// Whether any way of a route leads by the link, or by a member of it if it is a VRF (`fib_info_nh_uses_dev`).
fn leads_by(state: &State, action: Option<&RouteAction>, link: &Link) -> bool {
    let by = |index: IfIndex| {
        index == link.index || vrf_of(state, index).is_some_and(|vrf| vrf.index == link.index)
    };
    match action {
        Some(RouteAction::Forward(hops)) => {
            let hops: &Hops = hops;
            hops.iter().filter_map(|hop| hop.link).any(by)
        }
        Some(RouteAction::Local(local)) => local.is_some_and(by),
        _ => false,
    }
}
