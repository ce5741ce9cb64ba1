//! Rulesets made by chance, evaluated and run: what becomes of packets, which rules match, and what NAT makes of them.

mod generate;
mod network;
mod predict;
mod wire;

use std::collections::BTreeMap;

use nslab_kernel::nftables::{CtDirection, Ruleset};
use nslab_predict::nft::{Connection, Rejection, State, Tracking, inverted, tuple};
use nslab_predict::{Packet, Transport};
use nslab_testing::{Nft, Oracle, privileged, times};

use crate::chance::Chance;
use network::Network;
use predict::{End, Outcome, Way, predict, predict_sent};

/// Rulesets, and packets for each.
const RULESETS: usize = 60;
const PACKETS: usize = 30;

/// What a run comes to.
#[derive(Debug, Default)]
struct Figures {
    packets: usize,
    refused_rules: usize,
    rules_matched: usize,
    /// One outcome was predicted.
    definite: usize,
    /// Several were, of which the kernel's was one.
    several: usize,
    /// Not known.
    unknown: BTreeMap<String, usize>,
    /// By the router itself.
    sent: usize,
    forwarded: usize,
    dropped: usize,
    rejected: usize,
    translated: usize,
    answers: usize,
    wrong: usize,
}

/// What happened.
struct Actual {
    /// By how much each rule's counter grew: table, chain, rule.
    counted: BTreeMap<(usize, usize, usize), u64>,
    /// What came out: by which cable.
    out: [Vec<Packet>; 2],
}

fn counters(ruleset: &Ruleset) -> BTreeMap<(usize, usize, usize), u64> {
    let mut counters = BTreeMap::new();
    for (table, it) in ruleset.tables.iter().enumerate() {
        for (chain, it) in it.chains.iter().enumerate() {
            for (rule, it) in it.rules.iter().enumerate() {
                if let Some((packets, _)) = it.counter() {
                    counters.insert((table, chain, rule), packets);
                }
            }
        }
    }
    counters
}

/// What a router says of itself is none of it.
fn is_test(packet: &Packet) -> bool {
    match packet.transport {
        Transport::Icmp { kind, .. } => !(packet.is_ipv6() && kind > 129),
        Transport::Other(_) => false,
        _ => true,
    }
}

/// Where a packet is sent: into one of the cables, or by the router itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Cable(usize),
    Router,
}

impl From {
    /// By which cable it came, or would have come.
    fn cable(self) -> usize {
        match self {
            Self::Cable(cable) => cable,
            Self::Router => 0,
        }
    }
}

fn run(network: &mut Network, from: From, packet: &Packet, before: &Ruleset) -> (Actual, Ruleset) {
    let mac = if from.cable() == 0 { network.inner.1 } else { network.outer.1 };
    let frame = wire::frame(packet, mac);
    let out = match from {
        From::Cable(cable) => network.send(cable, &frame),
        From::Router => network.send_from_router(&frame[14..]),
    };
    let after = network.read();
    let old = counters(before);
    let counted = counters(&after).into_iter().map(|(at, packets)| (at, packets - old[&at]));
    let counted = counted.filter(|(_, packets)| *packets != 0).collect();
    let out = out.map(|all| all.iter().map(|bytes| wire::parse(bytes)).filter(is_test).collect());
    (Actual { counted, out }, after)
}

