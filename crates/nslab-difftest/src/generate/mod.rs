//! Networks and packets by chance.

mod draft;
mod links;
mod oddities;
mod packets;
mod policy;
mod routes;
mod rules;
mod shape;

use crate::chance::Chance;
use crate::network::Network;
use crate::probe::Probe;

pub(crate) use draft::{Draft, End, anywhere, prefix};
pub(crate) use routes::ways;

/// A network by chance, and packets to send in it. One that is plain has nothing odd.
pub fn any(seed: u64, packets: usize, plain: bool) -> (Network, Vec<Probe>) {
    let mut chance = Chance::new(seed);
    let mut draft = shape::draw(&mut chance);
    let packets = packets::draw(&mut chance, &draft, packets);
    if !plain {
        oddities::add(&mut chance, &mut draft);
    }
    (draft.network(), packets)
}

/// A network by chance in which everybody reaches everybody, and a packet that one of them sends to another.
pub(crate) fn healthy(chance: &mut Chance) -> (Draft, Probe) {
    let mut draft = shape::draw(chance);
    let probe = packets::healthy(chance, &mut draft);
    (draft, probe)
}
