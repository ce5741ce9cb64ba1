//! Who answers ARP in networks made by chance, beside what the kernel's neighbour table says.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use nslab_kernel::address::ChangeAddress;
use nslab_kernel::{neighbour, sysctl};
use nslab_predict::l2::{Learned, Port, Wiring};
use nslab_predict::neighbour::ask;
use nslab_snapshot::{Options, Snapshot};
use nslab_testing::{Oracle, privileged, times};
use nslab_types::MacAddr;

use crate::chance::Chance;
use crate::frames::Network;

/// `NUD_REACHABLE`, `NUD_STALE`, `NUD_DELAY` and `NUD_PROBE`: somebody answered; `NUD_FAILED`: nobody did.
const ANSWERED: u16 = 0x02 | 0x04 | 0x08 | 0x10;
const FAILED: u16 = 0x20;

fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, u8::try_from(number).unwrap())
}

/// Gives the interfaces addresses, some of them one that another has, and says which one each has.
fn give_addresses(network: &mut Network, chance: &mut Chance) -> Vec<Ipv4Addr> {
    let senders = network.senders.clone();
    let mut given = Vec::new();
    for (number, &(place, link)) in senders.iter().enumerate() {
        let own = if number > 0 && chance.once_in(8) { chance.below(number) } else { number };
        let own = address(1 + own);
        let change = ChangeAddress { link, address: format!("{own}/24").parse().unwrap(), delete: false };
        // One namespace cannot have an address twice on one interface only; on two it can.
        network.spaces[place].socket.request(&change).unwrap();
        given.push(own);
    }
    for space in &network.spaces {
        for key in ["arp_ignore", "rp_filter"] {
            let value = if key == "arp_ignore" { chance.pick(&["0", "0", "0", "1", "2", "8"]) } else { &"0" };
            let key = format!("net.ipv4.conf.all.{key}");
            space.namespace.run(|| sysctl::write(&key, value)).unwrap().unwrap();
        }
    }
    // What an interface inherits from `default` is the host's.
    for &(place, link) in &senders {
        let space = &mut network.spaces[place];
        let name = nslab_kernel::link::find(&mut space.socket, link).unwrap().name;
        // Questions without an answer are given up sooner.
        for (group, key, value) in
            [("conf", "rp_filter", "0"), ("neigh", "mcast_solicit", "1"), ("neigh", "retrans_time_ms", "400")]
        {
            let key = format!("net.ipv4.{group}.{name}.{key}");
            space.namespace.run(|| sysctl::write(&key, value)).unwrap().unwrap();
        }
    }
    given
}

/// Lets the kernel ask, and gives the MAC that answered.
fn kernel_asks(
    network: &mut Network,
    ip: Oracle,
    place: usize,
    link: u32,
    target: Ipv4Addr,
) -> Option<MacAddr> {
    let space = &mut network.spaces[place];
    let name = nslab_kernel::link::find(&mut space.socket, link).unwrap().name;
    ip.change(&space.namespace, &format!("neighbour flush dev {name}"));
    ip.change(&space.namespace, &format!("neighbour replace {target} dev {name} use"));
    let begun = Instant::now();
    loop {
        let entries = neighbour::list(&mut space.socket).unwrap();
        let entry = entries.iter().find(|entry| entry.link == link && entry.address == IpAddr::from(target));
        match entry {
            Some(entry) if entry.state & ANSWERED != 0 => return entry.mac,
            Some(entry) if entry.state & FAILED != 0 => return None,
            _ => assert!(begun.elapsed() < Duration::from_secs(20), "{entry:?}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn those_answer_who_are_predicted_to() {
    privileged(|| {
        let Some(ip) = Oracle::find() else { return };
        let (mut answered, mut unanswered) = (0, 0);
        for seed in 100..100 + u64::try_from(times(10)).unwrap() {
            let mut chance = Chance::new(seed);
            let mut network = Network::build(&mut chance);
            let given = give_addresses(&mut network, &mut chance);
            let snapshot = Snapshot::take(Options::default()).unwrap();
            let (wiring, places) = (Wiring::of(&snapshot), network.places(&snapshot));
            for number in 0..8 {
                let sender = chance.below(network.senders.len());
                let (place, link) = network.senders[sender];
                let target = if chance.once_in(8) { address(200) } else { *chance.pick(&given) };
                let namespace = *places.iter().find(|(_, own)| **own == place).unwrap().0;
                let state = snapshot.namespaces[namespace].state().unwrap();
                // Its own addresses a host does not ask for.
                let is_own =
                    |address: &nslab_kernel::address::Address| address.address.addr() == IpAddr::from(target);
                if state.network.addresses.iter().any(is_own) || !state.link(link).unwrap().up {
                    continue;
                }
                let from = Port { namespace, link };
                let predicted = ask(
                    &snapshot,
                    &wiring,
                    &mut Learned::default(),
                    from,
                    given[sender].into(),
                    target.into(),
                );
                let macs: BTreeSet<MacAddr> = predicted.answers.iter().map(|answer| answer.mac).collect();
                let seen = kernel_asks(&mut network, ip, place, link, target);
                let agrees = match seen {
                    Some(mac) => macs.contains(&mac),
                    None => macs.is_empty(),
                };
                assert!(
                    agrees,
                    "seed {seed}, question {number}: {from:?} asks for {target}: {seen:?} answered, predicted {predicted:#?}"
                );
                *if seen.is_some() { &mut answered } else { &mut unanswered } += 1;
            }
        }
        eprintln!("{answered} answered and {unanswered} not, as predicted");
        assert!(answered > 5 && unanswered > 0 || times(10) < 10);
    });
}
