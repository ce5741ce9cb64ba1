//! The host as it was a moment ago: what namespaces are called, and what becomes of packets in them.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use nslab_decode::Decoded;
use nslab_predict::l2::Port;
use nslab_predict::{
    Action, Arrival, Code, Evidence, Network, Packet, Prediction, Question, predict, predict_arrival, reason,
};
use nslab_snapshot::{Options, Snapshot};
use nslab_tracepoints::Event;
use nslab_types::MacAddr;

use crate::cli::error::CliError;

/// It is not looked at more often than this, nor for more than a tenth of the time, unless that takes very long.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const SHARE: u32 = 10;
/// So many answers are kept.
const MOST_ANSWERS: usize = 10_000;

/// The host at one time.
pub(super) struct Host {
    snapshot: Snapshot,
    /// When it was looked at, in nanoseconds since 1970.
    time: u64,
    taken: Instant,
    cost: Duration,
    /// Places in the snapshot by the numbers of namespaces.
    places: HashMap<u32, usize>,
}

/// What stops a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Cause {
    pub(super) code: Code,
    /// The object, where the prediction names it; without, all that is known is what the kernel's reason says.
    pub(super) object: Option<Object>,
}

/// An object that stops a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Object {
    pub(super) namespace: String,
    pub(super) link: Option<String>,
    pub(super) name: String,
    /// Why, a sentence.
    pub(super) text: String,
}

/// What is asked about a drop.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub(super) place: usize,
    /// The interface that it came by; none if it was made there.
    pub(super) came_by: Option<u32>,
    pub(super) packet: Packet,
    pub(super) macs: Option<(MacAddr, MacAddr)>,
    /// The kernel's reason.
    pub(super) reason: Option<String>,
}

impl Host {
    pub(super) fn take() -> Result<Self, CliError> {
        let (taken, time) = (Instant::now(), now());
        let snapshot = Snapshot::take(Options::default())?;
        let spaces = snapshot.namespaces.iter().enumerate();
        let places =
            spaces.filter_map(|(place, space)| Some((u32::try_from(space.id.inode).ok()?, place))).collect();
        Ok(Self { snapshot, time, cost: taken.elapsed(), taken, places })
    }

    /// Whether it may be looked at anew already.
    pub(super) fn may_go(&self) -> bool {
        self.taken.elapsed() >= (self.cost * SHARE).clamp(PAUSE, LONGEST_PAUSE)
    }

    /// Whether it was looked at after that time.
    pub(super) fn is_since(&self, time: u64) -> bool {
        self.time > time
    }

    /// How many namespaces there are.
    pub(super) fn len(&self) -> usize {
        self.snapshot.namespaces.len()
    }

    /// The place of a namespace.
    pub(super) fn place(&self, namespace: u32) -> Option<usize> {
        self.places.get(&namespace).copied()
    }

    /// What people call a namespace.
    pub(super) fn name(&self, namespace: Option<u32>) -> String {
        match (namespace, namespace.and_then(|one| self.place(one))) {
            (_, Some(place)) => nslab_view::namespace_name(&self.snapshot, place),
            (Some(number), None) => format!("net:[{number}]"),
            (None, None) => "?".to_owned(),
        }
    }

    /// The interface that it was at, else the one that it came by.
    pub(super) fn link(&self, event: &Event<'_>) -> Option<String> {
        let by_number = |link: u32| {
            let place = self.place(event.namespace?)?;
            nslab_view::link_name(&self.snapshot, place, link)
        };
        event.link_name.map(str::to_owned).or_else(|| by_number(event.link.or(event.came_by)?))
    }

    /// Whether it goes out at its interface, whose MAC it is from. Queues drop by a function (`__dev_xmit_skb`, `net/core/dev.c`) that
    /// frees the pieces of what has arrived as well (`skb_release_data`, `net/core/skbuff.c`); those came from others.
    pub(super) fn goes_out(&self, event: &Event<'_>, decoded: Option<&Decoded<'_>>) -> bool {
        let own = || {
            let state = self.snapshot.namespaces.get(self.place(event.namespace?)?)?.state()?;
            state.link(event.link?)?.mac
        };
        let from = decoded.and_then(|decoded| decoded.ethernet).map(|ethernet| ethernet.source);
        from.is_some() && from == own()
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Finds out what stops packets in a host. Made anew for each.
pub(super) struct Causes<'a> {
    network: Network<'a>,
    host: &'a Host,
    known: HashMap<Asked, Option<Cause>>,
}

impl<'a> Causes<'a> {
    pub(super) fn of(host: &'a Host) -> Self {
        Self { network: Network::of(&host.snapshot), host, known: HashMap::new() }
    }

    /// What stops a packet, as far as the prediction comes to an end in the same namespace, and by something that the kernel's
    /// reason can mean.
    pub(super) fn find(&mut self, asked: &Asked) -> Option<Cause> {
        if let Some(known) = self.known.get(asked) {
            return known.clone();
        }
        let cause = self.look(asked);
        if self.known.len() >= MOST_ANSWERS {
            self.known.clear();
        }
        self.known.insert(asked.clone(), cause.clone());
        cause
    }

