//! Which groups interfaces have joined.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nslab_kernel::link::IfIndex;
use serde::{Deserialize, Serialize};

use crate::procnet::ProcNet;

/// A group that an interface has joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Membership {
    /// The interface.
    pub link: IfIndex,
    /// The group.
    pub group: IpAddr,
    /// It takes what some senders send only (RFC 4607).
    pub by_source: bool,
}

impl Membership {
    /// All of the namespace that the thread is in, sorted (`net/ipv4/igmp.c`, `net/ipv6/mcast.c`). The error is a sentence's
    /// part.
    pub fn list() -> Result<Vec<Self>, String> {
        list(&ProcNet::open().map_err(|error| format!("cannot open /proc/thread-self/net: {error}"))?)
    }
}

pub(crate) fn list(files: &ProcNet) -> Result<Vec<Membership>, String> {
    let text = |name| text(files, name);
    let mut all = Vec::new();
    all.extend(ipv4(&text("igmp")?));
    all.extend(ipv6(&text("igmp6")?));
    // Nearly all have the one group that every interface is in.
    let plain = |one: &Membership| one.group == IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1));
    let filtered = if all.iter().filter(|one| one.group.is_ipv4()).all(plain) {
        BTreeSet::new()
    } else {
        filtered(&text("mcfilter")?)
    };
    for one in &mut all {
        one.by_source = filtered.contains(&(one.link, one.group));
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// A file of the namespace; empty if the kernel has no such protocol.
fn text(files: &ProcNet, name: &str) -> Result<String, String> {
    let read = files.read(name).map_err(|error| format!("cannot read /proc/thread-self/net/{name}: {error}"));
    Ok(read?.unwrap_or_default())
}

/// A line for each interface with its number, and below it one for each group: the address as a number of the machine's own
/// byte order, in hexadecimal.
fn ipv4(text: &str) -> Vec<Membership> {
    let mut link = None;
    let mut all = Vec::new();
    for line in text.lines().skip(1) {
        let Some(first) = line.split_whitespace().next() else { continue };
        if line.starts_with(char::is_whitespace) {
            let group = u32::from_str_radix(first, 16).map(|group| Ipv4Addr::from(group.to_ne_bytes()));
            if let (Some(link), Ok(group)) = (link, group) {
                all.push(Membership { link, group: group.into(), by_source: false });
            }
        } else {
            link = first.parse().ok();
        }
    }
    all
}

/// A line for each: number and name of the interface, the group in hexadecimal.
fn ipv6(text: &str) -> Vec<Membership> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let link = words.next()?.parse().ok()?;
        let group = Ipv6Addr::from(u128::from_str_radix(words.nth(1)?, 16).ok()?);
        Some(Membership { link, group: group.into(), by_source: false })
    });
    lines.collect()
}

/// A line for each sender that is listed for a group of IPv4.
fn filtered(text: &str) -> BTreeSet<(IfIndex, IpAddr)> {
    let lines = text.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        let link = words.next()?.parse().ok()?;
        let group = words.nth(1)?.trim_start_matches("0x");
        Some((link, Ipv4Addr::from(u32::from_str_radix(group, 16).ok()?).into()))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines() {
        let igmp = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n1\tlo        :     1      V3\n\
                    \t\t\t\t010000E0     1 0:00000000\t\t0\n4\teth0      :     2      V3\n\
                    \t\t\t\tFB0000E0     1 0:00000000\t\t0\n\t\t\t\t010000E0     1 0:00000000\t\t0\n";
        let found: Vec<_> = ipv4(igmp).into_iter().map(|one| (one.link, one.group.to_string())).collect();
        let text = |link: u32, group: &str| (link, group.to_owned());
        assert_eq!(found, [text(1, "224.0.0.1"), text(4, "224.0.0.251"), text(4, "224.0.0.1")]);
        let igmp6 = "2    ifb0            ff020000000000000000000000000001     1 0000000C 0\n";
        assert_eq!(ipv6(igmp6)[0].group.to_string(), "ff02::1");
        let filter = "Idx Device        MCA        SRC    INC    EXC\n  4   eth0 0xe8010101 0x0a000001      1      0\n";
        assert!(filtered(filter).contains(&(4, IpAddr::V4(Ipv4Addr::new(232, 1, 1, 1)))));
        assert!(ipv4("").is_empty() && ipv6("\n").is_empty() && filtered("").is_empty());
    }
}
