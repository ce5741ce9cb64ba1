//! Whether nothing more can come of a packet that the kernel threw away.

use std::collections::HashMap;

use super::{Event, Role, What};

/// Reasons for which a packet itself is thrown away where it is looked at, and never a copy of it for somebody else
/// (`include/net/dropreason-core.h`). Errors that they provoke are sent at once.
const OF_ITSELF: [&str; 22] = [
    "NO_SOCKET",
    "PKT_TOO_SMALL",
    "TCP_CSUM",
    "UDP_CSUM",
    "ICMP_CSUM",
    "IP_CSUM",
    "IP_INHDR",
    "IP_RPFILTER",
    "IP_NOPROTO",
    "IP_INADDRERRORS",
    "IP_INNOROUTES",
    "IP_OUTNOROUTES",
    "IP_LOCAL_SOURCE",
    "IP_INVALID_SOURCE",
    "IP_LOCALNET",
    "IP_INVALID_DEST",
    "UNICAST_IN_L2_MULTICAST",
    "NETFILTER_DROP",
    "PKT_TOO_BIG",
    "IPV6DISABLED",
    "XFRM_POLICY",
    "BRIDGE_INGRESS_STP_STATE",
];

/// Whether a packet of this role, dropped at a place, was the only one of its kind that was left: it came in there and went nowhere
/// from there, and so did no other copy elsewhere; or it never left the sender's place. Events are in the order of time.
pub(super) fn is_final<'e>(
    events: impl Iterator<Item = &'e Event>,
    role: Role,
    (place, reason): (usize, &str),
    sender: usize,
) -> bool {
    if !OF_ITSELF.contains(&reason) {
        return false;
    }
    // Where it was last seen to come in.
    let mut holders: HashMap<usize, bool> = HashMap::new();
    for event in events {
        let What::Seen(seen) = &event.what else { continue };
        // What came after it tells more; pieces end one by one.
        if seen.role > role || seen.role == role && seen.fragment.is_some() {
            return false;
        }
        if seen.role == role && !seen.for_others {
            holders.insert(event.place, !seen.sent);
        }
    }
    if holders.is_empty() {
        return role == Role::Request && place == sender;
    }
    holders.remove(&place) == Some(true) && !holders.into_values().any(|came_in| came_in)
}

#[cfg(test)]
mod tests {
    use super::super::examples;
    use super::*;

    fn seen(place: usize, sent: bool, role: Role) -> Event {
        let what = What::Seen(super::super::Seen { role, ..examples::seen(2, sent) });
        Event { place, at: None, what }
    }

    fn ends(events: &[Event], place: usize) -> bool {
        is_final(events.iter(), Role::Request, (place, "IP_INNOROUTES"), 0)
    }

    #[test]
    fn a_packet_ends_where_it_came_last() {
        let way = |places: &[(usize, bool)]| -> Vec<Event> {
            places.iter().map(|&(place, sent)| seen(place, sent, Role::Request)).collect()
        };
        let mut all = way(&[(0, true), (1, false), (1, true), (2, false)]);
        assert!(ends(&all, 2) && !ends(&all, 1) && !ends(&all, 0));
        // A copy came in elsewhere, too, or is on its way.
        assert!(!ends(&way(&[(0, true), (1, false), (1, true), (2, false), (3, false)]), 2));
        assert!(!ends(&way(&[(0, true), (1, false), (1, true)]), 2));
        assert!(ends(&[], 0) && !ends(&[], 1));
        // Not one for another host, which may be dropped there as well.
        let What::Seen(copy) = &mut all[3].what else { panic!() };
        copy.for_others = true;
        assert!(!ends(&all, 2));
        let What::Seen(piece) = &mut all[0].what else { panic!() };
        piece.fragment = Some(nslab_decode::Fragment { id: 1, offset: 0, more: true });
        assert!(!ends(&all, 2));
    }

    #[test]
    fn what_came_of_it_tells_more() {
        let all = [seen(0, true, Role::Request), seen(1, false, Role::Request), seen(1, true, Role::Error)];
        assert!(!ends(&all, 1) && ends(&all[..2], 1));
        assert!(!is_final(all.iter(), Role::Error, (0, "NO_SOCKET"), 0));
        let copy = |reason| is_final(all[..2].iter(), Role::Request, (1, reason), 0);
        assert!(copy("NO_SOCKET") && !copy("OTHERHOST") && !copy("SOCKET_FILTER") && !copy("dropped"));
    }
}
