//! Where frames get to in networks made by chance, beside where the kernel takes them.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nslab_kernel::link::{
    Bridge, LinkKind, Macvlan, MacvlanMode, NewLink, SetBridgePort, SetLink, VethPeer, list,
};
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::{Namespace, NamespaceId, sysctl};
use nslab_predict::l2::{self, Frame, Learned, Lost, Outcome, Port, Wiring};
use nslab_snapshot::{Options, Snapshot};
use nslab_testing::{privileged, times};
use nslab_types::{IfName, MacAddr};

use crate::chance::Chance;
use crate::tap::{Seen, Tap};

/// A namespace of the network.
pub(crate) struct Space {
    pub(crate) namespace: Namespace,
    pub(crate) id: NamespaceId,
    pub(crate) socket: Socket,
    tap: Tap,
}

impl Space {
    fn new() -> Self {
        let namespace = Namespace::create().unwrap();
        let socket = namespace.run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
        // What interfaces say by themselves would teach bridges addresses between the look and the frame.
        namespace.run(|| sysctl::write("net.ipv6.conf.default.disable_ipv6", "1")).unwrap().unwrap();
        let (id, tap) = (namespace.id().unwrap(), Tap::open(&namespace));
        Self { namespace, id, socket, tap }
    }
}

/// A network without circles: switches in a tree, hosts at their ports, some with macvlans on top.
pub(crate) struct Network {
    pub(crate) spaces: Vec<Space>,
    /// What frames are sent by: place and number.
    pub(crate) senders: Vec<(usize, u32)>,
    macs: Vec<MacAddr>,
}

fn name(text: &str) -> IfName {
    text.parse().unwrap()
}

fn bridge(space: &mut Space, chance: &mut Chance) -> u32 {
    let settings = Bridge { multicast_snooping: chance.once_in(2).then_some(false), ..Bridge::default() };
    let link = NewLink { up: !chance.once_in(12), ..NewLink::new(name("br"), LinkKind::Bridge(settings)) };
    space.socket.request(&link).unwrap();
    nslab_kernel::link::find_by_name(&mut space.socket, name("br")).unwrap().index
}

/// A cable, each end perhaps a port of a bridge, of an odd MTU, or down.
fn cable(
    spaces: &mut [Space],
    chance: &mut Chance,
    number: u32,
    (one, one_bridge): (usize, Option<u32>),
    (other, other_bridge): (usize, Option<u32>),
) {
    let index = 100 + number;
    let mtu = |chance: &mut Chance| chance.once_in(6).then_some(1400);
    let peer = VethPeer {
        index: Some(index),
        namespace: Some(spaces[other].namespace.as_fd().as_raw_fd()),
        mtu: mtu(chance),
        ..VethPeer::new(name(&format!("v{number}")))
    };
    let link = NewLink {
        index: Some(index),
        mtu: mtu(chance),
        ..NewLink::new(name(&format!("v{number}")), LinkKind::Veth(Some(Box::new(peer))))
    };
    spaces[one].socket.request(&link).unwrap();
    for (place, master) in [(one, one_bridge), (other, other_bridge)] {
        let up = Some(!chance.once_in(15));
        let socket = &mut spaces[place].socket;
        socket.request(&SetLink { index, up, master, ..SetLink::default() }).unwrap();
        if master.is_some() {
            let odd = |chance: &mut Chance| chance.once_in(6).then_some(false);
            let set = SetBridgePort {
                index,
                isolated: chance.once_in(3).then_some(true),
                learning: odd(chance),
                unicast_flood: odd(chance),
                multicast_flood: odd(chance),
                broadcast_flood: odd(chance),
                hairpin: chance.once_in(8).then_some(true),
                state: None,
            };
            socket.request(&set).unwrap();
        }
    }
}

impl Network {
    pub(crate) fn build(chance: &mut Chance) -> Self {
        let switches = 1 + chance.below(3);
        let hosts = 2 + chance.below(4);
        let mut spaces: Vec<Space> = (0..switches + hosts).map(|_| Space::new()).collect();
        let bridges: Vec<u32> = spaces[..switches].iter_mut().map(|space| bridge(space, chance)).collect();
        for switch in 1..switches {
            let above = chance.below(switch);
            let ends = [(above, Some(bridges[above])), (switch, Some(bridges[switch]))];
            cable(&mut spaces, chance, u32::try_from(switch).unwrap(), ends[0], ends[1]);
        }
        for host in switches..switches + hosts {
            let at = chance.below(switches);
            let number = u32::try_from(host).unwrap();
            cable(&mut spaces, chance, number, (host, None), (at, Some(bridges[at])));
            for upper in 0..if chance.once_in(3) { 2 } else { 0 } {
                let mode = *chance.pick(&[MacvlanMode::Bridge, MacvlanMode::Private, MacvlanMode::Vepa]);
                let kind = LinkKind::Macvlan(Macvlan { mode });
                let link = NewLink {
                    lower: Some(100 + number),
                    up: !chance.once_in(8),
                    ..NewLink::new(name(&format!("m{upper}")), kind)
                };
                if spaces[host].socket.request(&link).is_err() {
                    break;
                }
            }
        }
        let (mut senders, mut macs) = (Vec::new(), Vec::new());
        for (place, space) in spaces.iter_mut().enumerate() {
            for link in list(&mut space.socket).unwrap() {
                if !link.loopback && link.master.is_none() && link.mac.is_some() {
                    senders.push((place, link.index));
                    macs.extend(link.mac);
                }
            }
        }
        let mut network = Self { spaces, senders, macs };
        network.settle();
        network
    }

