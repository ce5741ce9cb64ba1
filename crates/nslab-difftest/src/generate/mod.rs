//! Networks and packets by chance.

mod draft;
mod links;
mod oddities;
mod packets;
mod policy;
mod routes;
mod rules;
mod several;
mod shape;

use crate::chance::Chance;
use crate::network::Network;
use crate::probe::Probe;

pub(crate) use draft::{Draft, End, anywhere, prefix};
pub(crate) use routes::ways;

/// What networks and packets there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Networks in which everything works.
    Plain,
    /// Some of it is a fault, some only unusual.
    Odd,
    /// Routes with several next hops and next hops as objects besides, and packets for all, for groups and for one link.
    Wide,
}

/// A network by chance, and packets to send in it.
pub fn any(seed: u64, packets: usize, mode: Mode) -> (Network, Vec<Probe>) {
    let mut chance = Chance::new(seed);
    let mut draft = shape::draw(&mut chance);
    let packets = packets::draw(&mut chance, &draft, packets, mode == Mode::Wide);
    if mode == Mode::Wide {
        several::add(&mut chance, &mut draft);
    }
    if mode == Mode::Odd || mode == Mode::Wide && chance.percent(40) {
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
