//! Who on a segment answers for an address: ARP (`arp_process`, `net/ipv4/arp.c`) and neighbour discovery (`ndisc_recv_ns`,
//! `net/ipv6/ndisc.c`), played through question and answer.

use std::net::{IpAddr, Ipv6Addr};

use nslab_kernel::address::Address;
use nslab_kernel::link::Link;
use nslab_snapshot::{Snapshot, State};
use nslab_types::MacAddr;
use serde::Serialize;

use crate::Doubt;
use crate::fib::{self, Fate, Flow, Verdict};
use crate::l2::{self, End, Frame, Learned, Outcome, Port, Wiring};

/// The bytes of an ARP packet for Ethernet and IPv4 (RFC 826), and of a neighbour solicitation with its option (RFC 4861).
const ARP_SIZE: u32 = 28;
const SOLICITATION_SIZE: u32 = 72;
/// The scopes of addresses (`RT_SCOPE_…`, `include/uapi/linux/rtnetlink.h`) that leave a host.
const SCOPE_LINK: u8 = 253;

/// What becomes of a question for an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolution {
    /// Who answers, in the order in which the question gets there. The first answer counts; if there are several, chance
    /// decides which one is the first.
    pub answers: Vec<Answer>,
    /// Where the question got to besides, or was lost.
    pub unanswered: Vec<End>,
}

/// An answer that comes back to whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Which interface gives it.
    pub at: Port,
    /// The MAC in it.
    pub mac: MacAddr,
    /// Whether the address is one of that host's own, or it stands in for somebody else (`proxy_arp`, `proxy_ndp`).
    pub is_own: bool,
    /// How the question gets there.
    pub question: End,
    /// How the answer comes back.
    pub back: End,
    /// What that hangs on.
    pub doubts: Vec<Doubt>,
}

/// Whether a host says that it is somebody.
enum Says {
    Itself(Option<Doubt>),
    StandsIn(Option<Doubt>),
    Nothing,
}

/// Asks for `target` at the interface `from`, as the address `source` there.
/// Bridges learn from the question, and from the first answer.
pub fn ask(
    snapshot: &Snapshot,
    wiring: &Wiring,
    learned: &mut Learned,
    from: Port,
    source: IpAddr,
    target: IpAddr,
) -> Resolution {
    let mut resolution = Resolution { answers: Vec::new(), unanswered: Vec::new() };
    let look = |at: Port| -> Option<(&State, &Link)> {
        let state = snapshot.namespaces.get(at.namespace)?.state()?;
        Some((state, state.link(at.link)?))
    };
    let Some(mac) = look(from).and_then(|(_, link)| link.mac) else { return resolution };
    let (destination, size) = match target {
        IpAddr::V4(_) => (MacAddr([0xff; 6]), ARP_SIZE),
        IpAddr::V6(target) => (solicited_node(target), SOLICITATION_SIZE),
    };
    let question = Frame { source: mac, destination, vlan: None, size, target: Some(target) };
    let deaf = look(from).is_some_and(|(state, link)| has(state, link, target));
    // The question teaches bridges the way of the answer.
    let mut taught = None;
    for end in l2::send(snapshot, wiring, learned, from, question) {
        let says = match (&end.outcome, look(end.at)) {
            (Outcome::Taken, Some((state, link))) if !deaf => says(state, link, source, target),
            _ => Says::Nothing,
        };
        let own = look(end.at).and_then(|(_, link)| link.mac);
        let (is_own, doubt) = match says {
            Says::Itself(doubt) => (true, doubt),
            Says::StandsIn(doubt) => (false, doubt),
            Says::Nothing => {
                resolution.unanswered.push(end);
                continue;
            }
        };
        let Some(own) = own else { continue };
        // The answer goes back to the one who asked, and has to get there.
        // Of IPv6 it goes as any packet does, by the neighbour table if that has one for whoever asked; of ARP to whom the
        // question names.
        let to =
            look(end.at).and_then(|(state, _)| fixed(state, end.at, source)).filter(|_| source.is_ipv6());
        let answer =
            Frame { source: own, destination: to.unwrap_or(mac), vlan: None, size, target: Some(source) };
        let mut by_this = learned.clone();
        let back = l2::send(snapshot, wiring, &mut by_this, end.at, answer);
        match back.into_iter().find(|back| back.at == from && back.outcome == Outcome::Taken) {
            Some(back) => {
                taught.get_or_insert(by_this);
                let doubts = [&end.doubts[..], &back.doubts[..]].concat().into_iter().chain(doubt).collect();
                resolution.answers.push(Answer { at: end.at, mac: own, is_own, question: end, back, doubts });
            }
            None => resolution.unanswered.push(end),
        }
    }
    if let Some(taught) = taught {
        *learned = taught;
    }
    resolution
}

/// The group that is asked for an address, as a MAC (RFC 4291, section 2.7.1; RFC 2464, section 7).
fn solicited_node(target: Ipv6Addr) -> MacAddr {
    let low = target.octets();
    MacAddr([0x33, 0x33, 0xff, low[13], low[14], low[15]])
}

/// The MAC that was put into the neighbour table by hand for an address (`NUD_PERMANENT`, `NUD_NOARP`).
fn fixed(state: &State, at: Port, address: IpAddr) -> Option<MacAddr> {
    let mut entries = state.network.neighbours.iter();
    entries
        .find(|entry| {
            entry.link == at.link && entry.address == address && !entry.proxy && entry.state & 0xc0 != 0
        })?
        .mac
}

