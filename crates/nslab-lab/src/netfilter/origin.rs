//! What a rule's comment says of where it comes from.

use nslab_kernel::nftables::{Rule, UserData};
use nslab_topology::lab::Line;
use nslab_topology::model::Policy;

/// Where a rule comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The line of the lab file, as it was when the rule was loaded.
    pub line: Option<usize>,
    /// The rule in the lab file's words, or what a rule is for that no line of it stands for; cut off where it is too
    /// long for a comment.
    pub text: String,
}

/// The comment of a rule: `line 8: allow {from: web, to: app, tcp: 8080}`.
pub(super) fn comment(line: Line, text: &str) -> String {
    // nft shows 127 bytes. The words are cut where they are cut on any line.
    const MOST: usize = 104;
    let text = if text.len() <= MOST {
        text.to_owned()
    } else {
        let end = (0..=MOST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        format!("{}…", &text[..end])
    };
    line.0.map_or_else(|| text.clone(), |line| format!("line {line}: {text}"))
}

/// Where a rule of a node's own table comes from; none if it says nothing of it, as one that was added by hand.
pub fn origin(rule: &Rule) -> Option<Origin> {
    let notes = UserData::parse(&rule.user_data);
    let comment = notes.comment()?;
    let numbered = comment.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
    let numbered = numbered.and_then(|(line, text)| Some((line.parse().ok()?, text)));
    Some(match numbered {
        Some((line, text)) => Origin { line: Some(line), text: text.to_owned() },
        None => Origin { line: None, text: comment.to_owned() },
    })
}

impl Origin {
    /// The line on which the rule stands now: a lab file whose other lines have changed does not load its rules anew.
    pub fn line_now(&self, policy: &Policy) -> Option<usize> {
        self.line?;
        let firewall = policy.firewall.iter();
        let default = firewall.clone().flat_map(|firewall| {
            ["drop", "reject"].map(|verdict| (firewall.line, format!("default {verdict}")))
        });
        let rules = firewall
            .flat_map(|firewall| &firewall.rules)
            .map(|rule| (rule.written.line, rule.written.to_string()));
        let nat = policy.nat.iter().map(|rule| (rule.written.line, rule.written.to_string()));
        let is_this = |text: &str| text.replace('"', "'").starts_with(self.text.trim_end_matches('…'));
        default.chain(rules).chain(nat).find(|(_, text)| is_this(text)).map_or(self.line, |(line, _)| line.0)
    }
}
