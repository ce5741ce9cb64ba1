//! What nft programs, we read, print and program again.

use std::collections::HashMap;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::print::Names;
use nslab_kernel::nftables::{
    BaseChain, Chain, Data, Expr, Family, Hook, Rule, Ruleset, Table, Transaction, TransactionError, Verdict,
};
use nslab_testing::{Nft, kernel_lacks, privileged};
use rustix::io::Errno;

use super::support::Tables;

/// Rules of every kind, as nft commands.
const RULES: &str = include_str!("data/rules.nft");

/// Lets nft program all rules; what this kernel lacks is said and left out.
fn program(nft: Nft, tables: &Tables) {
    let lines: Vec<&str> = RULES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    // In pieces: the kernel begins a transaction anew for each module that it has to load for it.
    for piece in lines.chunks(40) {
        let run = |script: String| nft.run(&tables.namespace, &["-f", "-"], &script);
        if run(piece.join("\n") + "\n").is_ok() {
            continue;
        }
        for line in piece {
            if let Err(errors) = run(format!("{line}\n")) {
                assert!(errors.contains("Could not process rule"), "{line}: {errors}");
                kernel_lacks(&format!("what this needs: {line}"));
            }
        }
    }
}

fn print(ruleset: &Ruleset) -> String {
    let interfaces = HashMap::from([(1, "lo".to_owned())]);
    ruleset.to_nft(Names { interfaces: Some(&interfaces) })
}

/// Fails with the lines that differ.
fn assert_same(wanted: &str, found: &str, about: &str) {
    let both = wanted.lines().zip(found.lines()).filter(|(wanted, found)| wanted != found);
    let different: Vec<String> =
        both.map(|(wanted, found)| format!("wanted {wanted}\nfound  {found}")).take(20).collect();
    assert!(different.is_empty(), "{about}:\n{}", different.join("\n"));
    assert_eq!(wanted.lines().count(), found.lines().count(), "{about}");
}

#[test]
fn nft_reads_what_we_print_to_the_same_rules() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return };
        let mut original = Tables::new();
        program(nft, &original);
        let wanted = nft.list(&original.namespace);
        let ruleset = original.read();
        let rules = ruleset.tables.iter().flat_map(|table| &table.chains).map(|chain| chain.rules.len());
        let rules: usize = rules.sum();
        assert!(rules >= 200, "only {rules} rules");
        let printed = print(&ruleset);
        let wordless: Vec<&str> = printed.lines().filter(|line| line.contains('#')).collect();
        assert!(wordless.is_empty(), "no words for\n{}", wordless.join("\n"));

        let copy = Tables::new();
        if let Err(errors) = nft.run(&copy.namespace, &["-f", "-"], &printed) {
            panic!("{errors}");
        }
        assert_same(&wanted, &nft.list(&copy.namespace), "nft's list of what we printed");
    });
}

#[test]
fn what_is_read_is_programmed_again_alike() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return };
        let mut original = Tables::new();
        program(nft, &original);
        let ruleset = original.read();
        let json = serde_json::to_string(&ruleset).unwrap();
        let kept: Ruleset = serde_json::from_str(&json).unwrap();
        assert_eq!(kept, ruleset);

        let mut copy = Tables::new();
        copy.load(&kept.tables);
        let again = copy.read();
        for (wanted, found) in ruleset.comparable().tables.iter().zip(&again.comparable().tables) {
            for (wanted, found) in wanted.chains.iter().zip(&found.chains) {
                for (wanted, found) in wanted.rules.iter().zip(&found.rules) {
                    assert_eq!(wanted, found);
                }
            }
            for (wanted, found) in wanted.sets.iter().zip(&found.sets) {
                assert_eq!(wanted, found);
            }
        }
        assert!(ruleset.comparable() == again.comparable());
        assert_same(&nft.list(&original.namespace), &nft.list(&copy.namespace), "nft's list of the copy");
    });
}

#[test]
fn nothing_of_the_rules_is_unknown() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return };
        let mut original = Tables::new();
        program(nft, &original);
        let json = serde_json::to_string(&original.read()).unwrap();
        assert!(!json.contains("\"unknown\""), "{json}");
        assert!(!json.contains("\"other\":[{"), "{json}");
    });
}

#[test]
fn what_is_read_is_programmed_again_piece_by_piece() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return };
        let mut original = Tables::new();
        program(nft, &original);
        let ruleset = original.read();
        let mut copy = Tables::new();
        for table in &ruleset.tables {
            table.load_in_parts(&mut copy.socket, 1000).unwrap_or_else(|error| panic!("{error}"));
        }
        assert!(ruleset.comparable() == copy.read().comparable());
        assert_same(&nft.list(&original.namespace), &nft.list(&copy.namespace), "nft's list of the copy");
    });
}

/// An attribute as netlink has it.
fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(payload.len() + 4).unwrap().to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn table_of(expressions: Vec<Expr>) -> Table {
    let mut table = Table::new(Family::Inet, "t");
    let mut chain = Chain::base("in", BaseChain::filter(Hook::Input));
    chain.rules.push(Rule::new(expressions));
    table.chains.push(chain);
    table
}

