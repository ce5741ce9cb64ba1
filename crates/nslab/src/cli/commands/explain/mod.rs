//! `nslab explain`.

mod report;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;

use nslab_lab::rootless;
use nslab_predict::command::Shell;
use nslab_predict::{Ip, Network, Packet, Question, Tcp, Transport, Verdict, fix, predict};
use nslab_snapshot::{Options, Snapshot};
use nslab_view::Explanation;

pub(super) use report::{Cause, Place, Report};

use super::{DONE, NO};
use crate::cli::args::Explain;
use crate::cli::error::{CliError, Kind, unknown};
use crate::cli::family::Family;
use crate::cli::output::Output;
use crate::cli::places::Places;
use crate::cli::service::{self, Service};

/// Bytes of headers: IPv4's and IPv6's, ICMP's and UDP's, and TCP's without and with the options of a SYN.
const IPV4: u32 = 20;
const IPV6: u32 = 40;
const ICMP: u32 = 8;
const UDP: u32 = 8;
const TCP: u32 = 20;
const TCP_SYN: u32 = 40;
/// What ping(8) sends.
const ECHO_PAYLOAD: u16 = 56;
/// A port that no server has, within the usual range of clients.
const SOME_PORT: u16 = 40000;
/// The identifier of the echo.
const SOME_ID: u16 = 1;
/// `ICMP_ECHO` and `ICMPV6_ECHO_REQUEST` (`include/uapi/linux/icmp.h`, `icmpv6.h`).
const ECHO: (u8, u8) = (8, 128);

pub(super) fn run(args: &Explain, output: Output) -> Result<ExitCode, CliError> {
    let shell = if args.snapshot.is_none() && rootless::needed() { Shell::Outside } else { Shell::Host };
    // Connections are read by those who ask for one.
    let options = Options { connections: args.established };
    let places = Places::open(args.snapshot.as_deref(), options, output)?;
    let network = Network::of(&places.snapshot);
    let source = places.find(&args.source)?;
    readable(&places.snapshot, source)?;
    let Destination { meant, address, link, service } = destination(args, &places, &network, source)?;
    let (packet, mut taken) = packet(args, &places.snapshot, source, address, service)?;
    let question = Question { namespace: source, packet, established: args.established, fresh: false, link };
    let mut prediction = predict(&network, &question);
    prediction.assumptions.append(&mut taken);
    let aim = fix::Aim { shell, destination: meant };
    let fix = fix::find(&network, &question, &prediction, &aim);
    let explanation = Explanation {
        snapshot: &places.snapshot,
        question: &question,
        prediction: &prediction,
        fix: fix.as_ref(),
    };
    if output.json {
        output.print_json(&Report::of(&explanation));
    } else if args.short {
        output.print(&nslab_view::explanation_short(&explanation, &output.style()));
    } else {
        output.print(&nslab_view::explanation(&explanation, &output.style()));
    }
    Ok(if prediction.verdict == Verdict::Delivered { DONE } else { NO.into() })
}

/// What cannot be looked into cannot send.
pub(super) fn readable(snapshot: &Snapshot, place: usize) -> Result<(), CliError> {
    let space = &snapshot.namespaces[place];
    match &space.contents {
        nslab_snapshot::Contents::State(_) => Ok(()),
        nslab_snapshot::Contents::Unreadable { why } => {
            Err(CliError::new(Kind::Machine, format!("{} could not be read: {why}", space.name())))
        }
    }
}

/// To whom.
pub(super) struct Destination {
    /// The namespace that was named, if one was.
    pub(super) meant: Option<usize>,
    /// The address that is sent to.
    pub(super) address: IpAddr,
    /// The interface that it is to leave by, as `fe80::1%eth0` says.
    pub(super) link: Option<u32>,
    /// What is sent.
    pub(super) service: Service,
}

