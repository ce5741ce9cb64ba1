//! What was predicted beside what the kernel says.

use nslab_kernel::Error;
use nslab_kernel::route::{Lookup, Route, RouteAction};
use nslab_predict::fib::{self, Arrival, Cast, DropReason, Fate, Outcome, Reason, Stop};
use rustix::io::Errno;

use crate::flows::Case;
use crate::network::Built;

/// What a comparison came to.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Both say the same; what.
    Right(&'static str),
    /// The kernel's answer is one of several that were predicted.
    Doubt(String),
    /// They contradict each other.
    Wrong(String),
}

impl Verdict {
    /// What to count it as.
    pub(crate) fn figure(&self) -> String {
        match self {
            Self::Right(what) => format!("right: {what}"),
            Self::Doubt(what) => format!("doubt: {what}"),
            Self::Wrong(_) => "wrong".to_owned(),
        }
    }
}

/// What the kernel answered.
type Answer = Result<Route, Errno>;

fn ask(built: &mut Built, case: &Case, fib_match: bool) -> Answer {
    let flow = &case.flow;
    let lookup = Lookup {
        from: flow.source.filter(|source| !source.is_unspecified()),
        iif: case.input,
        oif: flow.oif,
        mark: flow.mark,
        tos: flow.tos,
        protocol: flow.protocol,
        ports: flow.ports.unwrap_or_default(),
        user: flow.uid,
        fib_match,
        ..Lookup::new(flow.destination)
    };
    lookup.ask(&mut built.socket).map_err(|error: Error| error.errno().unwrap_or(Errno::IO))
}

/// What the kernel says where a packet stops.
fn errno(stop: Stop, reason: &Reason) -> Errno {
    match stop {
        Stop::LoopbackRoute | Stop::NoRoute | Stop::ForeignSource | Stop::LinkDown => Errno::NETUNREACH,
        Stop::Unreachable if reason.route.is_none() => Errno::NETUNREACH,
        Stop::Unreachable => Errno::HOSTUNREACH,
        Stop::Prohibit => Errno::ACCESS,
        Stop::NoLink => Errno::NODEV,
        Stop::NoSource => Errno::ADDRNOTAVAIL,
        Stop::Blackhole
        | Stop::UnusableRoute
        | Stop::ImpossibleSource
        | Stop::LoopbackSource
        | Stop::ImpossibleDestination => Errno::INVAL,
    }
}

fn kind(answer: &Route) -> &'static str {
    match answer.action {
        RouteAction::Forward(_) => "unicast",
        RouteAction::Local(_) | RouteAction::Anycast(_) => "local",
        RouteAction::Broadcast(_) => "broadcast",
        RouteAction::Multicast(_) => "multicast",
        _ => "other",
    }
}

fn cast(cast: Cast) -> &'static str {
    match cast {
        Cast::Unicast => "unicast",
        Cast::Broadcast => "broadcast",
        Cast::Multicast => "multicast",
    }
}

fn link_of(answer: &Route) -> (Option<u32>, Option<std::net::IpAddr>) {
    match &answer.action {
        RouteAction::Forward(hops) => hops.first().map_or((None, None), |hop| (hop.link, hop.via)),
        RouteAction::Local(link)
        | RouteAction::Broadcast(link)
        | RouteAction::Anycast(link)
        | RouteAction::Multicast(link) => (*link, None),
        _ => (None, None),
    }
}

/// Whether the kernel's answer is what an outcome means.
fn agrees_out(case: &Case, outcome: &Outcome, answer: &Answer) -> bool {
    let sourceless = case.flow.source.is_none();
    match (&outcome.verdict, answer) {
        (fib::Verdict::Stop(Stop::NoSource), Ok(answer)) => sourceless && answer.source.is_none(),
        (fib::Verdict::Stop(Stop::NoSource), Err(_)) => true,
        // The kernel finds that route like any other; what is sent by it is discarded.
        (fib::Verdict::Stop(Stop::LoopbackRoute), answer) => answer.is_ok(),
        // A program's packet is looked up once more with the source that it got (`ip6_dst_lookup_tail`); the question is not.
        (_, Err(Errno::NETUNREACH)) if sourceless && case.flow.is_ipv6() => true,
        (fib::Verdict::Stop(stop), Err(error)) => errno(*stop, &outcome.reason) == *error,
        (fib::Verdict::Deliver { source, .. }, Ok(answer)) => {
            kind(answer) == "local" && (!sourceless || *source == answer.source)
        }
        (fib::Verdict::Leave(ways), Ok(answer)) => ways.iter().any(|way| {
            let (link, via) = link_of(answer);
            kind(answer) == cast(way.cast)
                && link == Some(way.link)
                && via == way.gateway
                && (!sourceless || way.source == answer.source)
        }),
        _ => false,
    }
}

