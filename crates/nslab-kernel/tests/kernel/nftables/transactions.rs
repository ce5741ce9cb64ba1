//! All or nothing, and whose fault it was.

use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::build::{Field, RuleBuilder, SetKey, interval_elements};
use nslab_kernel::nftables::{
    BaseChain, Chain, Data, Element, Expr, Family, Hook, QueueNumber, Rule, RulePlace, Ruleset, SetFlags,
    Table, Transaction, TransactionError, Verdict,
};
use nslab_testing::privileged;
use rustix::io::Errno;

use super::support::Tables;

fn table() -> Table {
    let mut table = Table::new(Family::Inet, "lab");
    table.chains.push(Chain::base("in", BaseChain::filter(Hook::Input)));
    table
}

#[test]
fn a_refused_change_is_named_and_nothing_is_changed() {
    privileged(|| {
        let mut tables = Tables::new();
        let mut transaction = Transaction::new();
        let table = table();
        transaction.load(&table);
        let accept = RuleBuilder::new(Family::Inet).accept();
        for number in 0..500 {
            let jump = RuleBuilder::new(Family::Inet).jump(&format!("nowhere{number}"));
            let wrong = number % 100 == 7;
            transaction.add_rule(&table.id, "in", if wrong { &jump } else { &accept }, RulePlace::Last);
        }
        for check in [true, false] {
            let answer = if check {
                transaction.check(&mut tables.socket)
            } else {
                transaction.commit(&mut tables.socket)
            };
            let Err(TransactionError::Refused(refused)) = answer else { panic!("{answer:?}") };
            let places: Vec<_> = refused.iter().map(|refused| refused.change.unwrap()).collect();
            assert_eq!(places, [9, 109, 209, 309, 409]);
            assert_eq!(refused[0].refusal.errno, Errno::NOENT);
            assert_eq!(refused[0].words, "add rule in chain in of table inet lab");
            assert_eq!(refused[0].expression.as_deref(), Some("immediate"));
            assert_eq!(tables.read().tables, []);
        }
    });
}

#[test]
fn a_check_changes_nothing() {
    privileged(|| {
        let mut tables = Tables::new();
        let mut transaction = Transaction::new();
        transaction.load(&table());
        transaction.check(&mut tables.socket).unwrap();
        assert_eq!(tables.read().tables, []);
        transaction.commit(&mut tables.socket).unwrap();
        assert_eq!(tables.read().tables.len(), 1);
    });
}

#[test]
fn thousands_of_refusals_do_not_hang_it() {
    privileged(|| {
        let mut tables = Tables::new();
        let mut transaction = Transaction::new();
        let table = table();
        transaction.load(&table);
        let jump = RuleBuilder::new(Family::Inet).jump("nowhere");
        for _ in 0..3000 {
            transaction.add_rule(&table.id, "in", &jump, RulePlace::Last);
        }
        let error = transaction.commit(&mut tables.socket).unwrap_err();
        let TransactionError::Refused(refused) = &error else { panic!("{error}") };
        assert_eq!(refused[0].change, Some(2));
        assert_eq!(tables.read().tables, [], "the socket is as good as before");
    });
}

#[test]
fn changes_of_others_are_noticed() {
    privileged(|| {
        let mut tables = Tables::new();
        tables.load(&[table()]);
        let generation = tables.read().generation;
        let mut transaction = Transaction::new();
        transaction.expect_generation(generation);
        transaction.delete_table(&table().id);

        let mut other = tables.namespace.run(|| Socket::open(Protocol::Netfilter)).unwrap().unwrap();
        let mut change = Transaction::new();
        change.add_chain(&table().id, &Chain::regular("new"));
        change.commit(&mut other).unwrap();

        let answer = transaction.commit(&mut tables.socket);
        assert!(matches!(answer, Err(TransactionError::Overtaken)), "{answer:?}");
        let generation = Ruleset::read_generation(&mut tables.socket).unwrap();
        transaction.expect_generation(generation);
        transaction.commit(&mut tables.socket).unwrap();
        assert_eq!(tables.read().tables, []);
    });
}

#[test]
fn what_the_kernel_lacks_is_named() {
    privileged(|| {
        let mut tables = Tables::new();
        let mut transaction = Transaction::new();
        let mut table = table();
        let number = QueueNumber::Fixed { first: 1, total: 1 };
        table.chains[0].rules = vec![Rule::new([Expr::Queue { number, flags: 0 }])];
        transaction.load(&table);
        match transaction.commit(&mut tables.socket) {
            Err(error @ TransactionError::Unsupported { option, .. }) => {
                assert_eq!(option, "CONFIG_NFT_QUEUE");
                assert!(error.to_string().contains("expression \"queue\" in family inet"), "{error}");
            }
            // A kernel that has it.
            answer => answer.unwrap(),
        }
    });
}

/// A set of as many prefixes as the number says, of 24 to 32 bits.
fn prefixes(count: u32) -> Vec<Element> {
    interval_elements((0..count).map(|number| {
        let first = 0x0a00_0000 + number * 512;
        (Data::be32(first), Data::be32(first + (1 << (number % 9)) - 1))
    }))
}

