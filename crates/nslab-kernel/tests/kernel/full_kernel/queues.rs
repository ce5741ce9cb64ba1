//! Queueing disciplines, classes and filters, held against tc.

use std::time::Duration;

use nslab_kernel::Error;
use nslab_kernel::qdisc::{
    BpfFilter, ChangeClass, ChangeFilter, ChangeQdisc, ClassKind, Distribution, Fifo, FilterKind, FqCodel,
    Handle, Htb, HtbClass, Instruction, Netem, Prio, QdiscKind, Queues, Share, Tbf, Ticks,
};
use nslab_testing::{Oracle, privileged};
use serde_json::Value;

use crate::support::Lab;

const ROOT: Handle = Handle::qdisc(0x6e73);

fn set(lab: &mut Lab, link: u32, kind: QdiscKind) -> nslab_kernel::Result<()> {
    let request = ChangeQdisc { link, handle: ROOT, parent: Handle::ROOT, kind: Some(kind) };
    lab.socket.request(&request)
}

/// What the kernel shows of an interface's outermost qdisc.
fn root(lab: &mut Lab, link: u32) -> QdiscKind {
    let shown = Queues::read(&mut lab.socket).unwrap();
    let is_it = |one: &nslab_kernel::qdisc::Qdisc| one.link == link && one.parent == Handle::ROOT;
    shown.qdiscs.into_iter().find(is_it).unwrap().kind
}

/// Sets a kind and returns what the kernel shows of it; none, with the reason said, if this kernel lacks it.
fn made(lab: &mut Lab, link: u32, kind: &QdiscKind) -> Option<QdiscKind> {
    match set(lab, link, kind.clone()) {
        Ok(()) => Some(root(lab, link)),
        Err(Error::Unsupported { option, .. }) => {
            nslab_testing::kernel_lacks(option);
            None
        }
        Err(other) => panic!("{other}"),
    }
}

fn shown_by_tc(oracle: Oracle, lab: &Lab) -> Value {
    let all = oracle.tc(&lab.namespace, "qdisc show dev a root");
    all.as_array().unwrap().iter().find(|one| one["root"] == true).unwrap().clone()
}

#[test]
fn each_kind_is_read_back_as_it_was_set() {
    privileged(|| {
        let mut lab = Lab::new();
        let (link, _) = lab.veth("a", "b");
        let kinds = [
            QdiscKind::Tbf(Tbf { rate: 1_250_000, burst: Ticks::to_send(5000, 1_250_000), limit: 60_000 }),
            QdiscKind::Tbf(Tbf { rate: 6_000_000_000, burst: Ticks(70_000), limit: 3_000_000 }),
            QdiscKind::Htb(Htb { default_class: 7, direct_limit: Some(1000) }),
            QdiscKind::Pfifo(Fifo { limit: 10 }),
            QdiscKind::Bfifo(Fifo { limit: 10_000 }),
            QdiscKind::Blackhole,
            QdiscKind::Prio(Prio { bands: 3, map: [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1] }),
            QdiscKind::FqCodel(FqCodel {
                limit: 10_240,
                flows: 1024,
                quantum: 1514,
                target: 4999,
                interval: 99_999,
                ecn: true,
            }),
        ];
        for kind in kinds {
            let gone = ChangeQdisc { link, handle: Handle::NONE, parent: Handle::ROOT, kind: None };
            if let Some(mut shown) = made(&mut lab, link, &kind) {
                // The kernel keeps times in units of 1024 ns and rounds down on either way (net/sched/sch_fq_codel.c).
                if let (QdiscKind::FqCodel(shown), QdiscKind::FqCodel(set)) = (&mut shown, &kind) {
                    for (shown, set) in [(&mut shown.target, set.target), (&mut shown.interval, set.interval)]
                    {
                        assert!(set - *shown <= 2, "{shown} instead of {set}");
                        *shown = set;
                    }
                }
                assert_eq!(shown, kind);
                lab.socket.request(&gone).unwrap();
            }
        }
    });
}

