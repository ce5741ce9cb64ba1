//! Messages as bytes: what is written is read back alike, also of what the kernel at hand lacks.

use std::time::Duration;

use super::*;
use crate::netlink::Batch;

fn netem() -> Netem {
    Netem {
        delay: Duration::from_nanos(15_000_001),
        jitter: Duration::from_micros(1500),
        delay_correlation: Share(1),
        distribution: None,
        loss: Share::new(0.01),
        loss_correlation: Share(3),
        duplicate: Share(4),
        duplicate_correlation: Share(5),
        reorder: Share(6),
        reorder_correlation: Share(7),
        reorder_gap: 1,
        corrupt: Share::ALL,
        corrupt_correlation: Share(8),
        rate: 1_250_000,
        limit: 12345,
        seed: Some(42),
    }
}

fn kinds() -> Vec<QdiscKind> {
    let tbf = |rate| QdiscKind::Tbf(Tbf { rate, burst: Ticks::to_send(5000, rate), limit: 60_000 });
    vec![
        QdiscKind::Netem(netem()),
        QdiscKind::Netem(Netem { rate: 5_000_000_000, seed: None, ..netem() }),
        tbf(1_250_000),
        tbf(12_500_000_000),
        QdiscKind::Htb(Htb { default_class: 7, direct_limit: Some(1000) }),
        QdiscKind::Htb(Htb { default_class: 0, direct_limit: None }),
        QdiscKind::Pfifo(Fifo { limit: 10 }),
        QdiscKind::Bfifo(Fifo { limit: 10_000 }),
        QdiscKind::Prio(Prio { bands: 3, map: [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1] }),
        QdiscKind::FqCodel(FqCodel {
            limit: 10_240,
            flows: 1024,
            quantum: 1514,
            target: 4999,
            interval: 99_999,
            ecn: true,
        }),
        QdiscKind::PfifoFast,
        QdiscKind::Noqueue,
        QdiscKind::Blackhole,
        QdiscKind::Ingress,
        QdiscKind::Clsact,
        QdiscKind::Other { name: "cake".to_owned(), options: vec![8, 0, 1, 0, 1, 2, 3, 4] },
    ]
}

#[test]
fn qdiscs_are_read_as_they_are_written() {
    for kind in kinds() {
        let handle = Handle::qdisc(0x6e73);
        let change = ChangeQdisc { link: 3, handle, parent: Handle::ROOT, kind: Some(kind.clone()) };
        let statistics = Statistics::default();
        let wanted = Qdisc { link: 3, handle, parent: Handle::ROOT, kind, statistics };
        assert_eq!(parse_qdisc(&Batch::payload(&change)), Some(wanted));
    }
}

#[test]
fn classes_and_filters_are_read_as_they_are_written() {
    let handle = Handle::qdisc(1).class(2);
    for rate in [1_250_000, 12_500_000_000] {
        let burst = Ticks::to_send(5000, rate);
        let class =
            HtbClass { rate, ceiling: 2 * rate, burst, ceiling_burst: burst, quantum: 1600, priority: 3 };
        let parent = Handle::qdisc(1);
        let change = ChangeClass { link: 3, handle, parent, kind: Some(ClassKind::Htb(class)) };
        let read = parse_class(&Batch::payload(&change)).unwrap();
        assert_eq!((read.link, read.handle, read.parent, read.leaf), (3, handle, parent, None));
        assert_eq!(read.kind, ClassKind::Htb(class));
    }
    let program = vec![Instruction::load_random(), Instruction::if_at_least(5, 1), Instruction::give(0)];
    let kinds = [
        FilterKind::Bpf(BpfFilter { class: Some(handle), program }),
        FilterKind::Other { name: "u32".to_owned(), options: vec![8, 0, 1, 0, 1, 2, 3, 4] },
    ];
    for kind in kinds {
        let change = ChangeFilter {
            link: 3,
            parent: handle,
            priority: 0xfff1,
            protocol: 0x0806,
            handle: 9,
            kind,
            delete: false,
        };
        let read = parse_filter(&Batch::payload(&change)).unwrap();
        assert_eq!((read.link, read.parent, read.priority, read.protocol), (3, handle, 0xfff1, 0x0806));
        assert_eq!((read.handle, read.kind), (9, change.kind));
    }
}

#[test]
fn what_nslab_cannot_set_is_kept_as_bytes() {
    // A Gilbert-Elliott model of loss behind the fixed part.
    let mut options = vec![0; 24];
    options.extend([8, 0, 5, 0, 4, 0, 2, 0]);
    let read = codec::read_qdisc("netem", &options);
    assert_eq!(read, QdiscKind::Other { name: "netem".to_owned(), options });
    assert_eq!(codec::read_qdisc("htb", &[]).name(), "htb");
}

#[test]
fn kinds_are_written_as_tc_takes_them() {
    let all = kinds();
    assert_eq!(
        all[0].to_string(),
        "netem limit 12345 delay 15000001ns 1500us 0% loss 1% 0.0000001% duplicate 0.0000001% 0.0000001% \
         reorder 0.0000001% 0.0000002% corrupt 100% 0.0000002% rate 10mbit"
    );
    let tbf = QdiscKind::Tbf(Tbf { rate: 1_250_000, burst: Ticks(156_250), limit: 75_000 });
    assert_eq!(tbf.to_string(), "tbf rate 10mbit burst 12500 limit 75000");
    assert_eq!(QdiscKind::Netem(Netem::default()).to_string(), "netem limit 1000");
}

#[test]
fn a_distribution_is_written_as_a_table_and_named_for_tc() {
    for distribution in [Distribution::Normal, Distribution::Pareto, Distribution::ParetoNormal] {
        let kind = QdiscKind::Netem(Netem { distribution: Some(distribution), ..netem() });
        let words = format!("15000001ns 1500us 0% distribution {}", distribution.name());
        assert!(kind.to_string().contains(&words), "{kind}");
        let change = ChangeQdisc { link: 3, handle: Handle::NONE, parent: Handle::ROOT, kind: Some(kind) };
        let payload = Batch::payload(&change);
        let table: Vec<u8> = distribution.table().iter().flat_map(|entry| entry.to_ne_bytes()).collect();
        assert!(payload.windows(table.len()).any(|part| part == table));
    }
}

#[test]
fn handles_are_written_as_tc_does() {
    let qdisc = Handle::qdisc(0x6e73);
    assert_eq!(
        [qdisc, qdisc.class(0x1f), Handle::ROOT, Handle::INGRESS].map(|one| one.to_string()),
        ["6e73:", "6e73:1f", "root", "ingress"]
    );
}

#[test]
fn a_bucket_lasts_as_long_as_its_bytes_at_the_rate() {
    // 10 Mbit/s: 1500 bytes last 1.2 ms, which are 18750 ticks.
    let ticks = Ticks::to_send(1500, 1_250_000);
    assert_eq!((ticks, ticks.duration()), (Ticks(18_750), Duration::from_micros(1200)));
    assert_eq!(ticks.bytes(1_250_000), 1500);
    assert_eq!(Ticks::to_send(u32::MAX, 1), Ticks(u32::MAX), "as long as it gets");
    assert!(Ticks::to_send(1514, 12_500_000_000).bytes(12_500_000_000) >= 1514);
}

#[test]
fn shares_are_parts_of_one() {
    assert_eq!([Share::new(0.0), Share::new(1.0), Share::new(7.0)], [Share::NONE, Share::ALL, Share::ALL]);
    assert!((Share::new(0.01).part() - 0.01).abs() < 1e-9);
}
