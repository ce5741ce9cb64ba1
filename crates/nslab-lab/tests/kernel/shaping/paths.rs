//! One segment, and what happens between two of its nodes in particular.

use std::time::Duration;

use nslab_kernel::qdisc::QdiscKind;
use nslab_testing::privileged;

use super::traffic::{lost, send, socket, warm_up};
use super::{has_netem, queues};
use crate::support::{Site, state, wanted};

const STAR: &str = "\
name: w
nodes: {hq: {}, alpha: {forward: true}, beta: {}, behind: {}}
switches:
  wan:
    subnets: [10.1.0.0/24, 'fd01::/64']
    paths:
      - hq -- alpha: {loss: 40%}
      - hq -> beta: {loss: 0%}
links:
  - [hq 10.1.0.1/24 fd01::1/64, wan]
  - [alpha 10.1.0.2/24 fd01::2/64, wan]
  - [beta 10.1.0.3/24 fd01::3/64, wan]
  - [alpha 10.2.0.1/24, behind 10.2.0.2/24]
";

const MANY: (u32, usize, Duration) = (1000, 100, Duration::from_micros(100));

#[test]
fn each_pair_has_its_own_loss_in_both_families_and_for_what_is_behind() {
    privileged(|| {
        let site = Site::new();
        site.up(&wanted(STAR));
        let [hq, alpha, beta, behind] = ["hq", "alpha", "beta", "behind"].map(|node| site.node("w", node));
        let share = |from: (&_, &str), to: (&_, &str)| {
            let (from, to) = (socket(from.0, from.1), socket(to.0, to.1));
            lost(&send(&from, &to, to.local_addr().unwrap(), MANY), MANY.0)
        };
        // Six times the standard deviation of 0.0155.
        let near = |share: f64| (share - 0.4).abs() < 0.093;
        for (from, to) in [
            ((&hq, "10.1.0.1:0"), (&alpha, "10.1.0.2:0")),
            ((&alpha, "10.1.0.2:0"), (&hq, "10.1.0.1:0")),
            ((&hq, "[fd01::1]:0"), (&alpha, "[fd01::2]:0")),
            ((&hq, "10.1.0.1:0"), (&behind, "10.2.0.2:0")),
        ] {
            let share = share(from, to);
            assert!(near(share), "{} to {}: {share}", from.1, to.1);
        }
        assert!(share((&hq, "10.1.0.1:0"), (&beta, "10.1.0.3:0")) == 0.0);
        assert!(share((&beta, "[fd01::3]:0"), (&alpha, "[fd01::2]:0")) == 0.0);
        site.down("w");
    });
}

#[test]
fn neighbours_find_each_other_where_all_else_is_lost() {
    privileged(|| {
        let site = Site::new();
        site.up(&wanted(&STAR.replace("40%", "100%")));
        let hq = site.node("w", "hq");
        for (own, other) in [("10.1.0.1:0", "10.1.0.2:9"), ("[fd01::1]:0", "[fd01::2]:9")] {
            socket(&hq, own).send_to(&[1; 10], other).unwrap();
            let address: std::net::SocketAddr = other.parse().unwrap();
            let limit = std::time::Instant::now() + Duration::from_secs(10);
            loop {
                let known = state(&hq).neighbours;
                if known.iter().any(|one| one.address == address.ip() && one.mac.is_some()) {
                    break;
                }
                assert!(std::time::Instant::now() < limit, "{other} is not found: {known:?}");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let all = queues(&hq).qdiscs;
        let dropped: u64 = all.iter().map(|one| one.statistics.drops).max().unwrap();
        assert!(dropped >= 1, "{all:?}");
        site.down("w");
    });
}

#[test]
fn a_path_stands_in_place_of_what_the_end_says() {
    privileged(|| {
        let site = Site::new();
        let source = STAR
            .replace(
                "- [hq 10.1.0.1/24 fd01::1/64, wan]",
                "- [{node: hq, addresses: [10.1.0.1/24], loss: 30%}, wan]",
            )
            .replace("loss: 40%", "rate: 100mbit");
        site.up(&wanted(&source));
        let [hq, alpha, beta] = ["hq", "alpha", "beta"].map(|node| site.node("w", node));
        let from = socket(&hq, "10.1.0.1:0");
        let (alpha, beta) = (socket(&alpha, "10.1.0.2:0"), socket(&beta, "10.1.0.3:0"));
        let few = (300, 100, Duration::from_micros(100));
        // ARP belongs to the rest, which loses.
        for to in [&alpha, &beta] {
            warm_up(&from, to);
        }
        assert_eq!(send(&from, &alpha, alpha.local_addr().unwrap(), few).len(), 300);
        assert_eq!(send(&from, &beta, beta.local_addr().unwrap(), few).len(), 300, "0% stands there too");
        let kinds: Vec<_> = queues(&hq).qdiscs.iter().map(|one| one.kind.name().to_owned()).collect();
        assert!(kinds.contains(&"htb".to_owned()) && kinds.contains(&"tbf".to_owned()), "{kinds:?}");
        site.down("w");
    });
}

#[test]
fn each_pair_has_its_own_delay() {
    privileged(|| {
        if !has_netem() {
            return;
        }
        let site = Site::new();
        let source = STAR.replace("loss: 40%", "delay: 60ms").replace("loss: 0%", "delay: 20ms");
        site.up(&wanted(&source));
        let [hq, alpha, beta] = ["hq", "alpha", "beta"].map(|node| site.node("w", node));
        let from = socket(&hq, "10.1.0.1:0");
        for (to, delay) in [(socket(&alpha, "10.1.0.2:0"), 60), (socket(&beta, "10.1.0.3:0"), 20)] {
            let got = send(&from, &to, to.local_addr().unwrap(), (20, 100, Duration::from_millis(2)));
            let least = got.iter().map(|one| one.took).min().unwrap();
            let delay = Duration::from_millis(delay);
            assert!((delay..delay + Duration::from_millis(15)).contains(&least), "{least:?}");
        }
        assert!(queues(&hq).qdiscs.iter().any(|one| matches!(one.kind, QdiscKind::Netem(_))));
        site.down("w");
    });
}
