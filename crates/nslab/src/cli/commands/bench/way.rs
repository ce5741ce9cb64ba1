//! The ways that are compared, and the networks that they are in.

use std::fmt::Write as _;

use crate::cli::args::Way;

impl Way {
    /// In the order in which they are shown.
    pub(super) const ALL: [Self; 9] = [
        Self::Host,
        Self::Namespace,
        Self::Veth,
        Self::Bridge,
        Self::Routed,
        Self::Nat,
        Self::Firewall10,
        Self::Firewall100,
        Self::Firewall1000,
    ];

    /// As the command line and JSON have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Namespace => "namespace",
            Self::Veth => "veth",
            Self::Bridge => "bridge",
            Self::Routed => "routed",
            Self::Nat => "nat",
            Self::Firewall10 => "firewall-10",
            Self::Firewall100 => "firewall-100",
            Self::Firewall1000 => "firewall-1000",
        }
    }

    /// What it is, a sentence's part.
    pub(super) fn text(self) -> String {
        match self {
            Self::Host => "loopback where nslab runs".to_owned(),
            Self::Namespace => "loopback in a namespace".to_owned(),
            Self::Veth => "a veth between two namespaces".to_owned(),
            Self::Bridge => "a bridge between two namespaces".to_owned(),
            Self::Routed => "a router between two namespaces".to_owned(),
            Self::Nat => "a router that masquerades".to_owned(),
            _ => format!("a router with {} firewall rules", self.rules().unwrap_or(0)),
        }
    }

    /// How many rules each packet goes through.
    pub(super) fn rules(self) -> Option<u32> {
        match self {
            Self::Firewall10 => Some(10),
            Self::Firewall100 => Some(100),
            Self::Firewall1000 => Some(1000),
            _ => None,
        }
    }

    /// The subnet's second byte, which is its own.
    fn number(self) -> usize {
        Self::ALL.iter().position(|&way| way == self).unwrap_or(0) + 1
    }

    /// The nodes of the two ends, and the address of the second.
    pub(super) fn ends(self) -> Option<(String, String, String)> {
        let (name, number) = (self.name(), self.number());
        let two = |address| Some((format!("{name}-a"), format!("{name}-b"), address));
        match self {
            Self::Host => None,
            Self::Namespace => Some((name.to_owned(), name.to_owned(), "127.0.0.1".to_owned())),
            Self::Veth | Self::Bridge => two(format!("10.{number}.0.2")),
            _ => two(format!("10.{number}.1.2")),
        }
    }

    /// The node between the two ends.
    pub(super) fn middle(self) -> Option<String> {
        let is_between = !matches!(self, Self::Host | Self::Namespace | Self::Veth);
        is_between.then(|| format!("{}-m", self.name()))
    }

    /// Interfaces that packets pass if they go this way: node and name.
    pub(super) fn passes(self) -> Vec<(String, &'static str)> {
        match (self, self.middle()) {
            (_, Some(middle)) => vec![(middle.clone(), "a"), (middle, "b")],
            (Self::Namespace, None) => vec![("namespace".to_owned(), "lo")],
            (Self::Veth, None) => vec![("veth-b".to_owned(), "eth0")],
            _ => Vec::new(),
        }
    }

    fn nodes(self) -> String {
        let (name, number) = (self.name(), self.number());
        match self {
            Self::Host => String::new(),
            Self::Namespace => format!("  {name}: {{}}\n"),
            Self::Veth | Self::Bridge => format!("  {name}-a: {{}}\n  {name}-b: {{}}\n"),
            _ => format!(
                "  {name}-a: {{routes: [default via 10.{number}.0.1]}}\n  {name}-m: {{forward: true}}\n  \
                 {name}-b: {{routes: [default via 10.{number}.1.1]}}\n"
            ),
        }
    }

    fn links(self) -> String {
        let (name, number) = (self.name(), self.number());
        match self {
            Self::Host | Self::Namespace => String::new(),
            Self::Veth => {
                format!("  - [{name}-a:eth0 10.{number}.0.1/24, {name}-b:eth0 10.{number}.0.2/24]\n")
            }
            Self::Bridge => format!(
                "  - [{name}-a:eth0 10.{number}.0.1/24, {name}-m:a]\n  - [{name}-b:eth0 10.{number}.0.2/24, {name}-m:b]\n"
            ),
            _ => format!(
                "  - [{name}-a:eth0 10.{number}.0.2/24, {name}-m:a 10.{number}.0.1/24]\n  \
                 - [{name}-m:b 10.{number}.1.1/24, {name}-b:eth0 10.{number}.1.2/24]\n"
            ),
        }
    }
}

/// The lab file of the networks that ways are in; none if they need none.
pub(super) fn lab_file(name: &str, ways: &[Way]) -> Option<String> {
    let nodes: String = ways.iter().map(|way| way.nodes()).collect();
    let links: String = ways.iter().map(|way| way.links()).collect();
    if nodes.is_empty() {
        return None;
    }
    let mut text = format!("name: {name}\naddressing: none\nrouting: none\nnodes:\n{nodes}");
    if ways.contains(&Way::Bridge) {
        text.push_str("switches:\n  bridge-m: {}\n");
    }
    if !links.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "links:\n{links}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_is_a_lab_of_its_own() {
        assert_eq!(lab_file("x", &[Way::Host]), None);
        for way in Way::ALL.into_iter().skip(1) {
            let text = lab_file("x", &[Way::Host, way]).unwrap_or_default();
            let loaded = nslab_topology::load(&text, "x", &[]);
            let loaded = loaded.unwrap_or_else(|wrong| panic!("{way:?}: {wrong:?}\n{text}"));
            assert!(loaded.warnings.is_empty(), "{way:?}: {:?}", loaded.warnings);
        }
        assert!(nslab_topology::load(&lab_file("x", &Way::ALL).unwrap_or_default(), "x", &[]).is_ok());
    }
}