pub(super) fn destination(
    args: &Explain,
    places: &Places,
    network: &Network<'_>,
    source: usize,
) -> Result<Destination, CliError> {
    let family = Family::of_flags(args.ipv4, args.ipv6);
    // A node may be called as a protocol is.
    let whole = args.destination.contains('/').then(|| places.find(&args.destination).ok()).flatten();
    let (name, service) = match whole {
        Some(_) => (args.destination.clone(), None),
        None => service::split(&args.destination).map_err(CliError::bad_input)?,
    };
    let service = service.unwrap_or(Service::Echo);
    let wrong = |address| CliError::bad_input(format!("{address} is not of the family that was asked for"));
    let (bare, zone) = match name.split_once('%') {
        Some((bare, zone)) => (bare, Some(zone)),
        None => (&name[..], None),
    };
    if let Ok(address) = bare.parse::<IpAddr>() {
        let state = places.snapshot.namespaces[source].state();
        let link = match zone {
            Some(zone) => Some(state.and_then(|state| state.link_named(zone)).ok_or_else(|| {
                let links = state.into_iter().flat_map(|state| &state.network.links);
                let known: Vec<String> = links.map(|link| link.name.to_string()).collect();
                unknown(format!("{} has no interface {zone:?}", args.source), zone, &known, "interfaces")
            })?),
            None => None,
        };
        let link = link.map(|link| link.index);
        if !family.allows(address) || args.from.is_some_and(|from| from.is_ipv4() != address.is_ipv4()) {
            return Err(wrong(address));
        }
        return Ok(Destination { meant: None, address, link, service });
    }
    let family = match (family, args.from) {
        (Family::Any, Some(IpAddr::V4(_))) => Family::V4,
        (Family::Any, Some(IpAddr::V6(_))) => Family::V6,
        (Family::V4, Some(from @ IpAddr::V6(_))) | (Family::V6, Some(from @ IpAddr::V4(_))) => {
            return Err(wrong(from));
        }
        (family, _) => family,
    };
    if name == "localhost" {
        let address =
            if family == Family::V6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
        return Ok(Destination { meant: Some(source), address, link: None, service });
    }
    let place = places.find(&name)?;
    readable(&places.snapshot, place)?;
    match places.address(network, source, place, family) {
        Some(address) => Ok(Destination { meant: Some(place), address, link: None, service }),
        None => Err(CliError::bad_input(format!("{name} has no {}address", family.word()))
            .hint("name the address that it should have")),
    }
}

/// The packet, and what of it was taken for granted.
pub(super) fn packet(
    args: &Explain,
    snapshot: &Snapshot,
    source: usize,
    destination: IpAddr,
    service: Service,
) -> Result<(Packet, Vec<String>), CliError> {
    let ipv6 = destination.is_ipv6();
    let mut taken = Vec::new();
    let settings = snapshot.namespaces[source].state().map(|state| &state.settings);
    let sport = args.sport.unwrap_or_else(|| match settings.map(|settings| settings.local_ports) {
        Some((first, last)) if !(first..=last).contains(&SOME_PORT) => first,
        _ => SOME_PORT,
    });
    let has_ports = matches!(service, Service::Tcp(_) | Service::Udp(_));
    if args.sport.is_some() && !has_ports {
        return Err(CliError::bad_input("--sport is for TCP and UDP").hint("name a port: DST:PORT/tcp"));
    }
    if has_ports && args.sport.is_none() {
        taken.push(format!("source port {sport}"));
    }
    let (transport, header) = match service {
        Service::Echo => {
            let kind = if ipv6 { ECHO.1 } else { ECHO.0 };
            (Transport::Icmp { kind, code: 0, id: SOME_ID }, ICMP)
        }
        Service::Tcp(destination) => {
            let (flags, header) = if args.established { (Tcp::ACK, TCP) } else { (Tcp::SYN, TCP_SYN) };
            (Transport::Tcp(Tcp { source: sport, destination, flags }), header)
        }
        Service::Udp(destination) => (Transport::Udp { source: sport, destination }, UDP),
        Service::Other(number) => (Transport::Other(number), 0),
    };
    let payload = args.size.unwrap_or(if service == Service::Echo { ECHO_PAYLOAD } else { 0 });
    let size = u32::from(payload) + header + if ipv6 { IPV6 } else { IPV4 };
    // The length is a field of two bytes, which in IPv6 does not count the header itself.
    let most = u32::from(u16::MAX) + if ipv6 { IPV6 } else { 0 };
    if size > most {
        return Err(CliError::bad_input(format!("a packet of {size} bytes is longer than {most}")));
    }
    let unspecified = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    // TCP looks for the path's MTU unless it is told not to (`ip_dont_fragment`).
    let discovers = settings.is_none_or(|settings| settings.no_path_mtu_discovery == 0);
    let by_itself = matches!(service, Service::Tcp(_)) && discovers;
    let packet = Packet {
        ip: Ip {
            source: args.from.unwrap_or(unspecified),
            destination,
            ttl: args.ttl.unwrap_or(match settings {
                Some(settings) if ipv6 => settings.ipv6_all.hop_limit,
                Some(settings) => settings.ttl,
                None => 64,
            }),
            tos: 0,
            dont_fragment: !ipv6 && (args.dont_fragment || by_itself),
            size,
        },
        transport,
        mark: args.mark.unwrap_or(0),
    };
    Ok((packet, taken))
}
