//! Bad links that get better and worse, by nslab and by hand.

use nslab_kernel::qdisc::QdiscKind;
use nslab_lab::plan::Op;
use nslab_lab::shaping::Queue;
use nslab_testing::{Oracle, privileged};

use super::{has_netem, queues};
use crate::support::{Site, state, wanted};

fn pair(options: &str) -> String {
    format!("name: p\nnodes: {{a: {{}}, b: {{}}}}\nlinks: [[a 10.1.0.1/24, b 10.1.0.2/24{options}]]\n")
}

fn queue(site: &Site) -> Queue {
    let state = state(&site.node("p", "a"));
    Queue::of(&state, state.links[1].index)
}

#[test]
fn only_the_queue_changes_and_in_place_where_it_can() {
    privileged(|| {
        let site = Site::new();
        site.up(&wanted(&pair(", {rate: 10mbit}")));
        let index = |site: &Site| state(&site.node("p", "a")).links[1].index;
        let link = index(&site);
        for options in
            [", {rate: 20mbit}", ", {rate: 20mbit, loss: 5%}", ", {loss: 6%}", "", ", {rate: 1gbit}"]
        {
            let lab = wanted(&pair(options));
            let built = site.up(&lab);
            let ops: Vec<&Op> = built.plan.steps().map(|step| &step.op).collect();
            assert_eq!(ops.len(), 2, "{options}: {ops:?}");
            assert!(ops.iter().all(|op| matches!(op, Op::SetQueue { .. })), "{options}: {ops:?}");
            assert!(site.labs(|labs| labs.plan(&lab)).unwrap().is_empty(), "{options}");
            assert_eq!(index(&site), link);
        }
        site.down("p");
    });
}

#[test]
fn a_changed_rate_keeps_the_packets_that_wait() {
    privileged(|| {
        let site = Site::new();
        site.up(&wanted(&pair(", {rate: 64kbit}")));
        let from = super::traffic::socket(&site.node("p", "a"), "10.1.0.1:0");
        for _ in 0..10 {
            from.send_to(&[0; 1000], "10.1.0.2:9").unwrap();
        }
        let waiting = |site: &Site| {
            let all = queues(&site.node("p", "a")).qdiscs;
            all.into_iter().find(|one| one.kind.name() == "tbf").unwrap().statistics
        };
        assert!(waiting(&site).queue_packets > 3, "{:?}", waiting(&site));
        let sent = waiting(&site).packets;
        site.up(&wanted(&pair(", {rate: 100mbit}")));
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while waiting(&site).packets < 10 {
            assert!(std::time::Instant::now() < limit, "{:?} after {sent}", waiting(&site));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        site.down("p");
    });
}

#[test]
fn what_was_changed_by_hand_is_seen_and_mended() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let site = Site::new();
        let lab = wanted(&pair(", {rate: 10mbit, loss: 5%}"));
        site.up(&lab);
        let a = site.node("p", "a");
        let whole = queue(&site);
        let netem = has_netem();
        let mut by_hand =
            vec!["qdisc del dev eth0 root", "qdisc replace dev eth0 root handle 9: bfifo limit 9999"];
        if netem {
            by_hand.push("qdisc change dev eth0 root netem loss 7%");
            by_hand.push("qdisc change dev eth0 parent 6e73:1 tbf rate 5mbit burst 5000 limit 67500");
        } else {
            by_hand.push("filter del dev eth0 parent 6e73:");
            by_hand.push("qdisc change dev eth0 parent 6e73:1 tbf rate 5mbit burst 5000 limit 67500");
            by_hand.push("class change dev eth0 parent 6e73: classid 6e73:1 htb rate 1mbit quantum 1500");
        }
        for command in by_hand {
            oracle.tc_text(&a, command);
            let plan = site.labs(|labs| labs.plan(&lab)).unwrap();
            assert_eq!(plan.len(), 1, "{command}: {:?}", plan.steps().collect::<Vec<_>>());
            site.up(&lab);
            assert!(site.labs(|labs| labs.plan(&lab)).unwrap().is_empty(), "{command}");
            let now = queue(&site);
            let kinds = |queue: &Queue| -> Vec<_> {
                queue.qdiscs.iter().map(|one| (one.parent, one.handle, one.kind.name().to_owned())).collect()
            };
            assert_eq!(kinds(&now), kinds(&whole), "{command}");
            assert_eq!(
                (now.classes, now.filters),
                (whole.classes.clone(), whole.filters.clone()),
                "{command}"
            );
        }
        site.down("p");
    });
}

#[test]
fn a_queue_that_somebody_else_gave_a_good_link_stays() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let site = Site::new();
        let lab = wanted(&pair(""));
        site.up(&lab);
        let a = site.node("p", "a");
        oracle.tc_text(&a, "qdisc add dev eth0 root handle 9: bfifo limit 9999");
        assert!(site.labs(|labs| labs.plan(&lab)).unwrap().is_empty());
        // One that is nslab's own by its name, left by an interruption, goes.
        oracle.tc_text(&a, "qdisc replace dev eth0 root handle 6e73: bfifo limit 9999");
        assert_eq!(site.labs(|labs| labs.plan(&lab)).unwrap().len(), 1);
        site.up(&lab);
        assert!(queues(&a).qdiscs.iter().all(|one| one.kind == QdiscKind::Noqueue));
        site.down("p");
    });
}

#[test]
fn taking_back_brings_the_queue_back() {
    privileged(|| {
        let site = Site::new();
        let lab = wanted(&pair(", {rate: 10mbit, loss: 5%}"));
        let built = site.up(&lab);
        let before = queue(&site);
        for step in built.plan.steps() {
            let inverse = step.op.inverse();
            if matches!(step.op, Op::SetQueue { .. }) {
                assert_eq!(inverse.inverse(), step.op);
            }
        }
        // An interface of a foreign kind under a name that is needed is refused after the queue was planned.
        let worse = wanted(
            &pair(", {rate: 20mbit}").replace("b: {}", "b: {sysctl: {net.ipv4.conf.eth0.no_such: 1}}"),
        );
        let error = site.labs(|labs| labs.up(&worse)).unwrap_err();
        assert!(error.to_string().contains("no_such"), "{error}");
        let now = queue(&site);
        assert!(before.is_met_by(&now), "{now:?}");
        site.down("p");
    });
}

#[test]
fn what_this_kernel_cannot_do_is_refused_before_anything_is_touched() {
    privileged(|| {
        let site = Site::new();
        let source = pair(", {delay: 5ms, corrupt: 1%}");
        let result = site.labs(|labs| labs.up(&wanted(&source)));
        if has_netem() {
            result.unwrap();
            site.down("p");
            return;
        }
        let error = result.unwrap_err();
        assert!(matches!(error, nslab_lab::Error::Machine { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("delay on a:eth0 (test.yaml:3:") && text.contains("CONFIG_NET_SCH_NETEM"),
            "{text}"
        );
        site.assert_clean();
    });
}
