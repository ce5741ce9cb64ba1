//! Addresses and prefixes as people write them.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::diagnostic::Problem;

/// `ADDRESS/LENGTH` or `ADDRESS/MASK`. Numbers with leading zeros, which some read as octal, are refused.
pub(crate) fn net(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length = match length.parse::<IpAddr>() {
        Ok(mask) if mask.is_ipv4() == address.is_ipv4() => ipnet::ip_mask_to_prefix(mask).ok()?,
        Err(_) if length.bytes().all(|byte| byte.is_ascii_digit()) => length.parse().ok()?,
        _ => return None,
    };
    IpNet::new(address, length).ok()
}

/// An interface's address with its prefix length: `10.0.0.1/24`.
pub(crate) fn interface(text: &str) -> Result<IpNet, Problem> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let length = if address.is_ipv4() { 24 } else { 64 };
        return Err(Problem::new("missing-length", format!("{text} lacks the length of its prefix"))
            .help(format!("write {text}/{length} if the subnet has that size")));
    }
    net(text).ok_or_else(|| not_an_address(text, "an address with its prefix length, as 10.0.0.1/24"))
}

/// An address without a prefix length.
pub(crate) fn plain(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| match net(text) {
        Some(net) => {
            Problem::new("bad-address", format!("{text} has a prefix length, which has no place here"))
                .help(format!("write {}", net.addr()))
        }
        None => not_an_address(text, "an address, as 10.0.0.1"),
    })
}

/// A prefix without host bits. A bare address stands for itself alone.
pub(crate) fn prefix(text: &str) -> Result<IpNet, Problem> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let net = net(text).ok_or_else(|| not_an_address(text, "a prefix, as 10.0.0.0/24"))?;
    if net == net.trunc() {
        return Ok(net);
    }
    Err(Problem::new("host-bits", format!("{net} is an address in a subnet, not a subnet")).help(format!(
        "the subnet is {}, the address alone {}",
        net.trunc(),
        IpNet::from(net.addr())
    )))
}

fn not_an_address(text: &str, wanted: &str) -> Problem {
    let problem = Problem::new("bad-address", format!("expected {wanted}, found {text:?}"));
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    let octets: Vec<&str> = address.split('.').collect();
    let numbers: Option<Vec<u32>> = octets.iter().map(|octet| octet.parse().ok()).collect();
    match (address.parse::<IpAddr>(), numbers) {
        (Ok(address), _) => {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            problem.help(format!("the prefix length is a number from 0 to {longest}"))
        }
        (Err(_), Some(numbers)) if numbers.len() == 4 => {
            if let Some(big) = numbers.iter().find(|number| **number > 255) {
                problem.help(format!("each of the four numbers is at most 255, {big} is not"))
            } else {
                problem.help("write the numbers without leading zeros")
            }
        }
        (Err(_), Some(numbers)) if numbers.len() > 1 => {
            problem.help(format!("an IPv4 address has four numbers, this has {}", numbers.len()))
        }
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(interface("10.0.0.1/255.255.255.0").unwrap().to_string(), "10.0.0.1/24");
        assert!(interface("10.0.0.1/24").is_ok() && interface("2001:db8::1/64").is_ok());
        for (text, hint) in [
            ("10.0.0.1", "10.0.0.1/24"),
            ("2001:db8::1", "2001:db8::1/64"),
            ("10.0.0.1/33", "0 to 32"),
            ("10.0.0.256/24", "256"),
            ("10.0.1/24", "this has 3"),
            ("010.0.0.1/24", "leading zeros"),
        ] {
            let problem = interface(text).unwrap_err();
            assert!(problem.help[0].contains(hint), "{text}: {problem:?}");
        }
        assert!(prefix("10.0.0.1/24").unwrap_err().help[0].contains("10.0.0.0/24"));
        assert_eq!(prefix("10.0.0.1").unwrap().prefix_len(), 32);
        assert!(plain("10.0.0.1/24").is_err());
    }
}