#[test]
fn a_hundred_thousand_prefixes_are_one_transaction() {
    privileged(|| {
        let mut tables = Tables::new();
        let mut table = table();
        let mut set = SetKey(&[Field::SourceIp4]).named("prefixes");
        set.flags |= SetFlags::INTERVAL;
        set.elements = prefixes(100_000);
        table.sets.push(set);
        table.chains[0].rules =
            vec![RuleBuilder::new(Family::Inet).in_set(Field::SourceIp4, "prefixes").drop()];
        let mut transaction = Transaction::new();
        transaction.load(&table);
        match transaction.commit(&mut tables.socket) {
            // An ordinary user's sends are limited.
            Err(TransactionError::TooLarge { size, limit }) => {
                assert!(size > limit && limit > 100_000, "{size} {limit}");
                assert_eq!(tables.read().tables, []);
            }
            answer => {
                answer.unwrap();
                let read = tables.read();
                let read = read.tables[0].set("prefixes").unwrap();
                assert_eq!(read.ranges().len(), 100_000);
                assert_eq!(read.elements.len(), table.sets[0].elements.len());
                assert!(read.elements == table.sets[0].elements);
            }
        }
    });
}

#[test]
fn rules_go_where_they_are_told() {
    privileged(|| {
        let mut tables = Tables::new();
        let table = table();
        tables.load(std::slice::from_ref(&table));
        let rule = |comment: &str| RuleBuilder::new(Family::Inet).comment(comment).counter().go_on();
        let comments = |tables: &mut Tables| -> Vec<(String, u64)> {
            let read = tables.read();
            let rules = &read.tables[0].chains[0].rules;
            let comment = |rule: &Rule| {
                let noted = nslab_kernel::nftables::UserData::parse(&rule.user_data);
                (noted.comment().unwrap().to_owned(), rule.handle)
            };
            rules.iter().map(comment).collect()
        };
        let change = |tables: &mut Tables, rule: &Rule, place| {
            let mut transaction = Transaction::new();
            transaction.add_rule(&table.id, "in", rule, place);
            transaction.commit(&mut tables.socket).unwrap();
            comments(tables)
        };
        change(&mut tables, &rule("b"), RulePlace::Last);
        change(&mut tables, &rule("a"), RulePlace::First);
        let now = change(&mut tables, &rule("d"), RulePlace::Last);
        let (b, d) = (now[1].1, now[2].1);
        change(&mut tables, &rule("c"), RulePlace::Before(d));
        change(&mut tables, &rule("b2"), RulePlace::After(b));
        let now = change(&mut tables, &rule("B"), RulePlace::Instead(b));
        let words: Vec<&str> = now.iter().map(|(words, _)| words.as_str()).collect();
        assert_eq!(words, ["a", "B", "b2", "c", "d"]);

        let mut transaction = Transaction::new();
        transaction.delete_rule(&table.id, "in", now[0].1);
        transaction.commit(&mut tables.socket).unwrap();
        assert_eq!(comments(&mut tables).len(), 4);
        let mut transaction = Transaction::new();
        transaction.flush_chain(&table.id, "in");
        transaction.add_rule(&table.id, "in", &Rule::new([Expr::Verdict(Verdict::Drop)]), RulePlace::Last);
        transaction.commit(&mut tables.socket).unwrap();
        assert_eq!(tables.read().tables[0].chains[0].rules.len(), 1);
    });
}

#[test]
fn elements_come_and_go() {
    privileged(|| {
        let mut tables = Tables::new();
        let mut table = table();
        let mut set = SetKey(&[Field::DestinationPort]).named("ports");
        set.elements = (1..=1000).map(|port| Element::new(Data::be16(port))).collect();
        table.sets.push(set);
        tables.load(std::slice::from_ref(&table));
        let mut transaction = Transaction::new();
        transaction.delete_elements(&table.id, "ports", &table.sets[0].elements[10..]);
        transaction.add_elements(&table.id, "ports", &[Element::new(Data::be16(2000))]);
        transaction.commit(&mut tables.socket).unwrap();
        assert_eq!(tables.read().tables[0].sets[0].elements.len(), 11);
        let mut transaction = Transaction::new();
        transaction.flush_set(&table.id, "ports");
        transaction.commit(&mut tables.socket).unwrap();
        assert_eq!(tables.read().tables[0].sets[0].elements.len(), 0);
    });
}

#[test]
fn a_table_takes_the_place_of_another() {
    privileged(|| {
        let mut tables = Tables::new();
        let mut table = table();
        for number in 0..3 {
            table.chains.push(Chain::regular(format!("sub{number}")));
            let mut transaction = Transaction::new();
            transaction.replace(&table);
            transaction.commit(&mut tables.socket).unwrap();
            let read = tables.read();
            assert_eq!((read.tables.len(), read.tables[0].chains.len()), (1, number + 2));
        }
    });
}

#[test]
fn a_large_table_is_loaded_by_anyone() {
    privileged(|| {
        let mut tables = Tables::new();
        let mut table = table();
        let mut set = SetKey(&[Field::SourceIp4]).named("prefixes");
        set.flags |= SetFlags::INTERVAL;
        set.elements = prefixes(30_000);
        table.sets.push(set);
        let new = || RuleBuilder::new(Family::Inet);
        table.chains[0].rules =
            (0..2000).map(|number| new().comment(&format!("{number}")).counter().go_on()).collect();
        table.chains[0].rules.push(new().in_set(Field::SourceIp4, "prefixes").drop());
        table.load(&mut tables.socket).unwrap();
        let read = tables.read();
        assert_eq!(read.comparable().tables, [table.comparable()]);

        let mut copy = Tables::new();
        table.load_in_parts(&mut copy.socket, 20_000).unwrap();
        assert_eq!(copy.read().comparable(), read.comparable());

        // If the last rule is refused, nothing remains.
        table.chains[0].rules.push(new().jump("nowhere"));
        let mut copy = Tables::new();
        let error = table.load_in_parts(&mut copy.socket, 20_000).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::NOENT), "{error}");
        assert_eq!(copy.read().tables, []);
        table.chains[0].rules.pop();

        // It must not be there, and what is there is left alone.
        let error = table.load(&mut tables.socket).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::EXIST), "{error}");
        assert_eq!(tables.read(), read);
    });
}
