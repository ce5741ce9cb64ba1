//! All pairs by classes are what each pair is by itself.

use std::fmt::Write as _;

use nslab_predict::Network;
use nslab_predict::reach::{Family, Service, ask, reach};
use nslab_testing::privileged;

use crate::made::Made;

/// Three segments of hosts around a firewall.
fn tiers(hosts: usize) -> String {
    let mut text = String::new();
    for (number, tier) in ["web", "app", "dbs"].iter().enumerate() {
        let _ = writeln!(text, "{tier}sw: link add br0 type bridge\n{tier}sw: link set br0 up");
        let _ = writeln!(text, "fw -- {tier}sw\n{tier}sw: link set fw master br0");
        let _ = writeln!(text, "fw: address add 10.0.{number}.1/24 dev {tier}sw");
        for host in 0..hosts {
            let name = format!("{tier}{host}");
            let _ = writeln!(text, "{name} -- {tier}sw\n{tier}sw: link set {name} master br0");
            let _ = writeln!(text, "{name}: address add 10.0.{number}.{}/24 dev {tier}sw", host + 10);
            let _ = writeln!(text, "{name}: route add default via 10.0.{number}.1");
        }
    }
    text + "fw: sysctl net.ipv4.ip_forward=1\n\
            fw: nft table inet t {; set special {; type ipv4_addr; elements = { 10.0.1.11 }; }; \
            chain c {; type filter hook forward priority 0~policy drop; ct state established,related accept; \
            ip saddr 10.0.0.0/24 ip daddr 10.0.1.0/24 accept; ip saddr @special ip daddr 10.0.2.0/24 accept; \
            ip daddr 10.0.0.12 drop; }; }\n\
            app2: sysctl net.ipv4.icmp_echo_ignore_all=1\n\
            dbssw: link set dbs1 type bridge_slave isolated on\n\
            dbssw: link set dbs2 type bridge_slave isolated on\n"
}

#[test]
fn classes_of_hosts_fare_as_their_members() {
    privileged(|| {
        let Some(made) = Made::new(&tiers(5)) else { return };
        let snapshot = made.snapshot();
        let places: Vec<usize> = (0..snapshot.namespaces.len()).collect();
        let network = Network::of(&snapshot);
        let services = [Service::Echo, Service::Tcp(80)];
        let all = reach(&network, &places, &services, Family::Any);
        assert!(all.class_count() <= 14, "{}", all.class_count());
        let mut verdicts = std::collections::BTreeMap::new();
        for (from, &sender) in places.iter().enumerate() {
            for (to, &receiver) in places.iter().enumerate().filter(|(to, _)| *to != from) {
                for (number, &service) in services.iter().enumerate() {
                    let (one, whole) = (
                        ask(&network, sender, receiver, service, Family::Any),
                        all.cell(from, to, number).unwrap(),
                    );
                    let code =
                        |cell: &nslab_predict::reach::Cell| cell.cause.as_ref().map(|cause| cause.code);
                    assert_eq!(
                        (one.verdict, code(&one)),
                        (whole.verdict, code(whole)),
                        "{from} {to} {service}"
                    );
                    *verdicts.entry(one.verdict).or_insert(0) += 1;
                }
            }
        }
        assert!(verdicts.len() >= 3, "{verdicts:?}");
    });
}