/// Why an outcome is not what happened; nothing if it is.
fn differs(outcome: &Outcome, actual: &Actual, cable: usize) -> Option<String> {
    let mut wanted = BTreeMap::new();
    for step in &outcome.steps {
        if let (Some(rule), Some(true)) = (step.rule, step.matched) {
            *wanted.entry((step.table, step.chain, rule)).or_insert(0) += 1;
        }
    }
    let may: Vec<_> = outcome
        .steps
        .iter()
        .filter_map(|step| Some((step.table, step.chain, step.rule.filter(|_| step.matched.is_none())?)))
        .collect();
    let same = |at: &(usize, usize, usize)| may.contains(at) || wanted.get(at) == actual.counted.get(at);
    if let Some(at) = wanted.keys().chain(actual.counted.keys()).find(|at| !same(at)) {
        return Some(format!(
            "rule {at:?}: predicted {:?}, counted {:?}",
            wanted.get(at),
            actual.counted.get(at)
        ));
    }
    let (forward, back) = (&actual.out[1 - cable], &actual.out[cable]);
    match &outcome.end {
        End::Out(wanted) => match &forward[..] {
            [one] => {
                let mut wanted = wanted.clone();
                outcome.blur(&mut wanted, one);
                (wanted != *one).then(|| format!("came out as {one:?}, predicted {wanted:?}"))
            }
            all => Some(format!("{} came out, not one", all.len())),
        },
        _ if !forward.is_empty() => Some(format!("{forward:?} came out")),
        End::Rejected(rejection) => {
            let told = match (&back[..], rejection) {
                ([Packet { transport: Transport::Tcp(tcp), .. }], Rejection::TcpReset) => tcp.flags & 4 != 0,
                ([packet], Rejection::Icmp(wanted)) => {
                    matches!(packet.transport, Transport::Icmp { kind: 3, code, .. } if code == *wanted)
                }
                ([packet], Rejection::Icmpv6(wanted)) => {
                    matches!(packet.transport, Transport::Icmp { kind: 1, code, .. } if code == *wanted)
                }
                _ => false,
            };
            (!told).then(|| format!("{back:?} is told, not {rejection:?}"))
        }
        _ => (!back.is_empty()).then(|| format!("{back:?} came back")),
    }
}

/// Holds predictions against what happened; the one that was right, if all were one.
fn judge<'a>(
    outcomes: &'a [Outcome],
    actual: &Actual,
    cable: usize,
    figures: &mut Figures,
) -> Result<Option<&'a Outcome>, String> {
    figures.packets += 1;
    figures.rules_matched += actual.counted.len();
    if let Some(why) = outcomes.iter().find_map(|outcome| match &outcome.end {
        End::Unknown(why) => Some(why),
        _ => None,
    }) {
        *figures.unknown.entry(why.what.clone()).or_default() += 1;
        return Ok(None);
    }
    let reasons: Vec<Option<String>> =
        outcomes.iter().map(|outcome| differs(outcome, actual, cable)).collect();
    let Some(right) = reasons.iter().position(Option::is_none) else {
        figures.wrong += 1;
        return Err(reasons.into_iter().flatten().collect::<Vec<_>>().join("\n"));
    };
    match &outcomes[right].end {
        End::Out(_) => figures.forwarded += 1,
        End::Rejected(_) => figures.rejected += 1,
        _ => figures.dropped += 1,
    }
    if outcomes.len() > 1 {
        figures.several += 1;
        return Ok(None);
    }
    figures.definite += 1;
    Ok(Some(&outcomes[right]))
}

/// The answer to a packet that came out, and how it is tracked.
fn answer(out: &Packet, connection: &Connection) -> Option<(Packet, Tracking)> {
    let turned = inverted(&tuple(out))?;
    // Where a rule wrote a port by itself, answers belong to no connection.
    if turned != connection.reply {
        return None;
    }
    let transport = match out.transport {
        Transport::Udp { source, destination } => Transport::Udp { source: destination, destination: source },
        Transport::Icmp { kind, code, id } if connection.original.source.is_ipv4() => {
            Transport::Icmp { kind: kind.checked_sub(8)?, code, id }
        }
        Transport::Icmp { kind, code, id } => Transport::Icmp { kind: kind + 1, code, id },
        _ => return None,
    };
    let mut answer = Packet { transport, mark: 0, ..out.clone() };
    (answer.ip.source, answer.ip.destination, answer.ip.ttl) = (turned.source, turned.destination, 64);
    let status = connection.status.map(|status| nslab_kernel::nftables::CtStatus(status.0 | 0x0a | 0x180));
    let connection = Connection {
        state: State::Established,
        direction: CtDirection::Reply,
        status,
        source_decided: true,
        destination_decided: true,
        ..connection.clone()
    };
    Some((answer, Tracking::Connection(connection)))
}

