//! From what a lab file says of an interface to its queue.

use std::hash::Hasher as _;
use std::time::Duration;

use nslab_kernel::qdisc::{
    BpfFilter, ClassKind, Distribution, FilterKind, Handle, Htb, HtbClass, Instruction, Netem, QdiscKind,
    Share, Tbf, Ticks,
};
use nslab_topology::impairment::{self as said, Impairment};
use nslab_topology::model::{End, Interface, Path};
use nslab_types::MacAddr;

use super::{Hung, HungClass, HungFilter, Queue, ROOT, mark};

/// What this kernel loses packets with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shaper {
    /// netem, which does all else as well.
    #[default]
    Netem,
    /// A classifier and a class whose queue drops all; delay and the like are beyond it.
    Classifier,
}

/// The class for what no path is for. Those of paths come after it.
const REST: u16 = 1;
/// Added to a class's number, the class that loses what would have been its.
const LOST: u16 = 0x8000;
/// Bytes of a frame besides what the MTU counts: the Ethernet header and a VLAN tag.
const ETHERNET: u32 = 14 + 4;
/// The smallest frame on Ethernet.
const SMALLEST_FRAME: u64 = 64;
/// What a link without a rate is reckoned at, to know how many packets may be on the way: 10 Gbit/s of packets of 1500
/// bytes.
const PACKETS_PER_SECOND: u64 = 10_000_000_000 / 8 / 1500;
/// The bucket lasts at least so long: the kernel may be late by as much without the rate suffering. A busy machine or one
/// without high-resolution timers (`CONFIG_HZ` of 100 or more) is late by some milliseconds.
const BURST: Duration = Duration::from_millis(10);
/// What waits for the rate lasts at least so long, and as long as the delay, so that one connection can fill the link.
const QUEUE: Duration = Duration::from_millis(50);
/// Whole frames that may wait for the rate in any case.
const QUEUE_FRAMES: u64 = 10;
/// A rate that no virtual interface reaches, for classes that do not limit: 1 Tbit/s.
const UNLIMITED: u64 = 125_000_000_000;
/// How much of it may go at once, in ticks: 10 ms.
const UNLIMITED_BURST: Ticks = Ticks(156_250);
/// Bytes that such a class may send in its turn: the largest packet.
const QUANTUM: u32 = 65_536;

/// What an interface sends, and what happens to it.
#[derive(Debug, Clone, Copy)]
pub struct Sends<'a> {
    /// What happens to all but what goes on a path.
    pub impairment: &'a Impairment,
    /// What happens on paths.
    pub paths: &'a [Path],
    /// The interface's MTU.
    pub mtu: u32,
}

impl<'a> From<&'a End> for Sends<'a> {
    fn from(end: &'a End) -> Self {
        Self { impairment: &end.impairment, paths: &end.paths, mtu: end.mtu }
    }
}

impl<'a> From<&'a Interface> for Sends<'a> {
    fn from(interface: &'a Interface) -> Self {
        Self { impairment: &interface.impairment, paths: &interface.paths, mtu: interface.mtu }
    }
}

/// The queue of an interface. `seed` is what the random numbers of its netems follow from, where that is asked for.
pub fn compile<'a>(sends: impl Into<Sends<'a>>, shaper: Shaper, seed: Option<u64>) -> Queue {
    let Sends { impairment, paths, mtu } = sends.into();
    let mut builder = Builder { queue: Queue::default(), next: ROOT.major(), shaper, mtu, seed };
    let loses = |one: &Impairment| !one.loss.is_none();
    let classifies =
        shaper == Shaper::Classifier && (loses(impairment) || paths.iter().any(|one| loses(&one.impairment)));
    if paths.is_empty() && !classifies {
        builder.chain(impairment, Handle::ROOT);
    } else if !(impairment.is_none() && paths.iter().all(|one| one.impairment.is_none())) {
        builder.classes(impairment, paths);
    }
    builder.queue
}

struct Builder {
    queue: Queue,
    /// The name of the next qdisc.
    next: u16,
    shaper: Shaper,
    mtu: u32,
    seed: Option<u64>,
}

