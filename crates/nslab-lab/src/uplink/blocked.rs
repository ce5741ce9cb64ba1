//! Firewalls of the host that would drop what goes through a way out.
//!
//! A packet has to pass every base chain at a hook, so what a lab's own table accepts another table can still drop.
//! Docker's FORWARD chain does (its policy is drop), and so do most firewalls. They are somebody else's; nslab says what
//! to add to them and adds nothing.

use nslab_kernel::nftables::{
    Chain, CmpOp, Expr, Family, Hook, MetaKey, Policy, Register, Rule, Table, Verdict,
};
use nslab_types::IfName;

use super::host::Host;
use super::{WayOut, cannot};
use crate::error::Result;

/// Refuses if a firewall of the host drops what is forwarded unless told otherwise, and has not been told otherwise.
pub(super) fn check(ways: &[WayOut], host: &Host) -> Result<()> {
    for way in ways {
        for table in &host.rules.tables {
            let concerns = match table.id.family {
                Family::Ip => way.ipv4.is_some(),
                Family::Ip6 => way.ipv6.is_some(),
                Family::Inet => true,
                _ => false,
            };
            let dropping = table.chains.iter().find(|chain| drops(chain)).filter(|_| concerns);
            if let Some(chain) = dropping.filter(|_| !lets_through(table, way.host_interface)) {
                let interface = way.host_interface;
                return Err(cannot(
                    format!(
                        "the host's firewall drops what is forwarded: chain {} of table {} has the policy drop, and \
                         no rule for {interface}, the host's end of the way out of {}",
                        chain.name, table.id, way.name
                    ),
                    advice(table, chain, interface),
                ));
            }
        }
    }
    Ok(())
}

fn drops(chain: &Chain) -> bool {
    chain.base.as_ref().is_some_and(|base| base.hook == Hook::Forward && base.policy == Policy::Drop)
}

/// Whether the table has rules that accept what comes from the interface and what goes to it. Where they stand is not
/// looked at.
fn lets_through(table: &Table, interface: IfName) -> bool {
    let accepts = |key: MetaKey| {
        table.chains.iter().flat_map(|chain| &chain.rules).any(|rule| accepts(rule, key, interface))
    };
    accepts(MetaKey::IifName) && accepts(MetaKey::OifName)
}

/// Whether a rule accepts what comes by, or goes to, this interface; its name may be given by its beginning, as in
/// `lab-*`.
fn accepts(rule: &Rule, key: MetaKey, interface: IfName) -> bool {
    let accepts = rule.expressions.iter().any(|expr| matches!(expr, Expr::Verdict(Verdict::Accept)));
    let mut loaded: Option<Register> = None;
    let mut matched = false;
    for expr in &rule.expressions {
        match expr {
            Expr::Meta { destination, key: shown } => {
                loaded = (*shown == key).then_some(*destination);
            }
            Expr::Cmp { source, op: CmpOp::Equal, data } if Some(*source) == loaded => {
                let mut name = [0; 16];
                name[..interface.as_str().len()].copy_from_slice(interface.as_str().as_bytes());
                matched = name.starts_with(data);
            }
            _ => {}
        }
    }
    accepts && matched
}

/// What to type, by whose firewall it is.
fn advice(table: &Table, chain: &Chain, interface: IfName) -> String {
    let has = |name: &str| table.chain(name).is_some();
    let iptables = if table.id.family == Family::Ip6 { "ip6tables" } else { "iptables" };
    let both = |chain: &str| {
        format!(
            "{iptables} -I {chain} -i {interface} -j ACCEPT && {iptables} -I {chain} -o {interface} -j ACCEPT"
        )
    };
    if has("DOCKER-USER") {
        format!("Docker leaves a chain for this: {}", both("DOCKER-USER"))
    } else if has("ufw-user-forward") || has("ufw6-user-forward") {
        format!("it is ufw's: ufw route allow in on {interface} && ufw route allow out on {interface}")
    } else if table.id.name == "firewalld" {
        format!("it is firewalld's: firewall-cmd --zone=trusted --add-interface={interface}")
    } else if chain.name == "FORWARD" {
        format!("let it through: {}", both("FORWARD"))
    } else {
        let rule = format!("nft insert rule {} {}", table.id, chain.name);
        format!("let it through: {rule} iifname {interface} accept && {rule} oifname {interface} accept")
    }
}
