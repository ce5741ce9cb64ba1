//! What the kernel was built with. What can be tried is tried; a file that says it is only told besides.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use nslab_kernel::link::{
    Bond, BondMode, Bridge, DelLink, Encapsulation, Geneve, Ipvlan, IpvlanMode, IpvlanSiblings, LinkKind,
    Macvlan, MacvlanMode, NewLink, Tunnel, Vlan, VlanProtocol, Vrf, Vxlan,
};
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::build::RuleBuilder;
use nslab_kernel::nftables::{
    BaseChain, Chain, ChainKind, CtState, Family, Hook, Rule, Table, Transaction, TransactionError, priority,
};
use nslab_kernel::{Error as KernelError, Namespace, sysctl, tun};
use nslab_types::IfName;

use super::config::{Built, Config};
use super::{Check, Status};
use crate::error::Result;
use crate::support::{lacks_basic, with_privilege};

/// Something that a kernel may have been built without.
struct Feature {
    option: &'static str,
    /// What labs want it for.
    what: &'static str,
    /// No lab does without it.
    is_needed: bool,
}

const fn need(option: &'static str, what: &'static str) -> Feature {
    Feature { option, what, is_needed: true }
}

const fn may(option: &'static str, what: &'static str) -> Feature {
    Feature { option, what, is_needed: false }
}

/// All that is tried, by their options.
const FEATURES: [Feature; 24] = [
    need("CONFIG_VETH", "links"),
    need("CONFIG_BRIDGE", "switches"),
    may("CONFIG_IPV6", "IPv6"),
    may("CONFIG_NF_TABLES", "firewalls"),
    may("CONFIG_NFT_CT", "stateful firewalls"),
    may("CONFIG_NF_NAT", "NAT"),
    may("CONFIG_NFT_MASQ", "masquerading, ways out"),
    may("CONFIG_NET_SCH_NETEM", "delay, jitter, duplicates, reordering"),
    may("CONFIG_BRIDGE_VLAN_FILTERING", "switches with VLANs"),
    may("CONFIG_VLAN_8021Q", "VLAN interfaces"),
    may("CONFIG_VXLAN", "VXLAN"),
    may("CONFIG_GENEVE", "Geneve"),
    may("CONFIG_NET_IPGRE", "GRE"),
    may("CONFIG_NET_IPIP", "IPIP"),
    may("CONFIG_IPV6_SIT", "SIT"),
    may("CONFIG_WIREGUARD", "WireGuard"),
    may("CONFIG_MACVLAN", "macvlan"),
    may("CONFIG_IPVLAN", "ipvlan"),
    may("CONFIG_BONDING", "bonds"),
    may("CONFIG_NET_VRF", "VRFs"),
    may("CONFIG_DUMMY", "dummy interfaces"),
    may("CONFIG_IFB", "shaping of what comes in"),
    may("CONFIG_TUN", "tun and tap"),
    may("CONFIG_PID_NS", "`processes: private`"),
];

/// Looks at the kernel; `can_try` if namespaces can be made at all.
pub(super) fn look(can_try: bool, checks: &mut Vec<Check>) {
    let config = Config::read();
    let tried = if can_try { with_privilege(probe).unwrap_or_default() } else { BTreeMap::new() };
    for feature in &FEATURES {
        let built = config.get(feature.option);
        let mut has = tried.get(feature.option).copied();
        if has.is_none() && built.is_none() && config.source.is_some() {
            has = Some(false);
        }
        checks.push(check(feature, has, built));
    }
    checks.push(match &config.source {
        Some(file) => Check::ok("kernel-config", format!("the kernel's options are in {file}")),
        None => Check::new(
            "kernel-config",
            Status::Note,
            "the kernel's options are in no file (/proc/config.gz, /boot/config-…): what cannot be tried is not known",
        ),
    });
}