impl Builder {
    fn hang(&mut self, parent: Handle, kind: QdiscKind) -> Handle {
        let handle = Handle::qdisc(self.next);
        self.next += 1;
        self.queue.qdiscs.push(Hung { parent, handle, kind });
        handle
    }

    /// What one impairment needs, one in the other.
    fn chain(&mut self, impairment: &Impairment, mut parent: Handle) {
        let without_rate = Impairment { rate: None, ..*impairment };
        if self.shaper == Shaper::Netem && !without_rate.is_none() {
            let netem = self.netem(impairment);
            // Its one place for another qdisc.
            parent = self.hang(parent, QdiscKind::Netem(netem)).class(1);
        }
        if let Some(rate) = impairment.rate {
            let rate = rate.bytes();
            let frame = self.mtu + ETHERNET;
            let least = Ticks(u32::try_from(BURST.as_nanos() / 64).unwrap_or(u32::MAX));
            let burst = least.max(Ticks::to_send(2 * frame, rate)).min(LONGEST_BURST);
            let lasting = QUEUE.max(impairment.delay).as_nanos();
            let waiting = u128::from(rate) * lasting / 1_000_000_000;
            let waiting = u64::try_from(waiting).unwrap_or(u64::MAX).max(QUEUE_FRAMES * u64::from(frame));
            let limit = waiting.saturating_add(burst.bytes(rate)).min(1 << 30);
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            self.hang(parent, QdiscKind::Tbf(Tbf { rate, burst, limit }));
        }
    }

    fn netem(&self, impairment: &Impairment) -> Netem {
        let share = |share: said::Share| Share::new(share.part());
        let chance = |chance: said::Chance| (share(chance.share()), share(chance.correlation()));
        let (loss, loss_correlation) = chance(impairment.loss);
        let (duplicate, duplicate_correlation) = chance(impairment.duplicate);
        let (reorder, reorder_correlation) = chance(impairment.reorder);
        let (corrupt, corrupt_correlation) = chance(impairment.corrupt);
        let distribution = match impairment.distribution {
            said::Distribution::Uniform => None,
            said::Distribution::Normal => Some(Distribution::Normal),
            said::Distribution::Pareto => Some(Distribution::Pareto),
            said::Distribution::ParetoNormal => Some(Distribution::ParetoNormal),
        };
        Netem {
            delay: impairment.delay,
            jitter: impairment.jitter.time(),
            delay_correlation: share(impairment.jitter.correlation()),
            distribution,
            loss,
            loss_correlation,
            duplicate,
            duplicate_correlation,
            reorder,
            reorder_correlation,
            reorder_gap: u32::from(reorder != Share::NONE),
            corrupt,
            corrupt_correlation,
            limit: mark::written(on_the_way(impairment), distribution),
            seed: self.seed.map(|seed| mixed(seed, self.next)),
            ..Netem::default()
        }
    }

    /// A class for each path and one for the rest, and the classifier that tells them apart.
    fn classes(&mut self, rest: &Impairment, paths: &[Path]) {
        let needs_class = !rest.is_none();
        let default_class = if needs_class { u32::from(REST) } else { 0 };
        self.hang(Handle::ROOT, QdiscKind::Htb(Htb { default_class, direct_limit: None }));
        if needs_class {
            self.class(REST, rest);
        }
        let mut known = Vec::new();
        for (minor, path) in (REST + 1..LOST).zip(paths) {
            // A path without any impairment is a way around those of the rest.
            if needs_class || !path.impairment.is_none() {
                self.class(minor, &path.impairment);
                known.push((minor, path));
            }
        }
        // Without paths and without loss of its own the rest needs no classifier.
        let program = self.program(rest, &known);
        self.queue.classes.sort_by_key(|class| class.handle);
        self.queue.filters.push(HungFilter {
            parent: ROOT,
            priority: 1,
            protocol: ALL_PROTOCOLS,
            handle: 1,
            kind: FilterKind::Bpf(BpfFilter { class: None, program }),
        });
    }

