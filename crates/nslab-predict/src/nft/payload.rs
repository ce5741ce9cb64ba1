//! Bytes of the packet (`nft_payload_eval`, `nft_payload_set_eval`) and what is beyond fixed headers (`nft_exthdr_*_eval`).

use nslab_kernel::nftables::{ExthdrKind, Family, PayloadBase};

use super::bits::Term;
use super::context::{Context, LinkHeader};
use super::header::Header;
use super::logic::doubt;

/// What a load comes to.
pub(super) enum Load {
    Term(Term),
    /// There is no such thing, so the rule does not match.
    Break,
    /// Either: whether there is such a thing is not known.
    Perhaps(Term),
}

/// Where bytes counted from `base` are, from the network header on; none where there is no such header.
fn place(header: &Header, base: PayloadBase, offset: u32) -> Option<usize> {
    let offset = usize::try_from(offset).ok()?;
    match base {
        PayloadBase::Network => Some(offset),
        PayloadBase::Transport => header.transport().checked_add(offset),
        // `nft_payload_inner_offset` knows others too, which packets here are not.
        PayloadBase::Inner if header.protocol() == 17 => (header.transport() + 8).checked_add(offset),
        _ => None,
    }
}

pub(super) fn load(context: &Context<'_>, header: &Header, base: PayloadBase, offset: u32, len: u32) -> Load {
    let count = usize::try_from(len).unwrap_or(usize::MAX);
    let unknown =
        |what: &str| Term::unknown(count, doubt(what, "The very packet that is meant, byte by byte."));
    match base {
        PayloadBase::Link => link(context, header, offset, count),
        PayloadBase::Inner if header.protocol() == 6 => {
            Load::Perhaps(unknown("what the TCP segment carries"))
        }
        PayloadBase::Inner if matches!(header.protocol(), 4 | 41 | 47) => {
            Load::Perhaps(unknown("what the tunnel carries"))
        }
        PayloadBase::Tunnel | PayloadBase::Other(_) => Load::Perhaps(unknown("what the tunnel carries")),
        base => match place(header, base, offset).and_then(|at| header.read(at, count)) {
            Some(term) => Load::Term(term),
            None => Load::Break,
        },
    }
}

fn link(context: &Context<'_>, header: &Header, offset: u32, len: usize) -> Load {
    let why = || doubt("the link-layer header", "The frame that the packet came in.");
    match &context.link_header {
        LinkHeader::Absent => Load::Break,
        // Of a frame that a bridge has of this packet the type is known, without knowing who sent it to whom.
        LinkHeader::Unknown if context.family == Family::Bridge && offset == 12 && len == 2 => {
            Load::Term(Term::known(if header.is_ipv6() { &[0x86, 0xdd] } else { &[0x08, 0x00] }))
        }
        LinkHeader::Unknown => Load::Perhaps(Term::unknown(len, why())),
        LinkHeader::Ethernet(bytes) => {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            let end = offset.saturating_add(len);
            if let Some(bytes) = bytes.get(offset..end) {
                return Load::Term(Term::known(bytes));
            }
            match offset.checked_sub(bytes.len()).map(|at| header.read(at, len)) {
                Some(Some(term)) => Load::Term(term),
                Some(None) => Load::Break,
                None => Load::Perhaps(Term::unknown(len, why())),
            }
        }
    }
}

/// What a write comes to.
pub(super) enum Write {
    Done,
    Break,
    /// It turns the packet into something else.
    Strange,
}

pub(super) fn store(header: &mut Header, base: PayloadBase, offset: u32, term: &Term) -> Write {
    if matches!(base, PayloadBase::Tunnel | PayloadBase::Other(_)) {
        return Write::Strange;
    }
    let Some(at) = place(header, base, offset) else {
        // Nothing here loads the link-layer header afterwards but what is written there, which is rare.
        return Write::Strange;
    };
    if header.changes_shape(at, &term.bits) {
        return Write::Strange;
    }
    header.write(at, term).map_or(Write::Break, |()| Write::Done)
}

/// An extension header or option. Packets here have no IPv6 extension headers and no IPv4 options; TCP's options are not known.
pub(super) fn extension(header: &Header, kind: ExthdrKind, number: u8, len: u32, present: bool) -> Load {
    let absent = || if present { Load::Term(Term::known(&[0])) } else { Load::Break };
    let unknown = |what: String| {
        let why = doubt(what, "The very packet that is meant, byte by byte.");
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if present { Load::Term(Term::unknown(1, why)) } else { Load::Perhaps(Term::unknown(len, why)) }
    };
    match kind {
        // `nft_exthdr_ipv6_eval` and `nft_exthdr_ipv4_eval` ask for the family before all else.
        ExthdrKind::Ipv6 | ExthdrKind::Ipv4Option if (kind == ExthdrKind::Ipv6) != header.is_ipv6() => {
            Load::Break
        }
        ExthdrKind::Ipv6 if matches!(header.protocol(), 0 | 43 | 44 | 51 | 60 | 135) => {
            unknown(format!("exthdr {number}"))
        }
        ExthdrKind::TcpOption if header.protocol() == 6 => unknown(format!("tcp option {number}")),
        ExthdrKind::SctpChunk if header.protocol() == 132 => unknown(format!("sctp chunk {number}")),
        ExthdrKind::DccpOption if header.protocol() == 33 => unknown(format!("dccp option {number}")),
        ExthdrKind::Ipv6
        | ExthdrKind::Ipv4Option
        | ExthdrKind::TcpOption
        | ExthdrKind::SctpChunk
        | ExthdrKind::DccpOption => absent(),
        ExthdrKind::Other(other) => unknown(format!("exthdr kind {other}")),
    }
}
