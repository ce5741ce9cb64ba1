//! Adding, deleting and reading policy rules.

use nslab_kernel::rule::{self, ChangeRule, Rule, RuleAction};
use nslab_testing::{Oracle, privileged};

use crate::support::{Lab, name};

#[test]
fn a_new_namespace_has_the_kernels_rules() {
    privileged(|| {
        let mut lab = Lab::new();
        let rules = rule::list(&mut lab.socket).unwrap();
        let short: Vec<_> = rules.iter().map(|rule| (rule.ipv6, rule.priority, rule.action)).collect();
        let [local, main, default] = [255, 254, 253].map(RuleAction::Table);
        assert_eq!(
            short,
            [
                (false, 0, local),
                (false, 32766, main),
                (false, 32767, default),
                (true, 0, local),
                (true, 32766, main)
            ]
        );
        assert!(rules.iter().all(|rule| rule.protocol == 2 && rule.suppress_prefix_length.is_none()));
    });
}

#[test]
fn rules_are_read_as_they_were_added_and_deleted() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let mut lab = Lab::new();
        let four = |priority, action| Rule::new(false, priority, action);
        let rules = [
            Rule { from: Some("10.0.0.0/8".parse().unwrap()), ..four(10, RuleAction::Table(1000)) },
            Rule { to: Some("192.0.2.1/32".parse().unwrap()), ..four(11, RuleAction::Table(200)) },
            Rule { iif: Some(name("a")), oif: Some(name("b")), ..four(12, RuleAction::Table(200)) },
            Rule { fwmark: Some((0x10, 0xff)), invert: true, ..four(13, RuleAction::Table(51820)) },
            Rule {
                suppress_prefix_length: Some(0),
                suppress_group: Some(4),
                ..four(14, RuleAction::Table(254))
            },
            Rule { tos: 0x10, ip_protocol: Some(6), ..four(15, RuleAction::Blackhole) },
            Rule {
                ip_protocol: Some(17),
                source_ports: Some((1000, 2000)),
                destination_ports: Some((53, 53)),
                ..four(16, RuleAction::Unreachable)
            },
            Rule { users: Some((0, 0)), protocol: 4, ..four(17, RuleAction::Prohibit) },
            four(18, RuleAction::Goto(32766)),
            four(19, RuleAction::Nop),
            Rule {
                from: Some("2001:db8::/32".parse().unwrap()),
                ..Rule::new(true, 20, RuleAction::Table(70_000))
            },
            Rule { fwmark: Some((0, 1)), ..Rule::new(true, 21, RuleAction::Table(7)) },
        ];
        let before = rule::list(&mut lab.socket).unwrap();
        for rule in &rules {
            lab.socket.request(&ChangeRule { rule: rule.clone(), delete: false }).unwrap();
            let read = rule::list(&mut lab.socket).unwrap();
            assert!(read.contains(rule), "{rule:?} is not in {read:#?}");
        }
        let shown = oracle.ip(&lab.namespace, "-4 rule show");
        let by = |priority: u32| {
            shown.as_array().unwrap().iter().find(|rule| rule["priority"] == priority).cloned().unwrap()
        };
        assert_eq!(
            (&by(10)["src"], &by(10)["srclen"], &by(10)["table"]),
            (&"10.0.0.0".into(), &8.into(), &"1000".into())
        );
        assert_eq!((&by(12)["iif"], &by(12)["oif"]), (&"a".into(), &"b".into()));
        assert_eq!((&by(13)["fwmark"], &by(13)["fwmask"]), (&"0x10".into(), &"0xff".into()));
        assert_eq!(by(14)["suppress_prefixlen"], 0);
        assert_eq!((&by(16)["sport_start"], &by(16)["dport"]), (&1000.into(), &53.into()));
        assert_eq!((&by(17)["uid_start"], &by(17)["action"]), (&0.into(), &"prohibit".into()));

        let twice = lab.socket.request(&ChangeRule { rule: rules[0].clone(), delete: false }).unwrap_err();
        assert_eq!(twice.errno(), Some(rustix::io::Errno::EXIST), "{twice}");
        for rule in rules {
            lab.socket.request(&ChangeRule { rule, delete: true }).unwrap();
        }
        assert_eq!(rule::list(&mut lab.socket).unwrap(), before);
    });
}
