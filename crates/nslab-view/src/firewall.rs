//! A node's firewall: what was written, and how often it decided.

use crate::Style;
use crate::style::{Role, right};
use crate::table::lines;

/// A chain of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallChain {
    /// Its name, as `forward`.
    pub name: String,
    /// Its rules, in the order in which they are tried.
    pub rules: Vec<FirewallRow>,
}

/// What one line of the lab file, or something that no line of it stands for, did in a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallRow {
    /// Packets that it decided about; none if they are not counted.
    pub packets: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
    /// The line.
    pub line: Option<usize>,
    /// It in words.
    pub text: String,
    /// Somebody added it by hand.
    pub foreign: bool,
}

/// The chains, each with its rules in a table of packets, bytes, line and rule.
pub fn firewall(chains: &[FirewallChain], style: &Style) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let mut sections = Vec::with_capacity(chains.len());
    for chain in chains {
        let cells: Vec<[String; 3]> = chain
            .rules
            .iter()
            .map(|row| {
                let line = row.line.map_or_else(String::new, |line| line.to_string());
                [number(row.packets), number(row.bytes), line]
            })
            .collect();
        let headings = ["packets", "bytes", "line"];
        let widths = [0, 1, 2].map(|column| {
            let widest = cells.iter().map(|cells| cells[column].len()).max().unwrap_or(0);
            widest.max(headings[column].len())
        });
        let aligned = |cells: &[String; 3]| [0, 1, 2].map(|column| right(&cells[column], widths[column]));
        let heading =
            aligned(&headings.map(str::to_owned)).map(|cell| style.paint(Role::Faint, cell).into_owned());
        let mut rows =
            vec![heading.into_iter().chain([style.paint(Role::Faint, "rule").into_owned()]).collect()];
        rows.extend(chain.rules.iter().zip(&cells).map(|(row, cells)| {
            let role = match (row.foreign, row.line) {
                (true, _) => Some(Role::Bad),
                (false, None) => Some(Role::Faint),
                (false, Some(_)) => None,
            };
            let text =
                role.map_or_else(|| row.text.clone(), |role| style.paint(role, &row.text).into_owned());
            aligned(cells).into_iter().chain([text]).collect::<Vec<String>>()
        }));
        let rows = lines(&rows, 2).into_iter().map(|line| format!("  {line}\n"));
        sections.push(
            std::iter::once(format!("{}\n", style.paint(Role::Heading, &chain.name)))
                .chain(rows)
                .collect::<String>(),
        );
    }
    sections.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_their_counters_and_lines() {
        let row = |packets, line, text: &str| FirewallRow {
            packets: Some(packets),
            bytes: Some(packets * 60),
            line,
            text: text.to_owned(),
            foreign: false,
        };
        let rules = vec![
            row(1200, None, "answers"),
            row(2, Some(9), "allow {tcp: 80}"),
            FirewallRow {
                packets: None,
                bytes: None,
                line: None,
                text: "tcp dport 1 accept".into(),
                foreign: true,
            },
        ];
        let chains = [FirewallChain { name: "forward".to_owned(), rules }];
        let text = "\
forward
  packets  bytes  line  rule
     1200  72000        answers
        2    120     9  allow {tcp: 80}
        -      -        tcp dport 1 accept
";
        assert_eq!(firewall(&chains, &Style::default()), text);
    }
}
