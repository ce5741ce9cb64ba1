//! Small networks made by ip(8) and nft(8).

use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use nslab_predict::{Code, Network, Packet, Prediction, Question, Verdict, predict};
use nslab_snapshot::{Name, Options, Snapshot, Where};
use nslab_testing::{Nft, Oracle};

/// Namespaces made by hand.
pub(crate) struct Made {
    ip: Oracle,
    spaces: Vec<(String, Namespace)>,
}

impl Made {
    /// Carries out lines such as `a: address add …` and `a: sysctl KEY=VALUE`. `a -- b` is a cable between two, by interfaces
    /// that are called after the other end; `a: nft …` is text for nft.
    pub(crate) fn new(lines: &str) -> Option<Self> {
        let (ip, nft) = (Oracle::find()?, Nft::find()?);
        let mut made = Self { ip, spaces: Vec::new() };
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some((one, other)) = line.split_once(" -- ") {
                made.cable(one, other);
                continue;
            }
            let (name, rest) = line.split_once(": ").unwrap();
            let place = made.place(name);
            let space = &made.spaces[place].1;
            if let Some((key, value)) = rest.strip_prefix("sysctl ").and_then(|rest| rest.split_once('=')) {
                space.run(|| nslab_kernel::sysctl::write(key, value)).unwrap().unwrap();
            } else if let Some(text) = rest.strip_prefix("nft ") {
                nft.apply(space, &text.replace("; ", "\n").replace('~', "\n"));
            } else {
                made.ip.change(space, rest);
            }
        }
        Some(made)
    }

    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.spaces.iter().position(|(known, _)| known == name) {
            return place;
        }
        self.spaces.push((name.to_owned(), Namespace::create().unwrap()));
        let space = &self.spaces.last().unwrap().1;
        self.ip.change(space, "link set lo up");
        for key in ["all", "default"] {
            let key = format!("net.ipv6.conf.{key}.accept_dad");
            space.run(|| nslab_kernel::sysctl::write(&key, "0")).unwrap().unwrap();
        }
        self.spaces.len() - 1
    }

    fn cable(&mut self, one: &str, other: &str) {
        use std::os::fd::{AsFd, AsRawFd};
        let (first, second) = (self.place(one), self.place(other));
        let fd = format!("/proc/{}/fd/{}", std::process::id(), self.spaces[second].1.as_fd().as_raw_fd());
        self.ip
            .change(&self.spaces[first].1, &format!("link add {other} type veth peer name {one} netns {fd}"));
        self.ip.change(&self.spaces[first].1, &format!("link set {other} up"));
        self.ip.change(&self.spaces[second].1, &format!("link set {one} up"));
    }

    /// A snapshot, in which the namespaces are in the order in which they were first named. The kernel notices carriers a
    /// moment later, and until then IPv6 has no addresses there.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let begun = Instant::now();
        loop {
            let spaces = self.spaces.iter();
            let named = spaces.map(|(name, space)| (Name::Netns(name.clone()), space.duplicate().unwrap()));
            let snapshot = Snapshot::of(named.collect(), Options::default()).unwrap();
            if is_settled(&snapshot) || begun.elapsed() > LIMIT {
                return snapshot;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// What is predicted of a packet that `from` sends.
    pub(crate) fn ask(&self, from: &str, packet: Packet) -> Prediction {
        self.ask_of(from, packet, false)
    }

    /// The same, of a connection that exists already or not.
    pub(crate) fn ask_of(&self, from: &str, packet: Packet, established: bool) -> Prediction {
        let snapshot = self.snapshot();
        let (namespace, _) = snapshot.find(from).next().unwrap();
        let question = Question { namespace, packet, established, fresh: false, link: None };
        predict(&Network::of(&snapshot), &question)
    }

    pub(crate) fn code(&self, from: &str, packet: Packet) -> (Verdict, Option<Code>) {
        let prediction = self.ask(from, packet);
        (prediction.verdict, prediction.cause.map(|cause| cause.code))
    }
}

/// How long the kernel may take to notice carriers, and the time between two looks.
const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// Whether cables that are up at both ends have carrier, and addresses there can be used.
fn is_settled(snapshot: &Snapshot) -> bool {
    let up = |place: usize, link: u32| {
        snapshot.namespaces[place].state().and_then(|state| state.link(link)).is_some_and(|link| link.up)
    };
    snapshot.namespaces.iter().filter_map(nslab_snapshot::Namespace::state).all(|state| {
        state.network.links.iter().filter(|link| link.up && link.is_veth()).all(|link| {
            let far = match state.peer(link.index).map(|peer| (peer.namespace, peer.lower)) {
                Some((Where::Namespace(place), lower)) => up(place, lower),
                _ => false,
            };
            let tentative = state.network.addresses.iter().any(|own| own.link == link.index && own.tentative);
            !far || link.carrier && !tentative
        })
    })
}
