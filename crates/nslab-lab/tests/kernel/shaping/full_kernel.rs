//! What needs netem: skipped, with the reason said, on kernels without it.

use std::collections::BTreeMap;
use std::time::Duration;

use nslab_kernel::qdisc::QdiscKind;
use nslab_testing::privileged;

use super::traffic::{Got, flood, is_right, lost, send, socket, warm_up};
use super::{has_netem, queues};
use crate::support::{Site, wanted};

/// What comes of datagrams over a link with `options`.
fn over(options: &str, load: (u32, usize, Duration)) -> Option<Vec<Got>> {
    if !has_netem() {
        return None;
    }
    let site = Site::new();
    site.up(&wanted(&format!(
        "name: n\nseed: 7\nnodes: {{a: {{}}, b: {{}}}}\nlinks: [[a 10.1.0.1/24, b 10.1.0.2/24, {options}]]\n"
    )));
    let from = socket(&site.node("n", "a"), "10.1.0.1:0");
    let to = socket(&site.node("n", "b"), "10.1.0.2:0");
    warm_up(&from, &to);
    let got = send(&from, &to, to.local_addr().unwrap(), load);
    site.down("n");
    Some(got)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[test]
fn a_delay_is_kept() {
    privileged(|| {
        let Some(got) = over("{delay: 50ms}", (50, 100, Duration::from_millis(3))) else { return };
        assert_eq!(got.len(), 50);
        let mut took: Vec<f64> = got.iter().map(|one| milliseconds(one.took)).collect();
        took.sort_by(f64::total_cmp);
        assert!(took[0] >= 50.0 && took[took.len() / 2] < 60.0, "{took:?}");
    });
}

#[test]
fn a_jitter_spreads_the_delay() {
    privileged(|| {
        let Some(got) = over("{delay: 60ms, jitter: 40ms}", (300, 100, Duration::from_millis(1))) else {
            return;
        };
        assert_eq!(got.len(), 300);
        let took: Vec<f64> = got.iter().map(|one| milliseconds(one.took)).collect();
        let mean = took.iter().sum::<f64>() / 300.0;
        let (least, most) = took.iter().fold((f64::MAX, 0.0_f64), |(l, m), &one| (l.min(one), m.max(one)));
        assert!((20.0..35.0).contains(&least) && most > 85.0, "{least} to {most}");
        // Uniform from 20 to 100: its mean of 300 has a standard deviation of 1.3.
        assert!((52.0..75.0).contains(&mean), "{mean}");
    });
}

#[test]
fn a_normal_jitter_has_tails_and_a_pareto_one_only_late() {
    privileged(|| {
        let spread = |distribution: &str| {
            let options = format!("{{delay: 100ms, jitter: 20ms, distribution: {distribution}}}");
            let got = over(&options, (400, 100, Duration::from_millis(1)))?;
            assert_eq!(got.len(), 400, "{distribution}: there is room for the latest");
            let took: Vec<f64> = got.iter().map(|one| milliseconds(one.took)).collect();
            let share = |is: &dyn Fn(f64) -> bool| took.iter().filter(|&&one| is(one)).count();
            // Before one jitter early, and after one and a half late: a busy machine makes packets later, never earlier.
            Some((share(&|one| one < 79.0), share(&|one| one > 130.0)))
        };
        let Some((early, late)) = spread("normal") else { return };
        // A seventh is more than one standard deviation early, a fifteenth more than one and a half late.
        assert!(early.abs_diff(59) < 40 && late > 8, "normal: {early} early, {late} late");
        let (early, late) = spread("pareto").unwrap();
        assert!(early == 0 && late > 8, "pareto: {early} early, {late} late");
        let (early, _) = spread("uniform").unwrap();
        assert_eq!(early, 0);
    });
}

#[test]
fn correlations_and_distributions_are_read_back_and_changed() {
    privileged(|| {
        if !has_netem() {
            return;
        }
        let site = Site::new();
        let lab = |options: &str| {
            let links = format!("links: [[a 10.1.0.1/24, b 10.1.0.2/24, {options}]]");
            wanted(&format!("name: n\nseed: 7\nnodes: {{a: {{}}, b: {{}}}}\n{links}\n"))
        };
        for options in [
            "{delay: 10ms, jitter: 2ms 25%, loss: 1% 30%, duplicate: 2% 5%, reorder: 3% 50%, corrupt: 1% 2%}",
            "{delay: 10ms, jitter: 2ms, distribution: normal}",
            "{delay: 10ms, jitter: 2ms, distribution: pareto}",
            "{delay: 10ms, jitter: 2ms}",
            "{delay: 10ms, jitter: 2ms, distribution: paretonormal, rate: 10mbit}",
            "{delay: 10ms, loss: 5% 50%}",
        ] {
            let lab = lab(options);
            assert!(!site.up(&lab).plan.is_empty(), "{options}");
            assert!(site.labs(|labs| labs.plan(&lab)).unwrap().is_empty(), "{options}");
            let Some(oracle) = nslab_testing::Oracle::find() else { continue };
            let tc = oracle.tc_text(&site.node("n", "a"), "qdisc show dev eth0");
            for words in ["2ms 25%", "loss 1% 30%", "duplicate 2% 5%", "reorder 3% 50%", "corrupt 1% 2%"] {
                let wanted = options.contains("30%");
                assert_eq!(tc.contains(words), wanted, "{words}: {tc}");
            }
        }
        site.down("n");
    });
}

#[test]
fn a_loss_is_lost() {
    privileged(|| {
        let Some(got) = over("{loss: 10%, delay: 1ms}", (2000, 100, Duration::from_micros(50))) else {
            return;
        };
        let share = lost(&got, 2000);
        assert!((share - 0.1).abs() < 0.041, "{share}");
    });
}

#[test]
fn duplicates_come_twice() {
    privileged(|| {
        let Some(got) = over("{duplicate: 30%}", (1000, 100, Duration::from_micros(50))) else { return };
        let mut times: BTreeMap<u32, u32> = BTreeMap::new();
        for one in &got {
            *times.entry(one.number).or_default() += 1;
        }
        assert_eq!(times.len(), 1000, "none is lost");
        let twice = times.values().filter(|&&times| times == 2).count();
        assert!(twice.abs_diff(300) < 90, "{twice}");
    });
}

#[test]
fn what_is_reordered_overtakes_what_is_held() {
    privileged(|| {
        let Some(got) = over("{delay: 30ms, reorder: 25%}", (400, 100, Duration::from_millis(1))) else {
            return;
        };
        assert_eq!(got.len(), 400);
        let at_once = got.iter().filter(|one| one.took < Duration::from_millis(20)).count();
        assert!(at_once.abs_diff(100) < 60, "{at_once}");
        assert!(got.windows(2).any(|pair| pair[0].number > pair[1].number));
    });
}

#[test]
fn what_is_corrupted_is_dropped_by_its_checksum() {
    privileged(|| {
        let Some(got) = over("{corrupt: 20%}", (1000, 400, Duration::from_micros(50))) else { return };
        // The bit may be in the Ethernet header's padding-free 14 bytes or anywhere behind: nearly all make the packet
        // one that nobody takes.
        let share = lost(&got, 1000);
        assert!((share - 0.2).abs() < 0.08, "{share}");
    });
}

#[test]
fn delay_and_rate_are_both_kept() {
    privileged(|| {
        if !has_netem() {
            return;
        }
        let site = Site::new();
        site.up(&wanted(
            "name: n\nnodes: {a: {}, b: {}}\nlinks: [[a 10.1.0.1/24, b 10.1.0.2/24, {delay: 30ms, rate: 8mbit}]]\n",
        ));
        let from = socket(&site.node("n", "a"), "10.1.0.1:0");
        let to = socket(&site.node("n", "b"), "10.1.0.2:0");
        let few = send(&from, &to, to.local_addr().unwrap(), (20, 1000, Duration::from_millis(2)));
        let least = few.iter().map(|one| one.took).min().unwrap();
        assert!(least >= Duration::from_millis(30), "{least:?}");
        if let Err(measured) = is_right(8e6, || flood(&from, &to, 500, 1000)) {
            panic!("{measured:?}");
        }
        site.down("n");
    });
}

#[test]
fn a_seed_gives_the_same_losses_again() {
    privileged(|| {
        if !has_netem() {
            return;
        }
        let lab = |name: &str, seed: u64| {
            let site = Site::new();
            site.up(&wanted(&format!(
                "name: {name}\nseed: {seed}\nnodes: {{a: {{}}, b: {{}}}}\nlinks: [[a 10.1.0.1/24, b 10.1.0.2/24, {{loss: 50%}}]]\n"
            )));
            let seeds: Vec<Option<u64>> = queues(&site.node(name, "a"))
                .qdiscs
                .iter()
                .filter_map(
                    |one| if let QdiscKind::Netem(netem) = &one.kind { Some(netem.seed) } else { None },
                )
                .collect();
            site.down(name);
            seeds
        };
        let once = lab("n", 1);
        assert_eq!(once.len(), 1);
        assert_eq!(once, lab("n", 1));
        // A kernel before 6.6 has no seeds.
        assert!(once[0].is_none() || once != lab("n", 2));
    });
}

#[test]
fn each_vlan_of_a_switch_has_paths_of_its_own() {
    privileged(|| {
        if !has_netem() {
            return;
        }
        let site = Site::new();
        let lab = wanted(
            "name: n\naddressing: none\nnodes:\n  \
             a: {interfaces: {eth0.10: {type: vlan, link: eth0, id: 10, address: 10.1.10.1/24}, \
                              eth0.20: {type: vlan, link: eth0, id: 20, address: 10.1.20.1/24}}}\n  \
             b: {interfaces: {eth0.10: {type: vlan, link: eth0, id: 10, address: 10.1.10.2/24}}}\n  c: {}\n\
             switches:\n  lan:\n    vlans: [1, 10, 20]\n    paths:\n      \
             - a:eth0 -> b: {delay: 70ms}\n      - a:eth0.10 -> b: {delay: 20ms}\n      - a -> c: {delay: 40ms}\n\
             links:\n  - [a 10.1.1.1/24, lan, {vlans: [10, 20], native: 1}]\n  \
             - [b 10.1.1.2/24, lan, {vlans: [10], native: 1}]\n  - [c 10.1.20.3/24, lan, {vlan: 20}]\n",
        );
        site.up(&lab);
        assert!(site.labs(|labs| labs.plan(&lab)).unwrap().is_empty());
        let [a, b, c] = ["a", "b", "c"].map(|node| site.node("n", node));
        for (from, node, to, delay) in [
            // The VLANs' interfaces have the MACs of what they are on: only the tag tells whose path it is.
            ("10.1.1.1:0", &b, "10.1.1.2:0", 70),
            ("10.1.10.1:0", &b, "10.1.10.2:0", 20),
            ("10.1.20.1:0", &c, "10.1.20.3:0", 40),
        ] {
            let (from, to) = (socket(&a, from), socket(node, to));
            let got = send(&from, &to, to.local_addr().unwrap(), (20, 100, Duration::from_millis(2)));
            let least = got.iter().map(|one| one.took).min().unwrap();
            let delay = Duration::from_millis(delay);
            assert!((delay..delay + Duration::from_millis(15)).contains(&least), "{delay:?}: {least:?}");
        }
        site.down("n");
    });
}
