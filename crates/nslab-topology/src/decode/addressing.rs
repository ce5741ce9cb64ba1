//! `addressing:` and `subnet:`.

use ipnet::IpNet;

use super::{Decoder, address};
use crate::diagnostic::{Diagnostic, Spanned};
use crate::lab::{Addressing, Family};
use crate::yaml::{Kind, Value};

const KEYS: &[&str] = &["ipv4", "ipv6"];

impl Decoder {
    pub(super) fn addressing(&mut self, value: &Value) -> Addressing {
        if let Kind::Scalar(_) = value.kind {
            let words = [("none", Addressing::NONE), ("auto", Addressing::default())];
            let words: Vec<_> = words.iter().map(|(word, addressing)| (*word, addressing)).collect();
            return self
                .word(value, "where addresses come from, or a mapping with `ipv4` and `ipv6`", &words)
                .map(|word| word.value.clone())
                .unwrap_or_default();
        }
        let mut addressing = Addressing::default();
        for (key, value) in self.entries(value, "`none`, or a mapping with `ipv4` and `ipv6`") {
            let family = match key.text.as_str() {
                "ipv4" => Family::Ipv4,
                "ipv6" => Family::Ipv6,
                _ => {
                    self.unknown_key(key, "`addressing`", KEYS);
                    continue;
                }
            };
            let is_none = matches!(&value.kind, Kind::Scalar(scalar) if scalar.text == "none");
            let pool = if is_none { None } else { self.pool(value, family) };
            match (family, pool) {
                (Family::Ipv4, None) => addressing.ipv4 = None,
                (Family::Ipv6, None) => addressing.ipv6 = None,
                (_, Some(Spanned { value: IpNet::V4(net), span })) => {
                    addressing.ipv4 = Some(Spanned { value: net, span });
                }
                (_, Some(Spanned { value: IpNet::V6(net), span })) => {
                    addressing.ipv6 = Some(Spanned { value: net, span });
                }
            }
        }
        addressing
    }

    fn pool(&mut self, value: &Value, family: Family) -> Option<Spanned<IpNet>> {
        let net = self.parsed(value, &format!("an {family} prefix or `none`"), address::prefix)?;
        let longest = if family == Family::Ipv4 { 30 } else { 64 };
        if Family::of(net.addr()) != family {
            self.push(
                Diagnostic::error("wrong-family", format!("{} is not an {family} prefix", *net))
                    .at(value.span, ""),
            );
            return None;
        }
        if net.prefix_len() > longest || net.prefix_len() == 0 {
            self.push(
                Diagnostic::error("bad-pool", format!("{} is no pool to take subnets from", *net))
                    .at(value.span, "")
                    .help(format!("its prefix length is from 1 to {longest}")),
            );
            return None;
        }
        Some(net)
    }

    /// `subnet:` and `subnets:` of a switch.
    pub(super) fn subnets(&mut self, value: &Value) -> Vec<Spanned<IpNet>> {
        let mut subnets: Vec<Spanned<IpNet>> = Vec::new();
        for item in value.items() {
            let Some(net) = self.parsed(item, "a prefix, as 10.0.0.0/24", address::prefix) else { continue };
            let (family, length) = (Family::of(net.addr()), net.prefix_len());
            if length == 0 || net.max_prefix_len() - length < 1 {
                self.push(
                    Diagnostic::error("bad-subnet", format!("{} has no room for addresses of hosts", *net))
                        .at(item.span, "")
                        .help("a subnet is such as 10.0.0.0/24 or fd00::/64"),
                );
                continue;
            }
            if let Some(other) = subnets.iter().find(|other| Family::of(other.addr()) == family) {
                let error = Diagnostic::error(
                    "several-subnets",
                    format!("a switch has one {family} subnet, these are two"),
                )
                .at(item.span, "the second")
                .because(other.span, "the first");
                self.push(error);
                continue;
            }
            subnets.push(net);
        }
        subnets
    }
}
