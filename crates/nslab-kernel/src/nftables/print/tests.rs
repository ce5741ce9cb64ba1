//! What stands in the text where there are no words. (That the words are right is tested against nft.)

use std::collections::HashMap;

use super::*;
use crate::nftables::build::{Field, RuleBuilder};
use crate::nftables::{Data, Expr};

fn words(rule: &Rule) -> RuleText {
    rule.to_nft(&Table::new(Family::Inet, "t"), Names::default())
}

#[test]
fn what_has_no_words_is_shown_as_it_is_and_commented_out() {
    let unknown = Expr::Unknown { name: "quantum".to_owned(), data: Some(Data::from([1, 2])) };
    let rule = RuleBuilder::new(Family::Inet).counter().expression(unknown).accept();
    let text = words(&rule);
    assert_eq!(
        (text.text.as_str(), text.complete),
        ("counter packets 0 bytes 0 [ quantum 0102 ] accept", false)
    );

    let mut table = Table::new(Family::Inet, "t");
    let mut chain = Chain::regular("c");
    chain.rules = vec![rule, RuleBuilder::new(Family::Inet).comment("fine").drop()];
    table.chains.push(chain);
    let wanted = "table inet t {\n\tchain c {\n\t\t# counter packets 0 bytes 0 [ quantum 0102 ] accept\n\
                  \t\tdrop comment \"fine\"\n\t}\n}\n";
    assert_eq!(table.to_nft(Names::default()), wanted);
}

#[test]
fn registers_that_nothing_was_loaded_into_do_not_matter() {
    let lost = Expr::Cmp {
        source: crate::nftables::Register::R4,
        op: crate::nftables::CmpOp::Equal,
        data: Data::u8(1),
    };
    assert!(!words(&Rule::new([lost])).complete);
    let lookup = RuleBuilder::new(Family::Inet).in_set(Field::Mark, "not there").accept();
    assert!(!words(&lookup).complete);
}

#[test]
fn only_what_nft_puts_in_again_is_left_out() {
    let new = || RuleBuilder::new(Family::Inet);
    let port = |rule: RuleBuilder| rule.equal(Field::DestinationPort, Data::be16(80)).accept();
    assert_eq!(words(&port(new().l4_protocol(6))).text, "tcp dport 80 accept");
    assert_eq!(
        words(&port(new().l4_protocol(6).counter())).text,
        "meta l4proto tcp counter packets 0 bytes 0 tcp dport 80 accept"
    );
    assert_eq!(words(&port(new().ipv4().l4_protocol(6))).text, "meta nfproto ipv4 tcp dport 80 accept");
    assert_eq!(words(&port(new())).text, "th dport 80 accept");
}

#[test]
fn what_never_matches_is_not_made_to_match() {
    use crate::nftables::{BitwiseOp, CmpOp, Register};
    let op = BitwiseOp::MaskXor { mask: Data::from([255, 0, 0, 0]), xor: Data::be32(0) };
    let rule = RuleBuilder::new(Family::Ip)
        .expression(Field::SourceIp4.load(Register::R1))
        .expression(Expr::Bitwise { source: Register::R1, destination: Register::R1, len: 4, op })
        .expression(Expr::Cmp { source: Register::R1, op: CmpOp::Equal, data: Data::from([10, 0, 0, 1]) })
        .accept();
    let text = rule.to_nft(&Table::new(Family::Ip, "t"), Names::default());
    assert_eq!(text.text, "ip saddr & 255.0.0.0 == 10.0.0.1 accept");
    assert!(text.complete);
}

#[test]
fn interfaces_have_names_where_they_are_known() {
    let rule = RuleBuilder::new(Family::Inet).equal(Field::Iif, Data::ne32(7)).accept();
    let table = Table::new(Family::Inet, "t");
    assert_eq!(rule.to_nft(&table, Names::default()).text, "iif 7 accept");
    let interfaces = HashMap::from([(7, "eth0".to_owned())]);
    let names = Names { interfaces: Some(&interfaces) };
    assert_eq!(rule.to_nft(&table, names).text, "iif \"eth0\" accept");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 1000, ..Default::default() })]

    #[test]
    fn no_rule_makes_the_printer_panic(
        expressions in proptest::collection::vec(crate::nftables::expr::tests::any_expr(), 0..8),
    ) {
        for family in Family::ALL {
            let table = Table::new(family, "t");
            Rule::new(expressions.clone()).to_nft(&table, Names::default());
        }
    }
}