/// Frames of one processor are worked on in order.
fn stay_on_one_processor() {
    // SAFETY: the set lives and has this length; it is filled before it is used.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        let cpu = usize::try_from(libc::sched_getcpu()).unwrap();
        libc::CPU_SET(cpu, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
    }
}

fn compare(seed: u64, rulesets: usize) -> (Figures, Vec<String>) {
    let (Some(nft), Some(oracle)) = (Nft::find(), Oracle::find()) else {
        return (Figures::default(), Vec::new());
    };
    stay_on_one_processor();
    let mut network = Network::new(nft, oracle);
    let (mut figures, mut wrong) = (Figures::default(), Vec::new());
    let mut number = 1024_u16;
    for round in 0..rulesets {
        let seed = seed.wrapping_add(u64::try_from(round).unwrap());
        let chance = &mut Chance::new(seed);
        // Numbers of packets come again: old connections must not.
        if round % 300 == 299 {
            network = Network::new(nft, oracle);
        }
        let text = generate::ruleset(chance);
        figures.refused_rules += network.program(&text);
        // A rule that writes addresses by itself sends answers astray.
        let answered = !text.contains("addr set");
        let mut ruleset = network.read();
        for _ in 0..PACKETS {
            number = number.checked_add(1).unwrap_or(1024);
            let packet = generate::packet(chance, number);
            let from = if chance.once_in(4) { From::Router } else { From::Cable(0) };
            let packet = if from == From::Router { generate::to_outside(chance, &packet) } else { packet };
            let outcomes = match from {
                From::Cable(cable) => predict(&ruleset, &packet, Way::in_by(&network, cable), None),
                From::Router => predict_sent(&ruleset, &packet, &network),
            };
            let (actual, after) = run(&mut network, from, &packet, &ruleset);
            figures.sent += usize::from(from == From::Router);
            let judged = judge(&outcomes, &actual, 0, &mut figures);
            let mut tell = |packet: &Packet, outcomes: &[Outcome], why: String| {
                let steps: Vec<String> = outcomes.iter().map(|outcome| outcome.words(&ruleset)).collect();
                wrong.push(format!("seed {seed}: {packet:?}\n{why}\npredicted:\n{}", steps.join("\nor\n")));
            };
            match judged {
                Err(why) => tell(&packet, &outcomes, why),
                Ok(Some(Outcome {
                    end: End::Out(out),
                    vague,
                    tracking: Tracking::Connection(connection),
                    ..
                })) if vague.is_empty() => {
                    figures.translated += usize::from(tuple(out) != tuple(&packet));
                    if let Some((answer, tracking)) = answer(out, connection)
                        .filter(|_| answered && from != From::Router && chance.once_in(2))
                    {
                        let outcomes = predict(&after, &answer, Way::in_by(&network, 1), Some(&tracking));
                        let (actual, last) = run(&mut network, From::Cable(1), &answer, &after);
                        figures.answers += 1;
                        if let Err(why) = judge(&outcomes, &actual, 1, &mut figures) {
                            tell(&answer, &outcomes, format!("the answer to {packet:?}: {why}"));
                        }
                        ruleset = last;
                        continue;
                    }
                }
                Ok(_) => {}
            }
            ruleset = after;
        }
    }
    (figures, wrong)
}

#[test]
fn rulesets_do_what_is_predicted() {
    privileged(|| {
        let seed = std::env::var("NSLAB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        let rulesets = std::env::var("NSLAB_RULESETS").ok().and_then(|count| count.parse().ok());
        let started = std::time::Instant::now();
        let (figures, wrong) = compare(seed, rulesets.unwrap_or(times(RULESETS)));
        println!("{figures:#?} in {:?}", started.elapsed());
        assert!(
            wrong.is_empty(),
            "{} wrong\n\n{}",
            wrong.len(),
            wrong.iter().take(6).cloned().collect::<Vec<_>>().join("\n\n")
        );
    });
}
