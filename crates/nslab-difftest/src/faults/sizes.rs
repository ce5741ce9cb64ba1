//! Faults of MTUs.

use nslab_predict::Code;

use super::filters::rule;
use super::{Fault, Healthy, Place};
use crate::chance::Chance;
use crate::probe::Kind;

/// The two ends of a cable: a namespace and an interface's name each, by which the packet leaves and comes in.
type Cable = [(usize, String); 2];

/// The cables that the packet crosses.
fn cables(healthy: &Healthy<'_>) -> Vec<Cable> {
    healthy
        .way
        .windows(2)
        .filter(|pair| pair[0].2 && !pair[1].2 && pair[0].0 != pair[1].0)
        .map(|pair| [(pair[0].0, pair[0].1.clone()), (pair[1].0, pair[1].1.clone())])
        .collect()
}

/// A packet that is too big for a cable by which a router, or the sender, sends it on, and what makes it so: both ends of
/// the cable.
fn too_big(chance: &mut Chance, healthy: &Healthy<'_>, code: Code, by: &[usize]) -> Option<Fault> {
    if matches!(healthy.probe.what, Kind::Tcp(_)) {
        return None;
    }
    let is_its =
        |cable: &Cable| by.contains(&cable[0].0) && healthy.out_of(cable[0].0).as_ref() == Some(&cable[0].1);
    let ends = chance.any(&cables(healthy).into_iter().filter(is_its).collect::<Vec<_>>())?;
    let mut fault = healthy.with(code, Place::at(ends[0].0, &ends[0].1), |draft| {
        for (space, name) in &ends {
            draft.ip(*space, format!("link set {name} mtu 1300"));
        }
    });
    fault.probe.size = 1400;
    fault.probe.dont_fragment = true;
    Some(fault)
}

pub(crate) fn exceeded(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let by = if chance.percent(20) { vec![healthy.probe.from] } else { healthy.routers() };
    too_big(chance, healthy, Code::MtuExceeded, &by)
}

/// What would tell the sender is dropped, where it leaves or where it comes in.
pub(crate) fn black_hole(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    let mut fault = too_big(chance, healthy, Code::PmtuBlackhole, &healthy.routers())?;
    let about = if healthy.ipv6() {
        "icmpv6 type packet-too-big drop"
    } else {
        "icmp type destination-unreachable drop"
    };
    let router = fault.places[0].space;
    let (space, hook) = *chance.pick(&[(healthy.probe.from, "input"), (router, "output")]);
    rule(&mut fault.draft, space, hook, about);
    fault.places = vec![Place::at(space, format!("inet f {hook}"))];
    Some(fault)
}

/// The end that gets the packet takes less than the one that sends it.
pub(crate) fn mismatch(chance: &mut Chance, healthy: &Healthy<'_>) -> Option<Fault> {
    if matches!(healthy.probe.what, Kind::Tcp(_)) {
        return None;
    }
    let far: Vec<_> = cables(healthy).into_iter().map(|[_, far]| far).collect();
    let far: Vec<_> = far.into_iter().filter(|(_, name)| !name.starts_with("br")).collect();
    let (space, name) = chance.any(&far)?;
    let mut fault = healthy.with(Code::MtuMismatch, Place::at(space, &name), |draft| {
        draft.ip(space, format!("link set {name} mtu 1300"));
    });
    fault.probe.size = 1450;
    Some(fault)
}