/// What a host says that was asked at one of its interfaces.
fn says(state: &State, link: &Link, source: IpAddr, target: IpAddr) -> Says {
    if l2::routes_by_lower(link) {
        return Says::Nothing;
    }
    match target {
        IpAddr::V4(_) => says_ipv4(state, link, source, target),
        IpAddr::V6(_) => {
            // An IPv6 address is answered for at its own interface only, and not before it is known to be nobody else's.
            let is_here = state.network.addresses.iter().any(|address| {
                address.address.addr() == target
                    && address.link == link.index
                    && !address.tentative
                    && !address.duplicate
            });
            let disabled = link.ipv6.is_none_or(|settings| settings.disabled);
            if is_here && !disabled { Says::Itself(None) } else { proxy_ndp(state, link, target) }
        }
    }
}

/// Whether a link has an address of IPv6: whoever asks for one of its own takes no answer from others (`ndisc_recv_na`).
pub(crate) fn has(state: &State, link: &Link, address: IpAddr) -> bool {
    let mut all = state.network.addresses.iter();
    address.is_ipv6() && all.any(|own| own.link == link.index && own.address.addr() == address)
}

/// `arp_process`: the question is looked up as if it were a packet from the one who asks to the one who is looked for.
fn says_ipv4(state: &State, link: &Link, source: IpAddr, target: IpAddr) -> Says {
    if link.ipv4.is_none() {
        return Says::Nothing;
    }
    let is_own = state.network.addresses.iter().any(|address| address.address.addr() == target);
    if source.is_unspecified() {
        // Whether an address is in use already is asked from nowhere.
        let answers = is_own && !ignores(state, link, source, target);
        return if answers { Says::Itself(None) } else { Says::Nothing };
    }
    let flow = Flow { source: Some(source), iif: Some(link.index), ..Flow::to(target) };
    let decision = fib::input(state, &flow, link.index);
    let mut all = decision.outcomes.iter().map(|arrival| match &arrival.fate {
        Fate::Local { .. } if ignores(state, link, source, target) => Says::Nothing,
        Fate::Local { .. } if filters(state, link, source, target) => Says::Nothing,
        Fate::Local { .. } => Says::Itself(None),
        Fate::Forward(ways) => proxy_arp(state, link, target, ways),
        _ => Says::Nothing,
    });
    let first = all.next().unwrap_or(Says::Nothing);
    let doubt = decision.doubts.first().cloned();
    match all.find(|other| std::mem::discriminant(other) != std::mem::discriminant(&first)) {
        None => first,
        Some(other) => match if matches!(first, Says::Nothing) { other } else { first } {
            Says::Itself(_) => Says::Itself(doubt),
            Says::StandsIn(_) => Says::StandsIn(doubt),
            Says::Nothing => Says::Nothing,
        },
    }
}

/// Whether a host keeps quiet about an address of its own (`arp_ignore`).
fn ignores(state: &State, link: &Link, source: IpAddr, target: IpAddr) -> bool {
    let owners: Vec<&Address> =
        state.network.addresses.iter().filter(|address| address.address.addr() == target).collect();
    let own = link.ipv4.map_or(0, |settings| settings.arp_ignore);
    let here = |address: &&&Address| address.link == link.index;
    match own.max(state.settings.ipv4_all.arp_ignore) {
        1 => !owners.iter().any(|address| here(&address)),
        // The sender must be in the subnet of that address as well.
        2 => !owners.iter().any(|address| here(&address) && address.address.contains(&source)),
        // Addresses of scope host are kept quiet about.
        3 => !owners.iter().any(|address| address.scope <= SCOPE_LINK),
        8 => true,
        _ => false,
    }
}

/// Whether a host answers only where its own packets to the one who asks would leave, and that is elsewhere (`arp_filter`).
fn filters(state: &State, link: &Link, source: IpAddr, target: IpAddr) -> bool {
    let own = link.ipv4.is_some_and(|settings| settings.arp_filter);
    if !own && !state.settings.ipv4_all.arp_filter {
        return false;
    }
    let decision = fib::lookup(state, &Flow { source: Some(target), ..Flow::to(source) });
    !decision.outcomes.iter().any(|outcome| match &outcome.verdict {
        Verdict::Leave(ways) => ways.iter().any(|way| way.link == link.index),
        _ => false,
    })
}

/// Whether a router stands in for those behind it (`arp_fwd_proxy`, `arp_fwd_pvlan`, and `ip neighbour add proxy`).
fn proxy_arp(state: &State, link: &Link, target: IpAddr, ways: &[fib::Way]) -> Says {
    let own = link.ipv4.unwrap_or_default();
    let elsewhere = ways.iter().all(|way| way.link != link.index);
    let proxies = elsewhere && (own.proxy_arp || state.settings.ipv4_all.proxy_arp);
    let listed = || {
        let mut entries = state.network.neighbours.iter();
        entries.any(|entry| entry.proxy && entry.address == target && entry.link == link.index)
    };
    if proxies || !elsewhere && own.proxy_arp_pvlan || elsewhere && listed() {
        Says::StandsIn(None)
    } else {
        Says::Nothing
    }
}

/// Whether a router stands in for one that it was told of (`pndisc`, `proxy_ndp`).
fn proxy_ndp(state: &State, link: &Link, target: IpAddr) -> Says {
    let on = link.ipv6.is_some_and(|settings| settings.proxy_ndp) || state.settings.ipv6_all.proxy_ndp;
    let is_listed = |entry: &nslab_kernel::neighbour::Neighbour| {
        entry.proxy && entry.address == target && entry.link == link.index
    };
    let forwards = link.ipv6.is_some_and(|settings| settings.forwarding);
    if on && forwards && state.network.neighbours.iter().any(is_listed) {
        return Says::StandsIn(None);
    }
    Says::Nothing
}