    fn class(&mut self, minor: u16, impairment: &Impairment) {
        let class = HtbClass {
            rate: UNLIMITED,
            ceiling: UNLIMITED,
            burst: UNLIMITED_BURST,
            ceiling_burst: UNLIMITED_BURST,
            quantum: QUANTUM,
            priority: 0,
        };
        let class =
            |minor| HungClass { parent: ROOT, handle: ROOT.class(minor), kind: ClassKind::Htb(class) };
        self.queue.classes.push(class(minor));
        if self.is_lost_by_class(impairment) {
            self.queue.classes.push(class(LOST + minor));
            self.hang(ROOT.class(LOST + minor), QdiscKind::Blackhole);
        }
        self.chain(impairment, ROOT.class(minor));
    }

    fn is_lost_by_class(&self, impairment: &Impairment) -> bool {
        self.shaper == Shaper::Classifier && !impairment.loss.is_none()
    }

    /// Which class a packet belongs to, by its destination's MAC. ARP and neighbour discovery (RFC 4861) belong to the
    /// rest: a path is about what two neighbours send each other, not about how they find each other. So do frames with
    /// a tag: those of a VLAN went through the queue of its own interface before.
    fn program(&self, rest: &Impairment, paths: &[(u16, &Path)]) -> Vec<Instruction> {
        let mut program = Vec::new();
        if !paths.is_empty() {
            let mut by_path = vec![Instruction::load_word(2)];
            for (minor, path) in paths {
                let MacAddr([m0, m1, m2, m3, m4, m5]) = path.mac;
                let verdict = self.verdict(*minor, &path.impairment);
                let len = u8::try_from(verdict.len()).unwrap_or(u8::MAX);
                // Most often the last four bytes differ, and the next path is looked at.
                by_path.push(Instruction::unless_equal(u32::from_be_bytes([m2, m3, m4, m5]), len + 3));
                by_path.push(Instruction::load_half(0));
                by_path.push(Instruction::unless_equal(u32::from(u16::from_be_bytes([m0, m1])), len));
                by_path.extend(verdict);
                by_path.push(Instruction::load_word(2));
            }
            let over = u32::try_from(by_path.len()).unwrap_or(u32::MAX);
            program = vec![
                Instruction::load_tagged(),
                Instruction::if_at_least(1, 8),
                Instruction::load_protocol(),
                Instruction::if_equal(ARP, 6),
                Instruction::unless_equal(IPV6, 6),
                Instruction::load_network_byte(6),
                Instruction::unless_equal(ICMPV6, 4),
                Instruction::load_network_byte(40),
                Instruction::if_greater(REDIRECT, 2),
                Instruction::if_at_least(ROUTER_SOLICITATION, 0),
            ];
            // The last comparison: a smaller number is none of discovery either.
            let last = program.len() - 1;
            program[last].if_false = 1;
            program.push(Instruction::skip(over));
            program.extend(by_path);
        }
        if self.is_lost_by_class(rest) {
            program.extend(self.verdict(REST, rest));
        } else {
            program.push(Instruction::give(0));
        }
        program
    }

    /// Gives the class, or by chance the one that loses.
    fn verdict(&self, minor: u16, impairment: &Impairment) -> Vec<Instruction> {
        let class = Instruction::give(ROOT.class(minor).0);
        if !self.is_lost_by_class(impairment) {
            return vec![class];
        }
        let lost = Instruction::give(ROOT.class(LOST + minor).0);
        let share = Share::new(impairment.loss.share().part());
        if share == Share::ALL {
            return vec![lost];
        }
        vec![Instruction::load_random(), Instruction::if_at_least(share.0, 1), lost, class]
    }
}

/// `ETH_P_ALL`, `ETH_P_ARP`, `ETH_P_IPV6` (`include/uapi/linux/if_ether.h`).
const ALL_PROTOCOLS: u16 = 0x0003;
const ARP: u32 = 0x0806;
const IPV6: u32 = 0x86dd;
/// The next header and the types of RFC 4861: from router solicitation to redirect.
const ICMPV6: u32 = 58;
const ROUTER_SOLICITATION: u32 = 133;
const REDIRECT: u32 = 137;
/// The kernel keeps 2³² ns at most.
const LONGEST_BURST: Ticks = Ticks((u32::MAX / 64) - 1);

