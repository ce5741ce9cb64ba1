//! nftables, as text for nft(8).

use std::collections::HashMap;

use nslab_kernel::nftables::print::Names;
use nslab_kernel::nftables::{Expr, ObjectContent, Rule, Table};
use nslab_lab::netfilter;
use nslab_topology::Spanned;
use nslab_topology::lab::{Line, Nft, Node};

use crate::draft::Draft;

impl Draft<'_> {
    /// All tables of a node.
    pub(crate) fn firewall(&mut self, number: usize, node: &mut Node) {
        let space = self.spaces[number].clone();
        let all: HashMap<u32, String> =
            space.state.network.links.iter().map(|link| (link.index, link.name.to_string())).collect();
        let described = space.described().map(|link| (link.index, link.name.to_string()));
        let described: HashMap<u32, String> = described.collect();
        let [all, described] = [&all, &described].map(|names| Names { interfaces: Some(names) });
        for table in &space.state.nftables.tables {
            let mut table = table.clone();
            if let Some(owner) = table.owner {
                let object = format!("table {}", table.id);
                self.skip(
                    number,
                    object,
                    &format!("it is owned by the program with the netlink port {owner}, and goes with it"),
                );
                continue;
            }
            if table.id.name == netfilter::TABLE {
                let object = format!("table {}", table.id);
                table.id.name = format!("{}-adopted", netfilter::TABLE);
                self.skip(
                    number,
                    object,
                    &format!("has the name of nslab's own; in the lab file it is {}", table.id),
                );
            }
            self.wordless(number, &table, all);
            // By its number a rule means an interface of one namespace only, and nft refuses the name of one that is not
            // there.
            let whole = table.clone();
            for chain in &mut table.chains {
                for rule in std::mem::take(&mut chain.rules) {
                    let text = |names| rule.to_nft(&whole, names).text;
                    if text(all) == text(described) {
                        chain.rules.push(rule);
                    } else {
                        let object = rule_object(&whole, &chain.name, &rule, all);
                        self.skip(number, object, "it names an interface that is not described");
                    }
                }
            }
            quiet(&mut table);
            let id = self.mark(number, format!("table {}", table.id));
            let text = table.to_nft(described);
            // So are sets commented out that have no words, and no rule that looks into one would be read.
            if text.lines().any(|line| line.starts_with("# ")) {
                let object = format!("table {}", table.id);
                self.skip(number, object, "one of its sets has no words in nft's syntax");
                continue;
            }
            let text = Spanned::new(text, id);
            node.policy.nft.push(Nft::Text { text, line: Line::default() });
        }
    }

    /// Tells of what has no words in nft's syntax.
    fn wordless(&mut self, number: usize, table: &Table, names: Names<'_>) {
        for chain in &table.chains {
            for rule in &chain.rules {
                if !rule.to_nft(table, names).complete {
                    let object = rule_object(table, &chain.name, rule, names);
                    self.skip(
                        number,
                        object,
                        "it has no words in nft's syntax; in the lab file it is a comment",
                    );
                }
            }
        }
    }
}

/// A rule in few words.
fn rule_object(table: &Table, chain: &str, rule: &Rule, names: Names<'_>) -> String {
    const LONGEST: usize = 60;
    let mut text = rule.to_nft(table, names).text;
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    format!("table {} chain {chain} handle {}: {text}", table.id, rule.handle)
}

/// Forgets what was counted: a lab begins anew.
fn quiet(table: &mut Table) {
    let rules = table.chains.iter_mut().flat_map(|chain| &mut chain.rules);
    rules.flat_map(|rule| &mut rule.expressions).for_each(forget);
    for object in &mut table.objects {
        match &mut object.content {
            ObjectContent::Counter { packets, bytes } => (*packets, *bytes) = (0, 0),
            ObjectContent::Quota(quota) => quota.consumed = 0,
            _ => {}
        }
    }
    for element in table.sets.iter_mut().flat_map(|set| &mut set.elements) {
        element.expressions.iter_mut().for_each(forget);
        element.expires = None;
    }
}

fn forget(expression: &mut Expr) {
    match expression {
        Expr::Counter { packets, bytes } => (*packets, *bytes) = (0, 0),
        Expr::Quota(quota) => quota.consumed = 0,
        _ => {}
    }
}