    fn look(&self, asked: &Asked) -> Option<Cause> {
        let Asked { place, came_by, packet, macs, .. } = asked;
        let first = match came_by {
            Some(link) => {
                let at = Port { namespace: *place, link: *link };
                predict_arrival(&self.network, &Arrival { at, packet: packet.clone(), macs: *macs })
            }
            None => self.sent(*place, packet.clone()),
        };
        if let Some(cause) = self.fitting(asked, &first) {
            return Some(cause);
        }
        // What was before may matter: from whoever has its source address.
        let sender = came_by.and(self.owner(packet.ip.source))?;
        let settings = &self.host.snapshot.namespaces[sender].state()?.settings;
        let mut packet = packet.clone();
        packet.ip.ttl =
            if packet.is_ipv6() { settings.ipv6_all.hop_limit } else { settings.ttl }.max(packet.ip.ttl);
        self.fitting(asked, &self.sent(sender, packet))
    }

    fn sent(&self, namespace: usize, packet: Packet) -> Prediction {
        let question = Question { namespace, packet, established: false, fresh: false, link: None };
        predict(&self.network, &question)
    }

    /// The only namespace that has an address.
    fn owner(&self, address: std::net::IpAddr) -> Option<usize> {
        let mut owners = self.host.snapshot.namespaces.iter().enumerate().filter(|(_, space)| {
            let addresses = space.state().into_iter().flat_map(|state| &state.network.addresses);
            addresses.into_iter().any(|known| known.address.addr() == address)
        });
        let (place, _) = owners.next()?;
        owners.next().is_none().then_some(place)
    }

    /// The cause that a prediction ends with, if it can be that of the drop.
    fn fitting(&self, asked: &Asked, prediction: &Prediction) -> Option<Cause> {
        let cause = prediction.cause.as_ref()?;
        // It is the packet itself that stops, and not its answer.
        if prediction.answer.is_some() {
            return None;
        }
        let reason = asked.reason.as_deref();
        if cause.code == Code::Unmodelled {
            return self.suspect(asked, cause);
        }
        let possible = reason.map_or(&[][..], |reason| reason::causes(reason, asked.packet.is_ipv6()));
        if !possible.is_empty() && !possible.contains(&cause.code) {
            return None;
        }
        // What a cable does not take is dropped by the end that sends.
        let is_of_cable = matches!(cause.code, Code::MtuMismatch | Code::LinkDown | Code::NoCarrier);
        let last = prediction.hops.iter().rev().find(|hop| hop.action == Action::Send);
        let sent_here = is_of_cable && last.is_some_and(|hop| hop.namespace == asked.place);
        let is_of_segment = reason.is_some_and(reason::is_of_segment);
        if cause.namespace != asked.place && !sent_here && !is_of_segment {
            return None;
        }
        Some(Cause {
            code: cause.code,
            object: Some(self.object(cause, nslab_view::without_counts(&cause.text))),
        })
    }

    /// What is not followed, where the kernel's reason says that it was that.
    fn suspect(&self, asked: &Asked, cause: &nslab_predict::Cause) -> Option<Cause> {
        let Evidence::Doubts(doubts) = &cause.evidence else { return None };
        let code @ (Code::FirewallDrop | Code::TcDrop) = reason::by_itself(asked.reason.as_deref()?)? else {
            return None;
        };
        let [doubt] = &doubts[..] else { return None };
        let text = format!("by the kernel's reason it may be what nslab does not follow: {}", doubt.what);
        let object = Object { name: doubt.what.clone(), ..self.object(cause, text) };
        (cause.namespace == asked.place || asked.came_by.is_none())
            .then_some(Cause { code, object: Some(object) })
    }

    fn object(&self, cause: &nslab_predict::Cause, text: String) -> Object {
        let snapshot = &self.host.snapshot;
        let namespace = nslab_view::namespace_name(snapshot, cause.namespace);
        let link = cause.link.and_then(|link| nslab_view::link_name(snapshot, cause.namespace, link));
        Object { link, name: nslab_view::short_object(&cause.object, &namespace).to_owned(), text, namespace }
    }

    /// What the kernel's reason says by itself: the queue in which it had no room, or the code alone.
    pub(super) fn by_reason(&self, event: &Event<'_>, reason: Option<&str>) -> Option<Cause> {
        let code = reason::by_itself(reason?)?;
        if !reason?.starts_with("QDISC_") {
            return Some(Cause { code, object: None });
        }
        let queue = || {
            let (place, number) = (self.host.place(event.namespace?)?, event.link?);
            let state = self.host.snapshot.namespaces.get(place)?.state()?;
            let link = state.link(number)?;
            let name = link.name.to_string();
            let (code, text) = if !link.up {
                (Code::LinkDown, format!("{name} is down"))
            } else if !link.carrier {
                (Code::NoCarrier, format!("{name} has no carrier"))
            } else {
                let own = state.network.queues.qdiscs.iter().filter(|queue| queue.link == number);
                let kinds: Vec<&str> = own.map(|queue| queue.kind.name()).collect();
                if kinds.is_empty() {
                    return None;
                }
                (code, format!("the queue of {name} ({}) had no room for it", kinds.join(", ")))
            };
            let namespace = nslab_view::namespace_name(&self.host.snapshot, place);
            let object = Object { namespace, link: Some(name.clone()), name, text };
            Some(Cause { code, object: Some(object) })
        };
        queue().or(Some(Cause { code, object: None }))
    }
}