fn agrees_in(arrival: &Arrival, answer: &Answer, ipv6: bool) -> bool {
    match (&arrival.fate, answer) {
        (Fate::Local { .. }, Ok(answer)) => kind(answer) == "local",
        (Fate::Broadcast, Ok(answer)) => kind(answer) == "broadcast",
        (Fate::Multicast, Ok(answer)) => kind(answer) == "multicast",
        (Fate::Forward(ways), Ok(answer)) => ways.iter().any(|way| {
            let (link, via) = link_of(answer);
            link == Some(way.link) && via == way.gateway
        }),
        (Fate::Drop(DropReason::Routing(Stop::LoopbackRoute)), answer) => answer.is_ok(),
        (Fate::Drop(DropReason::Routing(stop)), Err(error)) => errno(*stop, &arrival.reason) == *error,
        // What the kernel checks of IPv6 before and after the lookup is not asked.
        (Fate::Drop(_), _) if ipv6 => true,
        (Fate::Drop(DropReason::ForwardingOff), Err(error)) => *error == Errno::HOSTUNREACH,
        (Fate::Drop(_), Err(error)) => *error == Errno::INVAL,
        _ => false,
    }
}

/// Whether the route that the kernel matched is the one that was named.
fn same_route(built: &Built, reason: &Reason, matched: &Answer) -> bool {
    let (Some(place), Ok(matched)) = (reason.route, matched) else { return true };
    let route = &built.state.network.routes[place];
    // While local and main table are one, the kernel calls both by the name of the main one.
    let one = route.to.addr().is_ipv4() && matched.table == 254;
    let table = if one && route.table == 255 { 254 } else { route.table };
    (route.to, table, route.metric, route.tos, route.from)
        == (matched.to, matched.table, matched.metric, matched.tos, matched.from)
}

/// Compares; once more if the namespace has changed meanwhile, as work queues of the kernel do what they were told a while ago.
pub(crate) fn compare(built: &mut Built, case: &Case) -> Verdict {
    loop {
        let verdict = compare_once(built, case);
        if !matches!(verdict, Verdict::Wrong(_)) || !built.read_again() {
            return verdict;
        }
    }
}

fn compare_once(built: &mut Built, case: &Case) -> Verdict {
    // A case that was shrunk may lack the link.
    let known = |link: &u32| built.state.link(*link).is_some();
    if !case.input.iter().chain(&case.flow.oif).all(known) {
        return Verdict::Right("nothing");
    }
    let down = |link: u32| built.state.link(link).is_some_and(|link| !link.up);
    if case.input.is_some_and(down) {
        return Verdict::Right("not asked: down");
    }
    if case.input.is_some() && case.flow.is_ipv6() && case.flow.destination.is_multicast() {
        // The kernel fails to put its answer into words (EMSGSIZE, Linux 6.18).
        return Verdict::Right("not asked: group");
    }
    let answer = ask(built, case, false);
    let matched = ask(built, case, true);
    let ipv6 = case.flow.is_ipv6();
    if let Some(link) = case.input {
        let decision = fib::input(&built.state, &case.flow, link);
        let fits = |arrival: &&Arrival| {
            agrees_in(arrival, &answer, ipv6)
                && (matches!(arrival.fate, Fate::Drop(_)) || same_route(built, &arrival.reason, &matched))
        };
        let found = decision.outcomes.iter().find(fits).map(|arrival| match arrival.fate {
            Fate::Drop(_) => "in, dropped",
            Fate::Forward(_) => "in, forwarded",
            _ => "in, delivered",
        });
        return verdict(found, &decision, &answer, &matched);
    }
    let decision = fib::lookup(&built.state, &case.flow);
    let mut answer = answer;
    let mut matched = matched;
    if ipv6 && case.flow.source.is_none() && case.flow.oif.is_none() && answer.is_err() {
        // The kernel asks once more with the source that it would take.
        let source = decision.outcomes.iter().find_map(|outcome| match &outcome.verdict {
            fib::Verdict::Leave(ways) => ways.first()?.source,
            fib::Verdict::Deliver { source, .. } => *source,
            fib::Verdict::Stop(_) => None,
        });
        if source.is_some() {
            let case = Case { flow: fib::Flow { source, ..case.flow }, ..case.clone() };
            answer = ask(built, &case, false).map(|answer| Route { source, ..answer });
            matched = ask(built, &case, true);
        }
    }
    let fits = |outcome: &&Outcome| {
        agrees_out(case, outcome, &answer)
            && (matches!(outcome.verdict, fib::Verdict::Stop(_))
                || same_route(built, &outcome.reason, &matched))
    };
    let found = decision.outcomes.iter().find(fits).map(|outcome| match outcome.verdict {
        fib::Verdict::Stop(_) => "out, stopped",
        fib::Verdict::Leave(_) => "out, leaves",
        fib::Verdict::Deliver { .. } => "out, delivered",
    });
    verdict(found, &decision, &answer, &matched)
}

fn verdict<T: std::fmt::Debug>(
    found: Option<&'static str>,
    decision: &fib::Decision<T>,
    answer: &Answer,
    matched: &Answer,
) -> Verdict {
    match found {
        None => Verdict::Wrong(format!("predicted {decision:?}\nkernel {answer:?}\nmatched {matched:?}")),
        Some(found) if decision.outcomes.len() == 1 => Verdict::Right(found),
        Some(_) => {
            Verdict::Doubt(decision.doubts.first().map(|doubt| doubt.what.clone()).unwrap_or_default())
        }
    }
}
