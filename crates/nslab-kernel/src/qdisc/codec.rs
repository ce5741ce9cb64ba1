//! Options of qdiscs, classes and filters as the kernel has them (`include/uapi/linux/pkt_sched.h`, `pkt_cls.h`).

use std::time::Duration;

use super::kind::{Fifo, FqCodel, Htb, Netem, Prio, QdiscKind, Share, Tbf};
use super::{BpfFilter, ClassKind, FilterKind, Handle, HtbClass, Instruction, Ticks};
use crate::abi::*;
use crate::netlink::{Attributes, MessageWriter, Reader};

/// Rates above this go into an attribute of 64 bits, and the old field is full.
const MAX_OLD_RATE: u64 = u32::MAX as u64;
/// `TC_LINKLAYER_ETHERNET`: with it given, the kernel does not ask for a table of transmission times.
const LINKLAYER_ETHERNET: u8 = 1;
/// The major version of HTB's interface (`HTB_VER`, `net/sched/sch_htb.c`).
const HTB_VERSION: u32 = 3;
/// `rate2quantum`, which is of no use where every class says its quantum.
const HTB_RATE_TO_QUANTUM: u32 = 10;

/// `struct tc_ratespec`.
fn ratespec(rate: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[1] = LINKLAYER_ETHERNET;
    let old = u32::try_from(rate).unwrap_or(u32::MAX);
    bytes[8..].copy_from_slice(&old.to_ne_bytes());
    bytes
}