#[test]
fn what_is_not_known_is_kept_and_programmed_again() {
    privileged(|| {
        // `inner`, by which Linux 6.2 looks into tunnels: VXLAN, header of 8 bytes, and in it a byte of its network header.
        let payload = [
            attribute(1, &1_u32.to_be_bytes()),
            attribute(2, &1_u32.to_be_bytes()),
            attribute(3, &9_u32.to_be_bytes()),
            attribute(4, &1_u32.to_be_bytes()),
        ];
        let payload = [attribute(1, b"payload\0"), attribute(2 | 0x8000, &payload.concat())].concat();
        let inner = [
            attribute(1, &0_u32.to_be_bytes()),
            attribute(2, &1_u32.to_be_bytes()),
            attribute(3, &15_u32.to_be_bytes()),
            attribute(4, &8_u32.to_be_bytes()),
            attribute(5 | 0x8000, &payload),
        ];
        let unknown = Expr::Unknown { name: "inner".to_owned(), data: Some(Data::from(inner.concat())) };
        let table = table_of(vec![
            Expr::Meta {
                destination: nslab_kernel::nftables::Register::R1,
                key: nslab_kernel::nftables::MetaKey::L4Protocol,
            },
            unknown,
            Expr::Verdict(Verdict::Drop),
        ]);
        let mut tables = Tables::new();
        let mut transaction = Transaction::new();
        transaction.load(&table);
        match transaction.commit(&mut tables.socket) {
            Ok(()) => {}
            Err(TransactionError::Refused(refused)) if refused[0].expression.as_deref() == Some("inner") => {
                return nslab_testing::kernel_is_older("the nftables expression \"inner\" (Linux 6.2)");
            }
            Err(error) => panic!("{error}"),
        }
        let read = tables.read();
        let Expr::Unknown { name, data } = &read.tables[0].chains[0].rules[0].expressions[1] else {
            panic!("{read:?}")
        };
        assert_eq!(name, "inner");
        assert!(data.is_some());
        let printed = print(&read);
        assert!(printed.contains("# [ inner "), "{printed}");
        let mut copy = Tables::new();
        copy.load(&read.tables);
        assert_eq!(copy.read().comparable(), read.comparable());
    });
}

#[test]
fn rules_of_iptables_are_kept() {
    privileged(|| {
        // struct xt_comment_info: 256 bytes of text.
        let mut info = b"from iptables".to_vec();
        info.resize(256, 0);
        let comment =
            Expr::Xt { target: false, name: "comment".to_owned(), revision: 0, info: Data::from(info) };
        let mut table = table_of(vec![comment, Expr::Counter { packets: 0, bytes: 0 }]);
        table.id.family = Family::Ip;
        let mut tables = Tables::new();
        let mut transaction = Transaction::new();
        transaction.load(&table);
        match transaction.commit(&mut tables.socket) {
            Ok(()) => {}
            Err(TransactionError::Unsupported { option, .. }) => return kernel_lacks(option),
            Err(TransactionError::Refused(refused)) if refused[0].refusal.errno == Errno::NOENT => {
                return kernel_lacks("CONFIG_NETFILTER_XT_MATCH_COMMENT");
            }
            Err(error) => panic!("{error}"),
        }
        let read = tables.read();
        assert_eq!(read.comparable().tables, [table.comparable()]);
        assert!(print(&read).contains("# [ match comment revision 0 66726f6d"), "{}", print(&read));
    });
}

#[test]
fn what_is_read_is_of_one_moment() {
    privileged(|| {
        let mut tables = Tables::new();
        let mut other = tables.namespace.run(|| Socket::open(Protocol::Netfilter)).unwrap().unwrap();
        let mut big = Table::new(Family::Inet, "t");
        for number in 0..20 {
            let mut chain = Chain::regular(format!("c{number}"));
            chain.rules = vec![Rule::new([Expr::Counter { packets: 0, bytes: 0 }]); 5];
            big.chains.push(chain);
        }
        let (stop, changes) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Not for ever, should the reader fail.
                while !stop.load(Ordering::Relaxed) && changes.load(Ordering::Relaxed) < 5000 {
                    let mut transaction = Transaction::new();
                    transaction.load(&big);
                    transaction.commit(&mut other).unwrap();
                    let mut transaction = Transaction::new();
                    transaction.delete_table(&big.id);
                    transaction.commit(&mut other).unwrap();
                    changes.fetch_add(1, Ordering::Relaxed);
                }
            });
            // Both with and without the table, while it keeps changing.
            let (mut seen, enough) = ([0, 0], nslab_testing::times(20));
            while seen.iter().any(|&times| times < enough) || changes.load(Ordering::Relaxed) < enough {
                match Ruleset::read(&mut tables.socket) {
                    Ok(ruleset) => {
                        if let [table] = &ruleset.tables[..] {
                            let rules: usize = table.chains.iter().map(|chain| chain.rules.len()).sum();
                            assert_eq!((table.chains.len(), rules), (20, 100));
                        }
                        seen[ruleset.tables.len()] += 1;
                    }
                    Err(nslab_kernel::Error::Unstable { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}
