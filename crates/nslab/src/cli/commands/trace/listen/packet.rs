//! A packet of others as it was first seen.

use nslab_decode::{Decoded, Flow, Frame, Identity, Link, Points};
use nslab_kernel::nftables::Hook;
use nslab_observe::trace::listen::Packet;
use nslab_observe::trace::{Captured, Role, Seen, What};
use nslab_predict::{Tcp, Transport};

use crate::cli::commands::capture::text::Teller;
use crate::cli::commands::capture::view::View;
use crate::cli::commands::drops::packet as of_drops;
use crate::cli::commands::trace::record;

/// TCP's and UDP's protocol numbers.
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Where a packet came to be, as far as that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was made in this place.
    Made(usize),
    /// It came in from elsewhere: place and interface.
    Came(usize, u32),
}

/// Where it was first seen at an interface.
pub(super) fn first(packet: &Packet) -> Option<(usize, &Seen)> {
    packet.events.iter().find_map(|event| match &event.what {
        What::Seen(seen) => Some((event.place, seen)),
        _ => None,
    })
}

/// Where it came to be; `is_loopback` says whether an interface of a place is one, `may_be_made` whether what is first seen going out
/// of a place was made there.
pub(super) fn origin(
    packet: &Packet,
    is_loopback: impl Fn(usize, u32) -> bool,
    may_be_made: impl Fn(usize) -> bool,
) -> Option<Origin> {
    let found = packet.events.iter().find_map(|event| match &event.what {
        What::Hook(visit) => Some(match (visit.hook, visit.input) {
            (Some(Hook::Prerouting | Hook::Input | Hook::Forward), Some(link))
                if !is_loopback(event.place, link) =>
            {
                Origin::Came(event.place, link)
            }
            _ => Origin::Made(event.place),
        }),
        // What goes out by lo is seen as it comes in again.
        What::Seen(seen) if seen.sent || is_loopback(event.place, seen.link) => {
            Some(Origin::Made(event.place))
        }
        What::Seen(seen) => Some(Origin::Came(event.place, seen.link)),
        What::Dropped { .. } => Some(Origin::Made(event.place)),
        What::Neighbour(_) => None,
    });
    match found? {
        Origin::Made(place) if !may_be_made(place) => {
            packet.events.iter().find_map(|event| match &event.what {
                What::Hook(visit) if event.place == place && visit.hook == Some(Hook::Prerouting) => {
                    Some(Origin::Came(place, visit.input?))
                }
                _ => None,
            })
        }
        origin => Some(origin),
    }
}

/// All pairs of ends that it had on its way, the first one first.
pub(super) fn flows(packet: &Packet) -> Vec<Flow> {
    let mut all = vec![packet.flow];
    for event in packet.events.iter().filter(|event| event.role() == Some(Role::Request)) {
        let flow = match &event.what {
            What::Seen(seen) => seen.flow,
            What::Hook(visit) => visit.flow,
            _ => continue,
        };
        if !all.contains(&flow) {
            all.push(flow);
        }
    }
    all
}

/// Gives it, taken apart, to `work`; with its `EtherType` and length.
pub(super) fn with_decoded<T>(
    packet: &Packet,
    work: impl FnOnce(Option<&Decoded<'_>>, (u16, u32)) -> T,
) -> T {
    if let Some((_, Seen { link, frame, .. })) = first(packet) {
        let Captured { protocol, length, .. } = *frame;
        let raw = record::frame(frame, *link);
        let view = View::of(&raw, false);
        return work(view.decoded().as_ref(), (protocol, length));
    }
    let bytes = &packet.headers[..];
    let decoded = nslab_decode::decode(&Frame::new(bytes).of_length(packet.length()).on(Link::Ip));
    let protocol = if bytes.first().is_some_and(|first| first >> 4 == 6) { 0x86dd } else { 0x0800 };
    work(Some(&decoded), (protocol, u32::try_from(packet.length()).unwrap_or(u32::MAX)))
}

/// As predictions have it; none of what is no IP.
pub(super) fn question(decoded: &Decoded<'_>, headers: &[u8]) -> Option<nslab_predict::Packet> {
    let mut asked = of_drops::question(decoded, 0)?;
    // Rules tell less of TCP than its header.
    if let (Transport::Other(protocol), Points::Ports { source, destination }) =
        (asked.transport, Identity::of(decoded)?.flow.points)
    {
        let begin = if asked.is_ipv6() { 40 } else { usize::from(headers.first()? & 0xf) * 4 };
        match protocol {
            TCP => {
                let flags = *headers.get(begin + 13)?;
                asked.transport = Transport::Tcp(Tcp { source, destination, flags });
            }
            UDP => asked.transport = Transport::Udp { source, destination },
            _ => {}
        }
    }
    Some(asked)
}

/// Adds it in words, as it was first.
pub(super) fn words(packet: &Packet, teller: &mut Teller, text: &mut String) {
    with_decoded(packet, |decoded, about| teller.packet(decoded, about, text));
}