    /// Waits until carriers and the states of ports are what they will be: the kernel sets them a moment later
    /// (`linkwatch_event`, `net/core/link_watch.c`; `br_port_carrier_check`).
    fn settle(&mut self) {
        let begun = Instant::now();
        loop {
            let links: Vec<_> =
                self.spaces.iter_mut().map(|space| list(&mut space.socket).unwrap()).collect();
            let up = |place: usize, index: u32| {
                let own: &Vec<nslab_kernel::link::Link> = &links[place];
                own.iter().any(|link| link.index == index && link.up)
            };
            let is_settled = |place: usize, link: &nslab_kernel::link::Link| {
                // Both ends of a cable have one number.
                let other = (0..links.len()).find(|&other| {
                    other != place && links[other].iter().any(|far| far.index == link.index && far.is_veth())
                });
                let runs =
                    |lower: u32| links[place].iter().any(|link| link.index == lower && link.is_running());
                let mut ports = links[place].iter().filter(|port| port.master == Some(link.index));
                let expected = match &link.kind {
                    Some(LinkKind::Veth(_)) => link.up && other.is_some_and(|other| up(other, link.index)),
                    _ if !link.up => link.carrier,
                    Some(LinkKind::Bridge(_)) => ports.any(nslab_kernel::link::Link::is_running),
                    Some(LinkKind::Macvlan(_)) => link.lower.is_some_and(runs),
                    _ => link.carrier,
                };
                let is_right = link.carrier == expected;
                let bridge_up = link.master.is_some_and(|master| up(place, master));
                let passes =
                    link.bridge_port.is_none_or(|port| (port.state == 3) == (link.is_running() && bridge_up));
                is_right && passes
            };
            let all = links.iter().enumerate();
            if all.clone().all(|(place, own)| own.iter().all(|link| is_settled(place, link))) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not settle: {links:#?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The network's namespaces in a snapshot: their places there and here.
    pub(crate) fn places(&self, snapshot: &Snapshot) -> BTreeMap<usize, usize> {
        let place = |space: &Space| snapshot.namespaces.iter().position(|other| other.id == space.id);
        self.spaces.iter().enumerate().map(|(own, space)| (place(space).unwrap(), own)).collect()
    }

    /// Sends a frame, and says where prediction and kernel differ.
    fn try_one(&self, chance: &mut Chance, nonce: u32) -> Result<usize, String> {
        let &(place, link) = chance.pick(&self.senders);
        let destination = match chance.below(5) {
            0 => MacAddr([0xff; 6]),
            1 => MacAddr([0x01, 0, 0x5e, 0, 0, 1]),
            2 => MacAddr([2, 0, 0, 0, 0, 0x99]),
            _ => *chance.pick(&self.macs),
        };
        let size = *chance.pick(&[50, 50, 1400, 1404, 1405, 1500]);
        let snapshot = Snapshot::take(Options::default()).unwrap();
        let places = self.places(&snapshot);
        let namespace = *places.iter().find(|(_, own)| **own == place).unwrap().0;
        let from = Port { namespace, link };
        let source = snapshot.namespaces[namespace].state().unwrap().link(link).unwrap().mac.unwrap();
        let frame = Frame { source, destination, vlan: None, size, target: None };
        // More than its own MTU an interface is never handed.
        let mtu = snapshot.namespaces[namespace].state().unwrap().link(link).unwrap().mtu;
        if size > mtu {
            return Ok(0);
        }
        let ends = l2::send(&snapshot, &Wiring::of(&snapshot), &mut Learned::default(), from, frame);
        let mut expected: Vec<(usize, Seen)> = Vec::new();
        for end in &ends {
            let is_others = match &end.outcome {
                Outcome::Taken => false,
                Outcome::Lost(Lost::OtherAddress) => true,
                _ => continue,
            };
            expected.push((places[&end.at.namespace], Seen { link: end.at.link, is_others, nonce }));
        }
        expected.sort();
        self.spaces[place].tap.send(link, source.0, destination.0, nonce, usize::try_from(size).unwrap());
        let mut seen: Vec<(usize, Seen)> = Vec::new();
        let begun = Instant::now();
        loop {
            for (own, space) in self.spaces.iter().enumerate() {
                seen.extend(space.tap.look().into_iter().map(|seen| (own, seen)));
            }
            // Frames cross veths in the softirq that sending begins, mostly before it returns: what is too much shows at
            // once, or with a later frame's.
            if seen.len() >= expected.len() || begun.elapsed() > Duration::from_secs(5) {
                break;
            }
            std::thread::yield_now();
        }
        seen.sort();
        if seen == expected {
            return Ok(expected.len());
        }
        Err(format!("{from:?} sends {frame:?}: expected {expected:#?}, seen {seen:#?}\nends: {ends:#?}"))
    }
}

#[test]
fn frames_get_where_they_are_predicted_to() {
    privileged(|| {
        let mut total = 0;
        for seed in 0..u64::try_from(times(10)).unwrap() {
            let mut chance = Chance::new(seed);
            let network = Network::build(&mut chance);
            for space in &network.spaces {
                space.tap.look();
            }
            for nonce in 0..20 {
                match network.try_one(&mut chance, nonce) {
                    Ok(arrivals) => total += arrivals,
                    Err(difference) => panic!("seed {seed}, frame {nonce}: {difference}"),
                }
            }
        }
        assert!(total > 100, "only {total} arrivals: the networks are too bad to show anything");
        eprintln!("{total} arrivals as predicted");
    });
}