fn check(feature: &Feature, has: Option<bool>, built: Option<Built>) -> Check {
    let Feature { option, what, is_needed } = feature;
    let worst = if *is_needed { Status::Lacking } else { Status::Warning };
    match (has, built) {
        (Some(true), _) | (None, Some(_)) => Check::ok(*option, *what),
        // A module that did not come by itself, as when an ordinary user asks for it.
        (Some(false), Some(Built::Module)) => {
            Check::new(*option, worst, format!("{what}: the module is not loaded"))
                .fix(format!("sudo modprobe {}", module(option)))
        }
        (Some(false), _) => Check::new(*option, worst, format!("{what}: this kernel was built without it")),
        (None, None) => Check::new(*option, Status::Note, format!("{what}: could not be tried here")),
    }
}

/// The module of an option, where its name is not the option's.
fn module(option: &str) -> String {
    match option {
        "CONFIG_NET_IPGRE" => "ip_gre".to_owned(),
        "CONFIG_NET_IPIP" => "ipip".to_owned(),
        "CONFIG_IPV6_SIT" => "sit".to_owned(),
        "CONFIG_NET_VRF" => "vrf".to_owned(),
        "CONFIG_VLAN_8021Q" => "8021q".to_owned(),
        "CONFIG_NET_SCH_NETEM" => "sch_netem".to_owned(),
        "CONFIG_BRIDGE_VLAN_FILTERING" => "bridge".to_owned(),
        other => other.trim_start_matches("CONFIG_").to_lowercase(),
    }
}

/// Kinds of interfaces, each of which the kernel is asked for in a way that it refuses after it has looked for the kind.
fn kinds() -> Vec<LinkKind> {
    let here = Ipv4Addr::LOCALHOST.into();
    let tunnel = |encapsulation| {
        LinkKind::Tunnel(Tunnel {
            encapsulation,
            local: None,
            remote: Some(here),
            lower: None,
            key: None,
            ttl: None,
        })
    };
    vec![
        LinkKind::Veth(None),
        LinkKind::Bridge(Bridge::default()),
        LinkKind::Vlan(Vlan { id: 1, protocol: VlanProtocol::Dot1Q }),
        LinkKind::Vxlan(Vxlan { vni: 1, ..Vxlan::default() }),
        LinkKind::Geneve(Geneve { vni: 1, remote: Some(here), port: None, ttl: None }),
        tunnel(Encapsulation::Gre),
        tunnel(Encapsulation::Ipip),
        tunnel(Encapsulation::Sit),
        LinkKind::Wireguard,
        LinkKind::Macvlan(Macvlan { mode: MacvlanMode::Bridge }),
        LinkKind::Ipvlan(Ipvlan { mode: IpvlanMode::L2, siblings: IpvlanSiblings::Bridge }),
        LinkKind::Bond(Bond { mode: BondMode::BalanceRr, miimon: 100, primary: None }),
        LinkKind::Vrf(Vrf { table: 100 }),
        LinkKind::Dummy,
        LinkKind::Ifb,
    ]
}