#[test]
fn netem_is_read_back_as_it_was_set_and_as_tc_shows_it() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let (link, _) = lab.veth("a", "b");
        let full = Netem {
            delay: Duration::from_millis(15),
            jitter: Duration::from_micros(1500),
            delay_correlation: Share::new(0.25),
            loss: Share::new(0.01),
            loss_correlation: Share::new(0.5),
            duplicate: Share::new(0.02),
            reorder: Share::new(0.03),
            reorder_gap: 1,
            corrupt: Share::new(0.04),
            rate: 1_250_000,
            limit: 12345,
            seed: Some(42),
            ..Netem::default()
        };
        let Some(QdiscKind::Netem(shown)) = made(&mut lab, link, &QdiscKind::Netem(full.clone())) else {
            return;
        };
        assert!(matches!(shown.seed, None | Some(42)), "a kernel that does not know seeds passes them over");
        assert_eq!(Netem { seed: Some(42), ..shown }, full);
        let tc = &shown_by_tc(oracle, &lab)["options"];
        let near = |value: &Value, wanted: f64| (value.as_f64().unwrap() - wanted).abs() < wanted * 1e-3;
        assert!(near(&tc["delay"]["delay"], 0.015) && near(&tc["delay"]["jitter"], 0.0015), "{tc}");
        assert!(near(&tc["loss-random"]["loss"], 0.01) && near(&tc["duplicate"]["duplicate"], 0.02), "{tc}");
        assert!(near(&tc["reorder"]["reorder"], 0.03) && near(&tc["corrupt"]["corrupt"], 0.04), "{tc}");
        assert!(near(&tc["rate"]["rate"], 1_250_000.0) && tc["limit"] == 12345 && tc["gap"] == 1, "{tc}");
        // A table of delays is taken, and not shown.
        for distribution in [Distribution::Normal, Distribution::Pareto, Distribution::ParetoNormal] {
            let with = Netem { distribution: Some(distribution), ..full.clone() };
            let Some(QdiscKind::Netem(shown)) = made(&mut lab, link, &QdiscKind::Netem(with)) else {
                panic!("it was there a moment ago");
            };
            assert_eq!(Netem { seed: Some(42), ..shown }, full);
        }
        // A change takes away what is not said, and keeps the qdisc.
        let little = Netem { delay: Duration::from_millis(1), ..Netem::default() };
        let Some(QdiscKind::Netem(shown)) = made(&mut lab, link, &QdiscKind::Netem(little.clone())) else {
            panic!("it was there a moment ago");
        };
        assert_eq!(Netem { seed: None, ..shown }, little);
    });
}

#[test]
fn netem_that_tc_set_is_read() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let (link, _) = lab.veth("a", "b");
        if made(&mut lab, link, &QdiscKind::Netem(Netem::default())).is_none() {
            return;
        }
        oracle.tc_text(
            &lab.namespace,
            "qdisc change dev a root netem delay 10ms 2ms loss 5% reorder 25% corrupt 1% rate 8mbit limit 77",
        );
        let QdiscKind::Netem(shown) = root(&mut lab, link) else {
            panic!("it is a netem");
        };
        assert_eq!((shown.delay, shown.jitter), (Duration::from_millis(10), Duration::from_millis(2)));
        assert!((shown.loss.part() - 0.05).abs() < 1e-6 && (shown.reorder.part() - 0.25).abs() < 1e-6);
        assert_eq!((shown.rate, shown.limit, shown.reorder_gap), (1_000_000, 77, 1));
        // What nslab cannot set is kept, and can be set again.
        oracle.tc_text(&lab.namespace, "qdisc change dev a root netem loss gemodel 1% 10%");
        let kept = root(&mut lab, link);
        assert!(matches!(kept, QdiscKind::Other { .. }), "{kept:?}");
    });
}

#[test]
fn tc_shows_the_rate_and_the_bucket_that_were_asked_for() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let (link, _) = lab.veth("a", "b");
        for rate in [8_000, 1_250_000, 125_000_000, 6_000_000_000] {
            let burst = Ticks::to_send(20_000, rate);
            let kind = QdiscKind::Tbf(Tbf { rate, burst, limit: 600_000 });
            assert_eq!(made(&mut lab, link, &kind).as_ref(), Some(&kind));
            let tc = shown_by_tc(oracle, &lab)["options"].clone();
            assert_eq!(tc["rate"], rate, "{tc}");
            // tc(8) counts in whole microseconds.
            let bucket = tc["burst"].as_u64().unwrap();
            assert!(bucket.abs_diff(20_000) <= 1 + rate / 1_000_000, "{tc}");
        }
        // The other way about.
        oracle.tc_text(&lab.namespace, "qdisc change dev a root tbf rate 16mbit burst 10000 limit 50000");
        let QdiscKind::Tbf(shown) = root(&mut lab, link) else {
            panic!("it is a tbf");
        };
        assert_eq!((shown.rate, shown.limit), (2_000_000, 50_000));
        assert!(shown.burst.bytes(shown.rate).abs_diff(10_000) < 20, "{shown:?}");
    });
}

