//! What is known of a packet besides its bytes (`nft_meta_get_eval`, `nft_meta_set_eval`).

use nslab_kernel::nftables::{Family, Hook, MetaKey};

use super::bits::Term;
use super::context::{Context, Device, LinkHeader, Socket};
use super::logic::doubt;
use super::payload::Load;
use super::run::Core;

pub(super) fn load(context: &Context<'_>, table: Family, core: &Core, key: MetaKey) -> Load {
    let unknown = |len, settle: &str| Term::unknown(len, doubt(format!("meta {key}"), settle));
    let (input, output) = (context.input.as_ref(), context.output.as_ref());
    let word = |value: u32| Load::Term(Term::word(value));
    match key {
        // The length counts from the network header on, but for what is just being sent.
        MetaKey::Length if context.hook == Hook::Egress => {
            Load::Term(unknown(4, "The length of its link-layer header."))
        }
        MetaKey::Length => word(u32::try_from(core.header.size()).unwrap_or(u32::MAX)),
        MetaKey::Protocol if context.family == Family::Arp => Load::Term(Term::known(&[0x08, 0x06])),
        // What a bridge passes on may be no IP at all.
        MetaKey::Protocol
            if matches!(context.link_header, LinkHeader::Ethernet(_)) && context.family == Family::Bridge =>
        {
            let LinkHeader::Ethernet([.., high, low]) = context.link_header else { return Load::Break };
            Load::Term(Term::known(&[high, low]))
        }
        MetaKey::Protocol if core.header.is_ipv6() => Load::Term(Term::known(&[0x86, 0xdd])),
        MetaKey::Protocol => Load::Term(Term::known(&[0x08, 0x00])),
        MetaKey::Priority => Load::Term(core.priority.clone()),
        MetaKey::Mark => Load::Term(core.mark.clone()),
        MetaKey::PacketType => Load::Term(core.packet_type.clone()),
        MetaKey::Trace => Load::Term(core.traced.clone()),
        // Where there is no interface these are 0 and "" …
        MetaKey::Iif => word(input.map_or(0, |device| device.index)),
        MetaKey::Oif => word(output.map_or(0, |device| device.index)),
        MetaKey::IifName => name(input.map_or("", |device| device.name)),
        MetaKey::OifName => name(output.map_or("", |device| device.name)),
        // … and these do not match.
        MetaKey::IifType => of(input, |device| Term::known(&device.hardware.to_ne_bytes())),
        MetaKey::OifType => of(output, |device| Term::known(&device.hardware.to_ne_bytes())),
        MetaKey::IifGroup => of(input, |device| Term::word(device.group)),
        MetaKey::OifGroup => of(output, |device| Term::word(device.group)),
        MetaKey::IifKind => text(input.and_then(|device| device.kind)),
        MetaKey::OifKind => text(output.and_then(|device| device.kind)),
        MetaKey::BridgeIifName => text(input.and_then(|device| device.bridge)),
        MetaKey::BridgeOifName => text(output.and_then(|device| device.bridge)),
        MetaKey::Sdif if input.is_none_or(|device| device.vrf.is_none()) => word(0),
        MetaKey::SdifName if input.is_none_or(|device| device.vrf.is_none()) => name(""),
        MetaKey::SdifName => Load::Term(unknown(16, "What the VRF noted.")),
        MetaKey::NetfilterProtocol => {
            // `nft_pf`: the family of the hook, of which `inet` is none (`nft_do_chain_inet`).
            let family = match table {
                Family::Inet if core.header.is_ipv6() => Family::Ip6,
                Family::Inet => Family::Ip,
                _ => context.family,
            };
            Load::Term(Term::known(&[family.number()]))
        }
        MetaKey::L4Protocol if context.family == Family::Arp => Load::Break,
        MetaKey::L4Protocol => Load::Term(Term::known(&[core.header.protocol()])),
        MetaKey::SocketUser | MetaKey::SocketGroup => match context.socket {
            Socket::Absent => Load::Break,
            Socket::Owned { user, group } => word(if key == MetaKey::SocketUser { user } else { group }),
            Socket::Unknown => Load::Perhaps(unknown(4, "The socket that the packet is of.")),
        },
        MetaKey::Cgroup => match context.socket {
            Socket::Absent => Load::Break,
            _ => Load::Perhaps(unknown(4, "The socket that the packet is of.")),
        },
        MetaKey::RoutingClass => Load::Perhaps(unknown(4, "The realm of its route.")),
        MetaKey::SecurityMark => Load::Term(unknown(4, "The security module's label.")),
        MetaKey::Cpu => Load::Term(unknown(4, "The CPU that works on it.")),
        MetaKey::Random => Load::Term(unknown(4, "Nothing: it is chance.")),
        MetaKey::IpsecPath => Load::Term(unknown(1, "Whether it came by IPsec.")),
        MetaKey::Time => Load::Term(unknown(8, "The time at which it comes.")),
        MetaKey::Day => Load::Term(unknown(1, "The day on which it comes.")),
        MetaKey::Hour => Load::Term(unknown(4, "The time at which it comes.")),
        MetaKey::Sdif => Load::Term(unknown(4, "What the VRF noted.")),
        MetaKey::BridgePvid | MetaKey::BridgeVlanProtocol => Load::Perhaps(unknown(2, "The bridge's VLANs.")),
        MetaKey::BridgeRoute | MetaKey::Other(_) => {
            Load::Perhaps(unknown(16, "What the kernel loads for it."))
        }
    }
}

fn name(text: &str) -> Load {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(text.as_bytes().iter().take(15)) {
        *to = *from;
    }
    Load::Term(Term::known(&bytes))
}

fn text(text: Option<&str>) -> Load {
    text.map_or(Load::Break, name)
}

fn of(device: Option<&Device<'_>>, what: impl Fn(&Device<'_>) -> Term) -> Load {
    device.map_or(Load::Break, |device| Load::Term(what(device)))
}

/// Whether the key can be set here; what cannot be is not known.
pub(super) fn store(core: &mut Core, key: MetaKey, value: Term) -> bool {
    match key {
        MetaKey::Mark => core.mark = value,
        MetaKey::Priority => core.priority = value,
        // It is given only to packets of a link: `if (skb->pkt_type != value && skb_pkt_type_ok(value) && …)`.
        MetaKey::PacketType => {
            core.packet_type = Term::unknown(1, doubt("meta pkttype set", "Whether the kernel allows it."));
        }
        MetaKey::Trace => core.traced = value,
        MetaKey::SecurityMark => {}
        _ => return false,
    }
    true
}