/// Whether the kernel has the thing, by option. Fails with `EPERM` where this process may try nothing.
fn probe() -> Result<BTreeMap<String, bool>> {
    let mut has = BTreeMap::new();
    let namespace = Namespace::create()?;
    let mut socket = namespace.run(|| Socket::open(Protocol::Route))??;
    namespace.run(|| {
        for kind in kinds() {
            // What is refused for another reason is left out: it is not known.
            if let (Some(option), Ok(lacks)) = (kind.config_option(), lacks_basic(&kind)) {
                has.insert(option.to_owned(), lacks.is_none());
            }
        }
        has.insert(
            "CONFIG_IPV6".to_owned(),
            matches!(sysctl::Tree::shared().directory("net.ipv6"), Ok(Some(_))),
        );
        match tun::open() {
            Ok(_) => _ = has.insert("CONFIG_TUN".to_owned(), true),
            Err(KernelError::Unsupported { .. }) => _ = has.insert("CONFIG_TUN".to_owned(), false),
            Err(_) => {}
        }
    })?;
    if let Ok(netem) = crate::shaping::has_netem(&mut socket) {
        has.insert("CONFIG_NET_SCH_NETEM".to_owned(), netem);
    }
    if has.get("CONFIG_BRIDGE") == Some(&true) {
        let bridge = Bridge { vlan_filtering: Some(true), ..Bridge::default() };
        let name = IfName::new("probe").unwrap_or(IfName::LOOPBACK);
        let made = socket.request(&NewLink::new(name, LinkKind::Bridge(bridge)));
        if made.is_ok() {
            socket.request(&DelLink::Name(name))?;
        }
        let lacks = matches!(made, Err(KernelError::Unsupported { .. }));
        has.insert("CONFIG_BRIDGE_VLAN_FILTERING".to_owned(), !lacks);
    }
    rules(&namespace, &mut has)?;
    if let Ok(works) = private_processes() {
        has.insert("CONFIG_PID_NS".to_owned(), works);
    }
    Ok(has)
}

/// Tables that have what firewalls and NAT of labs are made of.
fn rules(namespace: &Namespace, has: &mut BTreeMap<String, bool>) -> Result<()> {
    let table = |name: &str, kind: ChainKind, hook: Hook, rules: Vec<Rule>| {
        let priority = if kind == ChainKind::Nat { priority::SRCNAT } else { priority::FILTER };
        let base = BaseChain { kind, priority, ..BaseChain::filter(hook) };
        let mut table = Table::new(Family::Inet, name);
        table.chains.push(Chain { rules, ..Chain::base("c", base) });
        table
    };
    let rule = || RuleBuilder::new(Family::Inet);
    let established = rule().ct_state(CtState::ESTABLISHED).accept();
    let tables = [
        ("CONFIG_NF_TABLES", table("a", ChainKind::Filter, Hook::Forward, Vec::new())),
        ("CONFIG_NFT_CT", table("b", ChainKind::Filter, Hook::Forward, vec![established])),
        ("CONFIG_NF_NAT", table("c", ChainKind::Nat, Hook::Postrouting, Vec::new())),
        ("CONFIG_NFT_MASQ", table("d", ChainKind::Nat, Hook::Postrouting, vec![rule().masquerade()])),
    ];
    for (option, table) in tables {
        let mut transaction = Transaction::new();
        transaction.load(&table);
        let answer = namespace.run(|| match Socket::open(Protocol::Netfilter) {
            Ok(mut socket) => transaction.check(&mut socket),
            Err(error) => Err(TransactionError::Socket(error)),
        })?;
        has.insert(option.to_owned(), answer.is_ok());
    }
    Ok(())
}

fn private_processes() -> Result<bool, ()> {
    match nslab_kernel::pidns::try_out() {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Some(rustix::io::Errno::INVAL) => Ok(false),
        Err(_) => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_said_with_its_option() {
        let veth = &FEATURES[0];
        assert_eq!(check(veth, Some(true), None).status, Status::Ok);
        assert_eq!(check(veth, Some(false), None).status, Status::Lacking);
        let module = check(veth, Some(false), Some(Built::Module));
        assert_eq!(module.fix, ["sudo modprobe veth"]);
        let netem = FEATURES.iter().find(|feature| feature.option == "CONFIG_NET_SCH_NETEM").unwrap();
        assert_eq!(check(netem, Some(false), None).status, Status::Warning);
        assert_eq!(check(netem, None, None).status, Status::Note);
        assert_eq!(check(netem, None, Some(Built::In)).status, Status::Ok);
    }

    #[test]
    fn every_kind_has_a_feature() {
        for kind in kinds() {
            let option = kind.config_option().unwrap();
            assert!(FEATURES.iter().any(|feature| feature.option == option), "{option}");
        }
    }
}
