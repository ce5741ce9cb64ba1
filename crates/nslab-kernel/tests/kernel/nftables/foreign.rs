//! What nft programs, we read, print and program again.

use std::collections::HashMap;

use nslab_kernel::nftables::Ruleset;
use nslab_kernel::nftables::print::Names;
use nslab_testing::{Nft, privileged};

use super::support::Tables;

/// Rules of every kind, as nft commands.
const RULES: &str = include_str!("data/rules.nft");

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
        nft.apply(&original.namespace, RULES);
        let wanted = nft.list(&original.namespace);
        let ruleset = original.read();
        let rules = ruleset.tables.iter().flat_map(|table| &table.chains).map(|chain| chain.rules.len());
        let rules: usize = rules.sum();
        assert!(rules >= 350, "only {rules} rules");
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
        nft.apply(&original.namespace, RULES);
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
        nft.apply(&original.namespace, RULES);
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
        nft.apply(&original.namespace, RULES);
        let ruleset = original.read();
        let mut copy = Tables::new();
        for table in &ruleset.tables {
            table.load_in_parts(&mut copy.socket, 1000).unwrap_or_else(|error| panic!("{error}"));
        }
        assert!(ruleset.comparable() == copy.read().comparable());
        assert_same(&nft.list(&original.namespace), &nft.list(&copy.namespace), "nft's list of the copy");
    });
}
