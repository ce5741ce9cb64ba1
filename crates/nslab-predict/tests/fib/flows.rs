//! Random packets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nslab_kernel::link::IfIndex;
use nslab_predict::fib::Flow;
use nslab_snapshot::State;

use crate::network::{v4, v6};
use crate::random::Random;

/// A packet, made in the namespace or come in by a link.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) flow: Flow,
    pub(crate) input: Option<IfIndex>,
}

fn address(random: &mut Random, state: &State, ipv6: bool) -> IpAddr {
    let own: Vec<_> = state
        .network
        .addresses
        .iter()
        .map(|address| address.address)
        .filter(|own| own.addr().is_ipv6() == ipv6)
        .collect();
    if random.percent(25) && !own.is_empty() {
        let own = own[random.below(own.len())];
        return if random.percent(20) && !ipv6 { own.broadcast() } else { own.addr() };
    }
    let routes: Vec<_> =
        state.network.routes.iter().map(|route| route.to).filter(|to| to.addr().is_ipv6() == ipv6).collect();
    if random.percent(30) && !routes.is_empty() {
        let last = u8::try_from(random.below(3)).unwrap();
        return match routes[random.below(routes.len())].addr() {
            IpAddr::V4(net) => Ipv4Addr::from(u32::from(net) | u32::from(last)).into(),
            IpAddr::V6(net) => Ipv6Addr::from(u128::from(net) | u128::from(last)).into(),
        };
    }
    if ipv6 {
        if random.percent(8) {
            return random.pick(&["ff02::1", "ff05::7", "::1", "2001:db8:ffff::1"]).parse().unwrap();
        }
        return v6(random).parse().unwrap();
    }
    if random.percent(12) {
        let special =
            ["224.0.0.1", "239.1.2.3", "255.255.255.255", "0.0.0.0", "0.1.2.3", "127.0.0.1", "8.8.8.8"];
        return random.pick(&special).parse().unwrap();
    }
    v4(random).parse().unwrap()
}

pub(crate) fn case(random: &mut Random, state: &State) -> Case {
    let ipv6 = random.percent(50);
    let links: Vec<IfIndex> = state.network.links.iter().map(|link| link.index).collect();
    let link = |random: &mut Random| links[random.below(links.len())];
    let input = random.percent(45).then(|| link(random));
    let mut flow = Flow::to(address(random, state, ipv6));
    flow.source = (input.is_some() || random.percent(45)).then(|| address(random, state, ipv6));
    if input.is_none() && random.percent(25) {
        flow.oif = Some(link(random));
        flow.bound = false;
    }
    if flow.source == Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) && input.is_none() {
        flow.source = None;
    }
    flow.iif = input;
    flow.mark = u32::try_from(random.below(4)).unwrap() * u32::from(random.percent(50));
    flow.tos = if random.percent(40) { [0x04, 0x08, 0x10, 0xb8][random.below(4)] } else { 0 };
    flow.protocol = [6, 17][random.below(2)];
    let port = |random: &mut Random| [80, 500, 5000][random.below(3)];
    flow.ports = Some((port(random), port(random)));
    flow.uid = Some([0, 0, 1500][random.below(3)]);
    if input.is_some() {
        flow.uid = Some(0);
    }
    Case { flow, input }
}
