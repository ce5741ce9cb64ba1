//! What ways out of labs meet on the host.

use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::{Hook, Policy, Ruleset};

use super::{Check, Status, has_program};

/// Looks at the host's firewall, and at programs that carry ways out.
pub(super) fn look(is_root: bool, checks: &mut Vec<Check>) {
    if is_root {
        checks.push(forward_policy());
        legacy(checks);
    }
    let carriers: Vec<&str> = ["pasta", "slirp4netns"].into_iter().filter(|name| has_program(name)).collect();
    checks.push(match (&carriers[..], is_root) {
        ([], true) => Check::ok(
            "uplink-carrier",
            "root needs none; for ordinary users there is neither pasta nor slirp4netns",
        ),
        ([], false) => Check::new(
            "uplink-carrier",
            Status::Warning,
            "`uplink:` goes through pasta or slirp4netns, and neither is installed",
        )
        .fix("sudo apt install passt"),
        (found, _) => Check::ok("uplink-carrier", format!("there is {}", found.join(" and "))),
    });
    checks.push(if has_program("nft") {
        Check::ok("nft", "is installed")
    } else {
        Check::new("nft", Status::Note, "is not installed: only `nft:` in lab files needs it")
    });
}

fn forward_policy() -> Check {
    const NAME: &str = "forward-policy";
    let rules = Socket::open(Protocol::Netfilter).and_then(|mut socket| Ruleset::read(&mut socket));
    let rules = match rules {
        Ok(rules) => rules,
        Err(error) => return Check::new(NAME, Status::Note, format!("it could not be read: {error}")),
    };
    let dropping = rules.tables.iter().find_map(|table| {
        let chain = table.chains.iter().find(|chain| {
            chain.base.as_ref().is_some_and(|base| base.hook == Hook::Forward && base.policy == Policy::Drop)
        })?;
        Some((table, chain))
    });
    match dropping {
        None => Check::ok(NAME, "no table of nftables drops what is forwarded unless told otherwise"),
        Some((table, chain)) => Check::new(
            NAME,
            Status::Warning,
            format!(
                "chain {} of table {} drops what is forwarded: a way out (`uplink:`) needs a rule there, which `nslab up` \
                 names",
                chain.name, table.id
            ),
        ),
    }
}

/// Rules of the older iptables, which nslab does not read.
fn legacy(checks: &mut Vec<Check>) {
    for kind in ["ip_tables", "ip6_tables"] {
        let tables = std::fs::read_to_string(format!("/proc/self/net/{kind}_names")).unwrap_or_default();
        if !tables.trim().is_empty() {
            let tables: Vec<&str> = tables.split_whitespace().collect();
            checks.push(Check::new(
                "iptables-legacy",
                Status::Note,
                format!(
                    "tables of {kind} are in use ({}): nslab does not read their rules",
                    tables.join(", ")
                ),
            ));
        }
    }
}