#[test]
fn classes_and_a_filter_share_out_packets() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let (link, _) = lab.veth("a", "b");
        set(&mut lab, link, QdiscKind::Htb(Htb { default_class: 0, direct_limit: None })).unwrap();
        let class = HtbClass {
            rate: 12_500_000_000,
            ceiling: 12_500_000_000,
            burst: Ticks(100_000),
            ceiling_burst: Ticks(100_000),
            quantum: 60_000,
            priority: 0,
        };
        let add = |lab: &mut Lab, minor| {
            let handle = ROOT.class(minor);
            let kind = Some(ClassKind::Htb(class));
            lab.socket.request(&ChangeClass { link, handle, parent: ROOT, kind }).unwrap();
        };
        add(&mut lab, 1);
        add(&mut lab, 2);
        let hole = QdiscKind::Blackhole;
        let hang = ChangeQdisc { link, handle: Handle::qdisc(7), parent: ROOT.class(2), kind: Some(hole) };
        lab.socket.request(&hang).unwrap();
        // Everything but ARP into the hole.
        let program = vec![
            Instruction::load_protocol(),
            Instruction::if_equal(0x0806, 1),
            Instruction::give(ROOT.class(2).0),
            Instruction::give(ROOT.class(1).0),
        ];
        let kind = FilterKind::Bpf(BpfFilter { class: None, program });
        let filter = ChangeFilter {
            link,
            parent: ROOT,
            priority: 1,
            protocol: 3,
            handle: 1,
            kind: kind.clone(),
            delete: false,
        };
        lab.socket.request(&filter).unwrap();
        // Once more changes it in place.
        lab.socket.request(&filter).unwrap();

        let queues = Queues::read(&mut lab.socket).unwrap();
        let classes: Vec<_> = queues.classes.iter().map(|one| (one.handle, one.leaf)).collect();
        assert_eq!(classes, [(ROOT.class(1), None), (ROOT.class(2), Some(Handle::qdisc(7)))]);
        assert!(queues.classes.iter().all(|one| one.kind == ClassKind::Htb(class)), "{queues:?}");
        assert_eq!(queues.filters.len(), 1);
        assert_eq!((queues.filters[0].priority, &queues.filters[0].kind), (1, &kind));
        let tc = oracle.tc(&lab.namespace, "filter show dev a parent 6e73:");
        let program = tc.as_array().unwrap().iter().find_map(|one| one["options"]["bytecode"].as_object());
        assert_eq!(program.unwrap()["length"], 4, "{tc}");
        // tc(8) of iproute2 6.1 has no JSON for classes.
        let tc = oracle.tc_text(&lab.namespace, "class show dev a");
        assert!(tc.contains("class htb 6e73:2 root leaf 7: prio 0 rate 100Gbit ceil 100Gbit"), "{tc}");

        oracle.change(&lab.namespace, "addr add 10.0.0.1/24 dev a");
        let socket = lab.namespace.run(|| std::net::UdpSocket::bind("10.0.0.1:0")).unwrap().unwrap();
        oracle.change(&lab.namespace, "neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev a nud permanent");
        for _ in 0..50 {
            socket.send_to(&[0; 100], "10.0.0.9:9").expect("what is lost on purpose is no error");
        }
        let lost = Queues::read(&mut lab.socket).unwrap();
        let hole = lost.qdiscs.iter().find(|one| one.handle == Handle::qdisc(7)).unwrap();
        assert!(hole.statistics.drops >= 50, "{hole:?}");

        lab.socket.request(&ChangeFilter { delete: true, ..filter }).unwrap();
        assert!(Queues::read(&mut lab.socket).unwrap().filters.is_empty());
        let gone = ChangeClass { link, handle: ROOT.class(1), parent: ROOT, kind: None };
        lab.socket.request(&gone).unwrap();
        assert_eq!(Queues::read(&mut lab.socket).unwrap().classes.len(), 1);
    });
}

#[test]
fn a_queue_is_changed_in_place_and_replaced_by_another_name() {
    privileged(|| {
        let mut lab = Lab::new();
        let (link, _) = lab.veth("a", "b");
        let tbf = |rate| QdiscKind::Tbf(Tbf { rate, burst: Ticks::to_send(5000, rate), limit: 60_000 });
        set(&mut lab, link, tbf(1_000_000)).unwrap();
        set(&mut lab, link, tbf(2_000_000)).unwrap();
        let error = set(&mut lab, link, QdiscKind::Blackhole).unwrap_err();
        assert_eq!(error.errno(), Some(rustix::io::Errno::INVAL), "the kind cannot change: {error}");
        let other = ChangeQdisc {
            link,
            handle: Handle::qdisc(9),
            parent: Handle::ROOT,
            kind: Some(QdiscKind::Blackhole),
        };
        lab.socket.request(&other).unwrap();
        let shown = Queues::read(&mut lab.socket).unwrap().qdiscs;
        let own: Vec<_> = shown.iter().filter(|one| one.link == link).collect();
        assert_eq!(own.len(), 1);
        assert_eq!((own[0].handle, &own[0].kind), (Handle::qdisc(9), &QdiscKind::Blackhole));
    });
}

#[test]
fn a_kind_that_no_kernel_has_is_refused_as_such() {
    privileged(|| {
        let mut lab = Lab::new();
        let (link, _) = lab.veth("a", "b");
        let kind = QdiscKind::Other { name: "nslab_no_such".to_owned(), options: Vec::new() };
        let error = set(&mut lab, link, kind).unwrap_err();
        assert_eq!(error.errno(), Some(rustix::io::Errno::NOENT), "{error}");
    });
}
