//! What ping(8) of iputils prints, for nslab's own ping.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use nslab_observe::ping::{Cause, Event, Outcome, Reply};

use crate::Style;
use crate::style::Role;

/// Bytes of the ICMP header.
const ICMP_HEADER: usize = 8;

/// The first line: `PING blue (10.0.0.2) 56(84) bytes of data.`
pub fn header(name: &str, destination: IpAddr, size: usize) -> String {
    let ip_header = if destination.is_ipv4() { 20 } else { 40 };
    let whole = size + ICMP_HEADER + ip_header;
    match destination {
        IpAddr::V4(address) => format!("PING {name} ({address}) {size}({whole}) bytes of data.\n"),
        IpAddr::V6(address) => format!("PING {name} ({address}) {size} data bytes\n"),
    }
}

/// The line for something that happened; empty for what ping(8) says nothing about. `link` names an interface of the
/// sender by its number.
pub fn event(event: &Event, link: &dyn Fn(u32) -> Option<String>, style: &Style) -> String {
    match event {
        Event::Reply { reply, .. } => reply_line(reply, "", style),
        Event::Duplicate { reply, .. } => reply_line(reply, " (DUP!)", style),
        Event::Failure { failure, .. } => {
            let sequence = failure.sequence;
            let text = match &failure.cause {
                Cause::Icmp { from, error } => format!("From {from} icmp_seq={sequence} {error}"),
                Cause::Unresolved { link: number } => {
                    let link = link(*number).unwrap_or_else(|| format!("interface {number}"));
                    format!(
                        "icmp_seq={sequence} no answer to ARP or ND on {link}: nobody there has the address"
                    )
                }
                Cause::Refused(error) => format!("icmp_seq={sequence} sendmsg: {error}"),
                other => format!("icmp_seq={sequence} {other}"),
            };
            format!("{}\n", style.paint(Role::Bad, text))
        }
        Event::Silence { sequence, .. } => {
            format!("{}\n", style.paint(Role::Bad, format!("icmp_seq={sequence} no answer")))
        }
        Event::Finished { .. } => String::new(),
    }
}

fn reply_line(reply: &Reply, end: &str, style: &Style) -> String {
    let Reply { sequence, rtt, ttl, from, bytes } = reply;
    let ttl = ttl.map_or(String::new(), |ttl| format!(" ttl={ttl}"));
    let end = style.paint(Role::Bad, end);
    format!("{bytes} bytes from {from}: icmp_seq={sequence}{ttl} time={} ms{end}\n", milliseconds(*rtt))
}

/// The lines at the end: how many were lost, and the round-trip times.
pub fn summary(name: &str, outcome: &Outcome, took: Duration) -> String {
    let mut text = format!(
        "\n--- {name} ping statistics ---\n{} packets transmitted, {} received",
        outcome.sent,
        outcome.received()
    );
    // Writing to a String cannot fail.
    if outcome.duplicates > 0 {
        let _ = write!(text, ", +{} duplicates", outcome.duplicates);
    }
    if !outcome.failures.is_empty() {
        let _ = write!(text, ", +{} errors", outcome.failures.len());
    }
    let _ = writeln!(text, ", {}% packet loss, time {}ms", loss(outcome), took.as_millis());
    if let Some(times) = outcome.round_trip() {
        let [min, avg, max, mdev] =
            [times.min, times.avg, times.max, times.mdev].map(|time| time.as_secs_f64() * 1e3);
        let _ = writeln!(text, "rtt min/avg/max/mdev = {min:.3}/{avg:.3}/{max:.3}/{mdev:.3} ms");
    }
    text
}

/// Per cent, with as many digits as it takes, up to six.
fn loss(outcome: &Outcome) -> String {
    if outcome.sent == 0 {
        return "0".to_owned();
    }
    let loss = f64::from(outcome.lost()) * 100.0 / f64::from(outcome.sent);
    let text = format!("{loss:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Milliseconds with three significant digits at least, as ping(8) has them.
fn milliseconds(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    match time.as_micros() {
        0..1_000 => format!("{millis:.3}"),
        1_000..10_000 => format!("{millis:.2}"),
        10_000..100_000 => format!("{millis:.1}"),
        _ => format!("{millis:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use nslab_observe::ping::{Failure, IcmpError, IcmpErrorKind, SendError};

    use super::*;

    fn reply(sequence: u32, micros: u64) -> Reply {
        let from = IpAddr::from([10, 0, 0, 2]);
        Reply { sequence, rtt: Duration::from_micros(micros), ttl: Some(64), from, bytes: 64 }
    }

    fn line(of: &Event) -> String {
        event(of, &|number| (number == 2).then(|| "eth0".to_owned()), &Style::default())
    }

    #[test]
    fn lines_are_those_of_ping() {
        let to = IpAddr::from([10, 0, 0, 2]);
        assert_eq!(header("blue", to, 56), "PING blue (10.0.0.2) 56(84) bytes of data.\n");
        let reply = Event::Reply { probe: 0, reply: reply(1, 45) };
        assert_eq!(line(&reply), "64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.045 ms\n");
        let failure = |cause| Event::Failure { probe: 0, failure: Failure { sequence: 3, cause } };
        let error = IcmpError { kind: IcmpErrorKind::HostUnreachable, icmp_type: 3, code: 1 };
        let icmp = failure(Cause::Icmp { from: IpAddr::from([10, 0, 0, 1]), error });
        assert_eq!(line(&icmp), "From 10.0.0.1 icmp_seq=3 Destination Host Unreachable\n");
        let refused = failure(Cause::Refused(SendError::NetworkUnreachable));
        assert_eq!(line(&refused), "icmp_seq=3 sendmsg: Network is unreachable\n");
        assert_eq!(
            line(&failure(Cause::Unresolved { link: 2 })),
            "icmp_seq=3 no answer to ARP or ND on eth0: nobody there has the address\n"
        );
        assert_eq!(line(&Event::Silence { probe: 0, sequence: 4 }), "icmp_seq=4 no answer\n");
        assert_eq!(line(&Event::Finished { probe: 0 }), "");
    }

    #[test]
    fn times_have_three_digits() {
        for (micros, text) in
            [(45, "0.045"), (1_234, "1.23"), (12_345, "12.3"), (123_456, "123"), (2_000_000, "2000")]
        {
            assert_eq!(milliseconds(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn the_summary_counts() {
        let outcome = Outcome { sent: 3, replies: vec![reply(1, 40), reply(3, 60)], ..Outcome::default() };
        assert_eq!(
            summary("blue", &outcome, Duration::from_millis(2003)),
            "\n--- blue ping statistics ---\n\
             3 packets transmitted, 2 received, 33.3333% packet loss, time 2003ms\n\
             rtt min/avg/max/mdev = 0.040/0.050/0.060/0.010 ms\n"
        );
        let failure = Failure { sequence: 1, cause: Cause::Refused(SendError::Filtered) };
        let outcome = Outcome { sent: 1, failures: vec![failure], duplicates: 1, ..Outcome::default() };
        assert_eq!(
            summary("blue", &outcome, Duration::ZERO),
            "\n--- blue ping statistics ---\n\
             1 packets transmitted, 0 received, +1 duplicates, +1 errors, 100% packet loss, time 0ms\n"
        );
    }
}
