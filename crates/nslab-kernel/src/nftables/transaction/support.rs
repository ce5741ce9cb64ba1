//! What a kernel may have been built without.

use rustix::io::Errno;

use super::error::RefusedChange;
use super::message::message_type;
use crate::netlink::{Attributes, Reader};
use crate::nftables::abi::*;
use crate::nftables::family::Family;

/// What the kernel lacks, and the option that would bring it, if that is what a refusal of this message means.
pub(super) fn lacking(message: &[u8], refused: &RefusedChange) -> Option<(String, &'static str)> {
    let header = Reader::new(message);
    let kind = header.u16(4);
    let family = Family::from_number(header.u8(16))?;
    let errno = refused.refusal.errno;
    if kind == message_type(NFT_MSG_NEWTABLE) && matches!(errno, Errno::AFNOSUPPORT | Errno::OPNOTSUPP) {
        return Some((format!("nftables' family {family}"), family_option(family)));
    }
    if errno != Errno::NOENT {
        return None;
    }
    if kind == message_type(NFT_MSG_NEWCHAIN) {
        let at = usize::try_from(refused.refusal.offset?).ok()?;
        let attribute = Attributes::new(message.get(at..)?).next()?;
        let is_nat = attribute.kind == NFTA_CHAIN_TYPE && attribute.text() == "nat";
        return is_nat.then(|| ("a chain of type nat".to_owned(), "CONFIG_NF_NAT"));
    }
    let expression = refused.expression.as_deref()?;
    let option = expression_option(expression, family)?;
    Some((format!("the nftables expression \"{expression}\" in family {family}"), option))
}

fn family_option(family: Family) -> &'static str {
    match family {
        Family::Inet => "CONFIG_NF_TABLES_INET",
        Family::Ip => "CONFIG_NF_TABLES_IPV4",
        Family::Ip6 => "CONFIG_NF_TABLES_IPV6",
        Family::Arp => "CONFIG_NF_TABLES_ARP",
        Family::Bridge => "CONFIG_NF_TABLES_BRIDGE",
        Family::Netdev => "CONFIG_NF_TABLES_NETDEV",
    }
}

/// The option of an expression (`net/netfilter/Kconfig`); none for those that are always there, which are refused for want of
/// what they name.
fn expression_option(name: &str, family: Family) -> Option<&'static str> {
    Some(match (name, family) {
        ("ct" | "notrack", _) => "CONFIG_NFT_CT",
        ("connlimit", _) => "CONFIG_NFT_CONNLIMIT",
        ("log", _) => "CONFIG_NFT_LOG",
        ("limit", _) => "CONFIG_NFT_LIMIT",
        ("masq", _) => "CONFIG_NFT_MASQ",
        ("redir", _) => "CONFIG_NFT_REDIR",
        ("nat", _) => "CONFIG_NFT_NAT",
        ("tunnel", _) => "CONFIG_NFT_TUNNEL",
        ("queue", _) => "CONFIG_NFT_QUEUE",
        ("quota", _) => "CONFIG_NFT_QUOTA",
        ("reject", Family::Bridge) => "CONFIG_NFT_BRIDGE_REJECT",
        ("reject", Family::Netdev) => "CONFIG_NFT_REJECT_NETDEV",
        ("reject", Family::Inet) => "CONFIG_NFT_REJECT_INET",
        ("reject", _) => "CONFIG_NFT_REJECT",
        ("match" | "target", _) => "CONFIG_NFT_COMPAT",
        ("hash", _) => "CONFIG_NFT_HASH",
        ("numgen", _) => "CONFIG_NFT_NUMGEN",
        ("fib", Family::Netdev) => "CONFIG_NFT_FIB_NETDEV",
        ("fib", _) => "CONFIG_NFT_FIB_INET",
        ("xfrm", _) => "CONFIG_NFT_XFRM",
        ("socket", _) => "CONFIG_NFT_SOCKET",
        ("osf", _) => "CONFIG_NFT_OSF",
        ("tproxy", _) => "CONFIG_NFT_TPROXY",
        ("synproxy", _) => "CONFIG_NFT_SYNPROXY",
        ("dup", Family::Ip) => "CONFIG_NFT_DUP_IPV4",
        ("dup", Family::Ip6) => "CONFIG_NFT_DUP_IPV6",
        ("dup", _) => "CONFIG_NFT_DUP_NETDEV",
        ("fwd", _) => "CONFIG_NFT_FWD_NETDEV",
        ("flow_offload", _) => "CONFIG_NFT_FLOW_OFFLOAD",
        _ => return None,
    })
}
