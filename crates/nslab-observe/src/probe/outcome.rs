//! What became of a probe.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::Token;
use crate::ping::{IcmpError, IcmpErrorKind, SendError};

/// What became of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What came back.
    pub answer: Answer,
    /// How long it took, until it was given up if nothing came.
    pub time: Duration,
    /// Whether it came through to the destination's own TCP or UDP; of echoes that is not looked at.
    pub arrival: Arrival,
    /// The sender is where the answer says it is from: its own kernel speaks.
    pub from_sender: bool,
    /// By what its packet is known.
    pub token: Token,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The echo or the datagram was answered, the connection was made.
    Answered,
    /// A program listens for the datagram, and gave no answer.
    Taken,
    /// A reset of TCP.
    Reset,
    /// An error of ICMP.
    Icmp {
        /// Who sent it; not all kernels say so of connections.
        from: Option<IpAddr>,
        /// What it says.
        error: IcmpError,
    },
    /// The sender's kernel refused to send it.
    NotSent(SendError),
    /// Nothing.
    Silence,
}

/// Whether a packet came through to a host's own TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It did, in the namespace with this place.
    Seen(usize),
    /// It did in none of the namespaces, one of which has the destination's address.
    Unseen,
    /// None of them has the address, or it was not looked at.
    Unknown,
}

/// The same in four words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It arrives and is answered.
    Ok,
    /// Nothing comes back.
    Drop,
    /// It is refused on the way, or by the destination's firewall.
    Reject,
    /// The destination refuses it: nothing listens there.
    Refused,
}

impl Verdict {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Drop => "drop",
            Self::Reject => "reject",
            Self::Refused => "refused",
        }
    }
}

impl Outcome {
    /// The outcome in one word.
    pub fn verdict(&self) -> Verdict {
        let refused = |by_itself: bool| {
            if by_itself && self.arrival != Arrival::Unseen { Verdict::Refused } else { Verdict::Reject }
        };
        match self.answer {
            Answer::Answered | Answer::Taken => Verdict::Ok,
            Answer::Silence | Answer::NotSent(_) => Verdict::Drop,
            Answer::Reset => refused(true),
            Answer::Icmp { error, .. } => match error.kind {
                // That nobody answers for the next hop the sender tells itself: it heard nothing.
                IcmpErrorKind::HostUnreachable if self.from_sender => Verdict::Drop,
                IcmpErrorKind::PortUnreachable | IcmpErrorKind::ProtocolUnreachable => {
                    refused(!self.from_sender)
                }
                _ => Verdict::Reject,
            },
        }
    }
}

impl fmt::Display for Outcome {
    /// What was observed, as a clause: `nothing came back in 1 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time;
        match self.answer {
            Answer::Answered => write!(f, "answered in {}", Brief(time)),
            Answer::Taken => f.write_str("a program took it, which did not answer"),
            Answer::Reset => write!(f, "a reset came after {}", Brief(time)),
            Answer::Icmp { from: Some(from), error } => write!(f, "{from} said: {error}"),
            Answer::Icmp { from: None, error } => write!(f, "it was told: {error}"),
            Answer::NotSent(error) => write!(f, "it could not be sent: {error}"),
            Answer::Silence => {
                let arrived =
                    if matches!(self.arrival, Arrival::Seen(_)) { ", though it arrived" } else { "" };
                write!(f, "nothing came back in {}{arrived}", Brief(time))
            }
        }
    }
}

/// A time with three figures.
pub(super) struct Brief(pub(super) Duration);

impl fmt::Display for Brief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_secs_f64() * 1e3;
        match milliseconds {
            ..1.0 => write!(f, "{milliseconds:.2} ms"),
            ..10.0 => write!(f, "{milliseconds:.1} ms"),
            ..1000.0 => write!(f, "{milliseconds:.0} ms"),
            _ => write!(f, "{:.1} s", milliseconds / 1e3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(answer: Answer, arrival: Arrival, from_sender: bool) -> Outcome {
        Outcome { answer, time: Duration::ZERO, arrival, from_sender, token: Token::Sequence(0) }
    }

    #[test]
    fn who_refuses_is_told_by_where_it_came_to() {
        let icmp = |kind| Answer::Icmp { from: None, error: IcmpError { kind, icmp_type: 3, code: 0 } };
        let port = icmp(IcmpErrorKind::PortUnreachable);
        for (answer, arrival, from_sender, verdict) in [
            (Answer::Reset, Arrival::Seen(1), false, Verdict::Refused),
            (Answer::Reset, Arrival::Unknown, false, Verdict::Refused),
            (Answer::Reset, Arrival::Unseen, false, Verdict::Reject),
            (port, Arrival::Seen(0), false, Verdict::Refused),
            (port, Arrival::Unseen, false, Verdict::Reject),
            // The sender's own firewall.
            (port, Arrival::Unknown, true, Verdict::Reject),
            (icmp(IcmpErrorKind::HostUnreachable), Arrival::Unseen, true, Verdict::Drop),
            (icmp(IcmpErrorKind::HostUnreachable), Arrival::Unseen, false, Verdict::Reject),
            (icmp(IcmpErrorKind::Prohibited), Arrival::Unknown, false, Verdict::Reject),
            (Answer::Silence, Arrival::Seen(0), false, Verdict::Drop),
            (Answer::Taken, Arrival::Seen(0), false, Verdict::Ok),
            (Answer::NotSent(SendError::NetworkUnreachable), Arrival::Unknown, false, Verdict::Drop),
        ] {
            assert_eq!(outcome(answer, arrival, from_sender).verdict(), verdict, "{answer:?} {arrival:?}");
        }
    }
}