/// How many packets may be on the way: twice as many as there can be, so that none is lost for want of room.
fn on_the_way(impairment: &Impairment) -> u32 {
    let packets = impairment.rate.map_or(PACKETS_PER_SECOND, |rate| rate.bytes() / SMALLEST_FRAME);
    let longest = impairment.delay + impairment.jitter.time() * impairment.distribution.reach();
    let time = longest.as_micros();
    let held = u128::from(packets.min(100_000_000)) * time / 1_000_000;
    u32::try_from(held * 2 + 1000).unwrap_or(u32::MAX).min(50_000_000)
}

/// A seed for one of several netems.
fn mixed(seed: u64, place: u16) -> u64 {
    // FNV-1a: the same in every run and on every machine.
    struct Fnv(u64);
    impl std::hash::Hasher for Fnv {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        fn finish(&self) -> u64 {
            self.0
        }
    }
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.write(&seed.to_le_bytes());
    hash.write(&place.to_le_bytes());
    hash.finish()
}

/// The seed of an interface, from that of the lab.
pub(crate) fn seed_of(lab: u64, node: &str, interface: &str) -> u64 {
    let name = format!("{node}:{interface}");
    name.bytes().fold(lab, |seed, byte| mixed(seed, u16::from(byte)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use nslab_topology::Topology;

    use super::*;

    fn topology(options: &str) -> Topology {
        let source = format!("name: t\nnodes: {{a: {{}}, b: {{}}}}\nlinks: [[a, b, {options}]]\n");
        nslab_topology::load(&source, "t.yaml", &[]).unwrap().topology
    }

    fn queue(options: &str) -> Queue {
        compile(&topology(options).links[0].ends[0], Shaper::Netem, Some(1))
    }

    #[test]
    fn tc_is_told_of_correlations_and_the_distribution() {
        for (options, words) in [
            ("{delay: 10ms, jitter: 2ms 25%}", "delay 10ms 2ms 25%"),
            ("{delay: 10ms, jitter: 2ms, distribution: pareto}", "delay 10ms 2ms distribution pareto"),
            (
                "{delay: 1ms, jitter: 1ms 1%, distribution: paretonormal}",
                "delay 1ms 1ms 1% distribution paretonormal",
            ),
            ("{loss: 1% 25%}", "loss 1% 25%"),
            ("{loss: {share: 1%, correlation: 25%}, duplicate: 2% 5%}", "loss 1% 25% duplicate 2% 5%"),
            ("{delay: 1ms, reorder: 3% 50%, corrupt: 0.1% 1%}", "delay 1ms reorder 3% 50% corrupt 0.1% 1%"),
        ] {
            let said = queue(options).qdiscs[0].kind.to_string();
            assert!(said.ends_with(words), "{options}: {said}");
        }
    }

    #[test]
    fn late_packets_of_a_curve_have_room() {
        let limit = |options| match &queue(options).qdiscs[0].kind {
            QdiscKind::Netem(netem) => netem.limit,
            other => panic!("{other}"),
        };
        let even = limit("{delay: 10ms, jitter: 10ms}");
        let curved = limit("{delay: 10ms, jitter: 10ms, distribution: normal}");
        assert!(curved > 2 * even, "{curved} {even}");
    }

    #[test]
    fn a_curve_goes_only_with_the_qdisc() {
        let even = queue("{delay: 10ms, jitter: 2ms}");
        let normal = queue("{delay: 10ms, jitter: 2ms, distribution: normal}");
        let pareto = queue("{delay: 10ms, jitter: 2ms, distribution: pareto}");
        let deletes = |to: &Queue, from: &Queue| {
            let is_deletion = |one: &super::super::Change| matches!(one, super::super::Change::Qdisc(one) if one.kind.is_none());
            to.changes(from).iter().any(is_deletion)
        };
        assert!(!normal.is_met_by(&even) && !normal.is_met_by(&pareto) && normal.is_met_by(&normal));
        assert!(!deletes(&normal, &even) && !deletes(&pareto, &normal), "changed in place");
        assert!(deletes(&even, &normal), "the table would stay");
    }
}