fn words<const N: usize>(values: [u32; N]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

fn old_ticks(time: Duration) -> u32 {
    u32::try_from(time.as_nanos() / u128::from(Ticks::NANOSECONDS)).unwrap_or(u32::MAX)
}

fn nanoseconds(time: Duration) -> u64 {
    // The kernel reads it as signed.
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(i64::MAX.cast_unsigned())
}

/// Appends `TCA_OPTIONS`, if the kind has any.
pub(super) fn write_qdisc(kind: &QdiscKind, message: &mut MessageWriter<'_>) {
    match kind {
        QdiscKind::Netem(netem) => message.nested(TCA_OPTIONS, |options| write_netem(netem, options)),
        QdiscKind::Tbf(tbf) => message.nested(TCA_OPTIONS, |options| {
            let mut parameters = Vec::with_capacity(36);
            parameters.extend(ratespec(tbf.rate));
            parameters.extend([0; 12]);
            parameters.extend(words([tbf.limit, tbf.burst.0, 0]));
            options.attribute(TCA_TBF_PARMS, &parameters);
            if tbf.rate >= MAX_OLD_RATE {
                options.u64(TCA_TBF_RATE64, tbf.rate);
            }
        }),
        QdiscKind::Htb(htb) => message.nested(TCA_OPTIONS, |options| {
            let global = words([HTB_VERSION, HTB_RATE_TO_QUANTUM, htb.default_class, 0, 0]);
            options.attribute(TCA_HTB_INIT, &global);
            if let Some(limit) = htb.direct_limit {
                options.u32(TCA_HTB_DIRECT_QLEN, limit);
            }
        }),
        QdiscKind::Pfifo(fifo) | QdiscKind::Bfifo(fifo) => message.u32(TCA_OPTIONS, fifo.limit),
        QdiscKind::Prio(prio) => {
            let mut bytes = prio.bands.to_ne_bytes().to_vec();
            bytes.extend(prio.map);
            message.attribute(TCA_OPTIONS, &bytes);
        }
        QdiscKind::FqCodel(fair) => message.nested(TCA_OPTIONS, |options| {
            options.u32(TCA_FQ_CODEL_LIMIT, fair.limit);
            options.u32(TCA_FQ_CODEL_FLOWS, fair.flows);
            options.u32(TCA_FQ_CODEL_QUANTUM, fair.quantum);
            options.u32(TCA_FQ_CODEL_TARGET, fair.target);
            options.u32(TCA_FQ_CODEL_INTERVAL, fair.interval);
            options.u32(TCA_FQ_CODEL_ECN, u32::from(fair.ecn));
        }),
        QdiscKind::Other { options, .. } if !options.is_empty() => message.attribute(TCA_OPTIONS, options),
        QdiscKind::PfifoFast
        | QdiscKind::Noqueue
        | QdiscKind::Blackhole
        | QdiscKind::Ingress
        | QdiscKind::Clsact
        | QdiscKind::Other { .. } => {}
    }
}

/// `struct tc_netem_qopt` and the attributes behind it. All are given: what is left out stays as it was when a netem is
/// changed (`netem_change`, `net/sched/sch_netem.c`).
fn write_netem(netem: &Netem, options: &mut MessageWriter<'_>) {
    options.header(&words([
        old_ticks(netem.delay),
        netem.limit,
        netem.loss.0,
        netem.reorder_gap,
        netem.duplicate.0,
        old_ticks(netem.jitter),
    ]));
    let correlations = [netem.delay_correlation, netem.loss_correlation, netem.duplicate_correlation];
    options.attribute(TCA_NETEM_CORR, &words(correlations.map(|share| share.0)));
    options.attribute(TCA_NETEM_REORDER, &words([netem.reorder.0, netem.reorder_correlation.0]));
    options.attribute(TCA_NETEM_CORRUPT, &words([netem.corrupt.0, netem.corrupt_correlation.0]));
    let old_rate = u32::try_from(netem.rate).unwrap_or(u32::MAX);
    options.attribute(TCA_NETEM_RATE, &words([old_rate, 0, 0, 0]));
    if netem.rate >= MAX_OLD_RATE {
        options.u64(TCA_NETEM_RATE64, netem.rate);
    }
    options.u64(TCA_NETEM_LATENCY64, nanoseconds(netem.delay));
    options.u64(TCA_NETEM_JITTER64, nanoseconds(netem.jitter));
    if let Some(distribution) = netem.distribution {
        let table: Vec<u8> = distribution.table().iter().flat_map(|entry| entry.to_ne_bytes()).collect();
        options.attribute(TCA_NETEM_DELAY_DIST, &table);
    }
    if let Some(seed) = netem.seed {
        options.u64(TCA_NETEM_PRNG_SEED, seed);
    }
}

/// Reads `TCA_OPTIONS`.
pub(super) fn read_qdisc(name: &str, options: &[u8]) -> QdiscKind {
    let nested = Attributes::new(options);
    let known = match name {
        "netem" => read_netem(options).map(QdiscKind::Netem),
        "tbf" => read_tbf(&nested),
        "htb" => nested.get(TCA_HTB_INIT).map(|init| {
            let default_class = Reader::new(init.payload).u32(8);
            let direct_limit = nested.get(TCA_HTB_DIRECT_QLEN).and_then(|limit| limit.u32());
            QdiscKind::Htb(Htb { default_class, direct_limit })
        }),
        "pfifo" if options.len() >= 4 => Some(QdiscKind::Pfifo(Fifo { limit: Reader::new(options).u32(0) })),
        "bfifo" if options.len() >= 4 => Some(QdiscKind::Bfifo(Fifo { limit: Reader::new(options).u32(0) })),
        "prio" => options.get(4..20).and_then(|map| map.try_into().ok()).map(|map| {
            let bands = Reader::new(options).u32(0);
            QdiscKind::Prio(Prio { bands, map })
        }),
        "fq_codel" => read_fq_codel(&nested),
        "pfifo_fast" => Some(QdiscKind::PfifoFast),
        "noqueue" => Some(QdiscKind::Noqueue),
        "blackhole" => Some(QdiscKind::Blackhole),
        "ingress" => Some(QdiscKind::Ingress),
        "clsact" => Some(QdiscKind::Clsact),
        _ => None,
    };
    known.unwrap_or_else(|| QdiscKind::Other { name: name.to_owned(), options: options.to_vec() })
}

/// A netem as nslab can set it; none for one with a model of loss, slots or overheads, which is kept as bytes.
fn read_netem(options: &[u8]) -> Option<Netem> {
    const LEN: usize = 24;
    if options.len() < LEN {
        return None;
    }
    let header = Reader::new(options);
    let ticks = |at| Duration::from_nanos(u64::from(header.u32(at)) * Ticks::NANOSECONDS);
    let mut netem = Netem {
        delay: ticks(0),
        limit: header.u32(4),
        loss: Share(header.u32(8)),
        reorder_gap: header.u32(12),
        duplicate: Share(header.u32(16)),
        jitter: ticks(20),
        ..Netem::default()
    };
    for attribute in Attributes::new(&options[LEN..]) {
        let payload = Reader::new(attribute.payload);
        let share = |at| Share(payload.u32(at));
        match attribute.kind {
            TCA_NETEM_CORR => {
                netem.delay_correlation = share(0);
                netem.loss_correlation = share(4);
                netem.duplicate_correlation = share(8);
            }
            TCA_NETEM_REORDER => (netem.reorder, netem.reorder_correlation) = (share(0), share(4)),
            TCA_NETEM_CORRUPT => (netem.corrupt, netem.corrupt_correlation) = (share(0), share(4)),
            TCA_NETEM_RATE => {
                if [4, 8, 12].iter().any(|&at| payload.u32(at) != 0) {
                    return None;
                }
                netem.rate = netem.rate.max(u64::from(payload.u32(0)));
            }
            TCA_NETEM_RATE64 => netem.rate = attribute.u64()?,
            TCA_NETEM_LATENCY64 => netem.delay = Duration::from_nanos(attribute.u64()?),
            TCA_NETEM_JITTER64 => netem.jitter = Duration::from_nanos(attribute.u64()?),
            TCA_NETEM_PRNG_SEED => netem.seed = attribute.u64(),
            TCA_NETEM_LOSS if !attribute.payload.is_empty() => return None,
            TCA_NETEM_SLOT if attribute.payload.iter().any(|&byte| byte != 0) => return None,
            TCA_NETEM_ECN if attribute.u32() != Some(0) => return None,
            _ => {}
        }
    }
    Some(netem)
}

fn read_tbf(options: &Attributes<'_>) -> Option<QdiscKind> {
    let parameters = options.get(TCA_TBF_PARMS)?;
    let parameters = Reader::new(parameters.payload);
    // A peak rate makes it more than nslab knows.
    if parameters.u32(20) != 0 {
        return None;
    }
    let rate = options.get(TCA_TBF_RATE64).and_then(|rate| rate.u64());
    Some(QdiscKind::Tbf(Tbf {
        rate: rate.unwrap_or_else(|| u64::from(parameters.u32(8))),
        limit: parameters.u32(24),
        burst: Ticks(parameters.u32(28)),
    }))
}

fn read_fq_codel(options: &Attributes<'_>) -> Option<QdiscKind> {
    let number = |kind| options.get(kind)?.u32();
    Some(QdiscKind::FqCodel(FqCodel {
        limit: number(TCA_FQ_CODEL_LIMIT)?,
        flows: number(TCA_FQ_CODEL_FLOWS)?,
        quantum: number(TCA_FQ_CODEL_QUANTUM)?,
        target: number(TCA_FQ_CODEL_TARGET)?,
        interval: number(TCA_FQ_CODEL_INTERVAL)?,
        ecn: number(TCA_FQ_CODEL_ECN)? != 0,
    }))
}

/// Appends `TCA_OPTIONS` of a class.
pub(super) fn write_class(kind: &ClassKind, message: &mut MessageWriter<'_>) {
    match kind {
        ClassKind::Htb(class) => message.nested(TCA_OPTIONS, |options| {
            let mut parameters = Vec::with_capacity(44);
            parameters.extend(ratespec(class.rate));
            parameters.extend(ratespec(class.ceiling));
            let rest = [class.burst.0, class.ceiling_burst.0, class.quantum, 0, class.priority];
            parameters.extend(words(rest));
            options.attribute(TCA_HTB_PARMS, &parameters);
            for (kind, rate) in [(TCA_HTB_RATE64, class.rate), (TCA_HTB_CEIL64, class.ceiling)] {
                if rate >= MAX_OLD_RATE {
                    options.u64(kind, rate);
                }
            }
        }),
        ClassKind::Other { options, .. } => message.attribute(TCA_OPTIONS, options),
    }
}

/// Reads `TCA_OPTIONS` of a class.
pub(super) fn read_class(name: &str, options: &[u8]) -> ClassKind {
    let nested = Attributes::new(options);
    match (name, nested.get(TCA_HTB_PARMS)) {
        ("htb", Some(parameters)) => {
            let parameters = Reader::new(parameters.payload);
            let rate = |kind, at| {
                nested.get(kind).and_then(|rate| rate.u64()).unwrap_or_else(|| u64::from(parameters.u32(at)))
            };
            ClassKind::Htb(HtbClass {
                rate: rate(TCA_HTB_RATE64, 8),
                ceiling: rate(TCA_HTB_CEIL64, 20),
                burst: Ticks(parameters.u32(24)),
                ceiling_burst: Ticks(parameters.u32(28)),
                quantum: parameters.u32(32),
                priority: parameters.u32(40),
            })
        }
        _ => ClassKind::Other { name: name.to_owned(), options: options.to_vec() },
    }
}

/// Appends `TCA_OPTIONS` of a filter.
pub(super) fn write_filter(kind: &FilterKind, message: &mut MessageWriter<'_>) {
    match kind {
        FilterKind::Bpf(filter) => message.nested(TCA_OPTIONS, |options| {
            if let Some(class) = filter.class {
                options.u32(TCA_BPF_CLASSID, class.0);
            }
            let len = u16::try_from(filter.program.len()).unwrap_or(u16::MAX);
            options.u16(TCA_BPF_OPS_LEN, len);
            let program: Vec<u8> = filter.program.iter().flat_map(|one| one.bytes()).collect();
            options.attribute(TCA_BPF_OPS, &program);
        }),
        FilterKind::Other { options, .. } => message.attribute(TCA_OPTIONS, options),
    }
}

/// Reads `TCA_OPTIONS` of a filter.
pub(super) fn read_filter(name: &str, options: &[u8]) -> FilterKind {
    let nested = Attributes::new(options);
    match (name, nested.get(TCA_BPF_OPS)) {
        ("bpf", Some(program)) => FilterKind::Bpf(BpfFilter {
            class: nested.get(TCA_BPF_CLASSID).and_then(|class| class.u32()).map(Handle),
            program: program.payload.as_chunks().0.iter().map(|&one| Instruction::read(one)).collect(),
        }),
        _ => FilterKind::Other { name: name.to_owned(), options: options.to_vec() },
    }
}
