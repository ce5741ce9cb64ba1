//! Faults of who listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nslab_predict::Code;

use super::{Fault, Healthy, Place};
use crate::chance::Chance;
use crate::network::Service;
use crate::probe::{Kind, Probe};

/// A port that nothing else is at.
const FREE: u16 = 9999;

fn at_free_port(chance: &mut Chance, healthy: &Healthy<'_>) -> (Probe, Place) {
    let what = *chance.pick(&[Kind::Udp(FREE), Kind::Tcp(FREE)]);
    let least = Probe::least(healthy.ipv6(), what);
    let is_tcp = matches!(what, Kind::Tcp(_));
    let size = if is_tcp { least } else { least.max(84) };
    let protocol = if is_tcp { "tcp" } else { "udp" };
    let place = Place::at(healthy.to, format!("{protocol} port {FREE}"));
    (Probe { what, size, ..healthy.probe.clone() }, place)
}

pub(crate) fn none(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (probe, place) = at_free_port(chance, healthy);
    Some(Fault { probe, ..healthy.with(Code::NoListener, place, |_| {}) })
}

pub(crate) fn elsewhere(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let (probe, place) = at_free_port(chance, healthy);
    let service = match probe.what {
        Kind::Udp(port) => Service::Udp(port),
        _ => Service::Tcp(FREE),
    };
    let local: IpAddr = if healthy.ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    let others: Vec<IpAddr> = healthy.draft.nodes[healthy.to]
        .ends
        .iter()
        .map(|end| end.address(healthy.ipv6()))
        .filter(|address| *address != probe.destination)
        .chain([local])
        .collect();
    let address = *chance.pick(&others);
    let fault = healthy.with(Code::ListenerOtherAddress, place, |draft| {
        draft.listen(healthy.to, service, address, false);
    });
    Some(Fault { probe, ..fault })
}
