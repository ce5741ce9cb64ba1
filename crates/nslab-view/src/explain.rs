//! What becomes of a packet: step by step, then the verdict, its cause, and what mends it.

#![allow(clippy::format_push_string, reason = "texts grow word by word, none of them in a hurry")]

use nslab_kernel::link::IfIndex;
use nslab_predict::fix::Fix;
use nslab_predict::{
    Action, Cause, Error, Evidence, Hop, Packet, Prediction, Question, Tcp, Told, Transport, Verdict,
};
use nslab_snapshot::Snapshot;

use crate::Style;
use crate::style::{Role, right};
use crate::table::lines;

/// A prediction with what it is of.
#[derive(Debug, Clone, Copy)]
pub struct Explanation<'a> {
    /// Of what it was made.
    pub snapshot: &'a Snapshot,
    /// What was asked.
    pub question: &'a Question,
    /// What was answered.
    pub prediction: &'a Prediction,
    /// What mends it, if anything was found.
    pub fix: Option<&'a Fix>,
}

/// The ways as numbered steps, then the verdict, its cause, what mends it, and what was taken for granted.
pub fn explanation(explanation: &Explanation<'_>, style: &Style) -> String {
    let Explanation { snapshot, prediction, .. } = explanation;
    let mut text = explanation_headline(explanation, style) + "\n\n";
    let mut number = 0;
    text += &steps(snapshot, &prediction.hops, &mut number, style);
    if let Some(answer) = &prediction.answer {
        text.extend(["\n", &style.paint(Role::Heading, "the answer"), "\n\n"]);
        text += &steps(snapshot, answer, &mut number, style);
    }
    if let Some(error) = &prediction.error {
        let what = prediction.told.as_ref().map_or("the error", |told| match told.what {
            Error::Icmp { .. } => "the ICMP error",
            Error::Reset => "the TCP reset",
        });
        text.extend(["\n", &style.paint(Role::Heading, what), "\n\n"]);
        text += &steps(snapshot, error, &mut number, style);
    }
    text + "\n" + &explanation_end(explanation, style)
}

/// The verdict, its cause, what mends it, and what was taken for granted.
pub fn explanation_end(explanation: &Explanation<'_>, style: &Style) -> String {
    let prediction = explanation.prediction;
    let mut text = verdict(explanation, style) + "\n";
    if let Some(cause) = &prediction.cause {
        match &cause.evidence {
            Evidence::Doubts(doubts) if !doubts.is_empty() => {
                for doubt in doubts {
                    text.extend(["  not known: ", &doubt.what, "\n  to settle it: ", &doubt.settle, "\n"]);
                }
            }
            _ => text.extend(["  ", &without_counts(&cause.text), "\n"]),
        }
        text += &mending(cause, explanation.fix, style);
    }
    if !prediction.assumptions.is_empty() {
        text.extend([&style.paint(Role::Faint, "assumed"), ": ", &prediction.assumptions.join("; "), "\n"]);
    }
    text
}

/// The verdict and its cause on one line.
pub fn explanation_short(explanation: &Explanation<'_>, style: &Style) -> String {
    let verdict = verdict(explanation, style);
    match &explanation.prediction.cause {
        Some(cause) => format!("{verdict}: {}\n", without_counts(&cause.text)),
        None => verdict + "\n",
    }
}

/// From whom to whom, and what.
pub fn explanation_headline(explanation: &Explanation<'_>, style: &Style) -> String {
    style.paint(Role::Heading, headline(explanation, style)).into_owned()
}

fn headline(explanation: &Explanation<'_>, style: &Style) -> String {
    let Explanation { snapshot, question, prediction, .. } = explanation;
    let packet = &prediction.packet;
    let from = namespace_name(snapshot, question.namespace);
    let arrow = style.sign("→", "->");
    let source = packet.ip.source;
    let source = if source.is_unspecified() { String::new() } else { format!(" {source}") };
    let mut text = format!("{from}{source} {arrow} {}", packet.ip.destination);
    text += &format!(": {}, {} bytes, ", words(packet, style), packet.ip.size);
    text += &format!("{} {}", if packet.is_ipv6() { "hop limit" } else { "TTL" }, packet.ip.ttl);
    if packet.ip.dont_fragment {
        text += ", don't fragment";
    }
    if packet.mark != 0 {
        text += &format!(", mark {:#x}", packet.mark);
    }
    if question.established {
        text += ", of an established connection";
    }
    text
}

/// What a packet is.
fn words(packet: &Packet, style: &Style) -> String {
    let arrow = style.sign("→", "->");
    match packet.transport {
        Transport::Tcp(Tcp { source, destination, flags }) => {
            let kind = if flags == Tcp::SYN { " SYN" } else { "" };
            format!("TCP{kind} {source} {arrow} {destination}")
        }
        Transport::Udp { source, destination } => format!("UDP {source} {arrow} {destination}"),
        Transport::Icmp { kind: 8, .. } if !packet.is_ipv6() => "ICMP echo request".to_owned(),
        Transport::Icmp { kind: 128, .. } if packet.is_ipv6() => "ICMPv6 echo request".to_owned(),
        Transport::Icmp { kind, code, .. } => format!("ICMP type {kind} code {code}"),
        Transport::Other(number) => format!("IP protocol {number}"),
    }
}

/// Numbered steps, their columns aligned. What goes round in circles is shown once.
fn steps(snapshot: &Snapshot, hops: &[Hop], number: &mut usize, style: &Style) -> String {
    let begin = *number;
    let (circle, skipped) = circle(hops).unwrap_or((hops.len(), 0));
    let rows: Vec<Vec<String>> = hops
        .iter()
        .enumerate()
        .filter(|(place, _)| !(circle..circle + skipped).contains(place))
        .map(|(place, hop)| {
            *number = begin + place + 1;
            let name = hop.link.and_then(|link| link_name(snapshot, hop.namespace, link));
            let space = namespace_name(snapshot, hop.namespace);
            let place = name.as_ref().map_or_else(|| space.clone(), |name| format!("{space}:{name}"));
            let role = match hop.action {
                Action::Stop => Role::Bad,
                Action::Deliver => Role::Good,
                _ => Role::Faint,
            };
            // An interface need not be named twice.
            let object = short_object(&hop.object, &space);
            let object = if Some(object) == name.as_deref() { "" } else { object };
            let detail = without_counts(&hop.detail);
            let what = match (object.is_empty(), detail.is_empty()) {
                // The reason is told below.
                _ if hop.action == Action::Stop => object.to_owned(),
                (false, false) => format!("{object}: {detail}"),
                (false, true) => object.to_owned(),
                _ => detail,
            };
            let action = style.paint(role, action_word(hop.action)).into_owned();
            vec![right(&number.to_string(), 3), place, action, what]
        })
        .collect();
    let mut text = String::new();
    for (place, line) in lines(&rows, 2).into_iter().enumerate() {
        if place == circle && skipped > 0 {
            text += &format!("  {} the same again, {skipped} steps\n", style.sign("⋮", ":"));
        }
        text += &(line + "\n");
    }
    text
}

/// Where steps repeat themselves, and how many can be left out there: all rounds but the first.
fn circle(hops: &[Hop]) -> Option<(usize, usize)> {
    /// The same step: its text may tell of a TTL.
    fn key(hop: &Hop) -> (usize, Option<IfIndex>, Action, &str) {
        (hop.namespace, hop.link, hop.action, &hop.object)
    }
    for begin in 0..hops.len() {
        let Some(again) = (begin + 1..hops.len()).find(|&at| key(&hops[at]) == key(&hops[begin])) else {
            continue;
        };
        let length = again - begin;
        let same = (again..hops.len()).take_while(|&at| key(&hops[at]) == key(&hops[at - length])).count();
        let rounds = same / length;
        if rounds >= 2 {
            return Some((again, rounds * length));
        }
    }
    None
}

/// The verdict in a sentence.
fn verdict(explanation: &Explanation<'_>, style: &Style) -> String {
    let Explanation { snapshot, prediction, .. } = explanation;
    let word = verdict_word(prediction.verdict);
    let role = match prediction.verdict {
        Verdict::Delivered => Role::Good,
        Verdict::Dropped | Verdict::Rejected => Role::Bad,
        Verdict::Unknown => Role::Switch,
    };
    let word = style.paint(role, word);
    let Some(cause) = &prediction.cause else {
        let end = prediction.hops.last().map(|hop| namespace_name(snapshot, hop.namespace));
        let to = end.map_or_else(String::new, |end| format!(" to {end}"));
        let back = match prediction.answer {
            Some(_) => ", and the answer comes back",
            None => "; no answer is sent by the network itself",
        };
        return format!("{word}{to}{back}");
    };
    let space = namespace_name(snapshot, cause.namespace);
    let link = cause.link.and_then(|link| link_name(snapshot, cause.namespace, link));
    let place = link.as_ref().map_or_else(|| space.clone(), |link| format!("{space}:{link}"));
    let object = short_object(&cause.object, &space);
    let object = match &link {
        _ if object.is_empty() => String::new(),
        Some(link) if link == object => String::new(),
        _ => format!(", {object}"),
    };
    let inner = cause.inner.map_or_else(String::new, |inner| format!(" ({inner})"));
    let told = prediction.told.as_ref().map_or_else(String::new, |told| format!("; {}", heard(told)));
    format!("{word}: {}{inner} at {place}{object}{told}", cause.code)
}

/// What the sender hears.
fn heard(told: &Told) -> String {
    match told.what {
        Error::Icmp { kind, code, mtu } => {
            let version = if told.from.is_ipv6() { "ICMPv6" } else { "ICMP" };
            let mtu = mtu.map_or_else(String::new, |mtu| format!(", MTU {mtu}"));
            format!("the sender is told so by {} ({version} type {kind} code {code}{mtu})", told.from)
        }
        Error::Reset => format!("the sender gets a TCP reset from {}", told.from),
    }
}

/// What mends a cause: text that can be pasted into a shell.
fn mending(cause: &Cause, fix: Option<&Fix>, style: &Style) -> String {
    let Some(fix) = fix else { return String::new() };
    mend(cause, fix, "with it the packet is delivered", style)
}

/// The same, with what was proved of it.
pub(crate) fn mend(cause: &Cause, fix: &Fix, proved: &str, style: &Style) -> String {
    let mut text = format!("{} (proved: {proved})\n", style.paint(Role::Heading, "fix"));
    let mut last = cause.code;
    for (number, step) in fix.steps.iter().enumerate() {
        let then = if number > 0 && step.code != last {
            format!("and then, as {} would be next: ", step.code)
        } else {
            String::new()
        };
        last = step.code;
        text.extend([
            "  ",
            &style.paint(Role::Faint, format!("# {then}{}", without_counts(&step.text))),
            "\n",
        ]);
        for command in &step.commands {
            text.extend(["  ", command, "\n"]);
        }
    }
    text
}

/// A verdict's word, as in JSON.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Dropped => "dropped",
        Verdict::Rejected => "rejected",
        Verdict::Unknown => "unknown",
    }
}

/// An action's word, as in JSON.
pub fn action_word(action: Action) -> &'static str {
    match action {
        Action::Make => "make",
        Action::Route => "route",
        Action::Filter => "filter",
        Action::Change => "change",
        Action::Resolve => "resolve",
        Action::Send => "send",
        Action::Receive => "receive",
        Action::Bridge => "bridge",
        Action::Fragment => "fragment",
        Action::Encapsulate => "encapsulate",
        Action::Decapsulate => "decapsulate",
        Action::Deliver => "deliver",
        Action::Stop => "stop",
    }
}

/// An object without the name of its namespace, which is told beside it.
pub fn short_object<'a>(object: &'a str, namespace: &str) -> &'a str {
    object.strip_prefix(namespace).and_then(|rest| rest.strip_prefix(':')).unwrap_or(object)
}

/// Rules without how often they matched so far, which is nothing of theirs.
pub fn without_counts(text: &str) -> String {
    const COUNTER: &str = "counter packets ";
    let mut left = text;
    let mut short = String::new();
    while let Some((before, after)) = left.split_once(COUNTER) {
        let rest = after.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let rest = rest.strip_prefix(" bytes ").unwrap_or(rest);
        left = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
        short.extend([before, "counter"]);
    }
    short + left
}

/// What people call a namespace, which is given by its place.
pub fn namespace_name(snapshot: &Snapshot, place: usize) -> String {
    snapshot.namespaces.get(place).map_or_else(String::new, |space| space.name().to_string())
}

/// The name of a link of a namespace; none if it is not there.
pub fn link_name(snapshot: &Snapshot, place: usize, link: IfIndex) -> Option<String> {
    Some(snapshot.namespaces.get(place)?.state()?.link(link)?.name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(namespace: usize, action: Action, object: &str) -> Hop {
        Hop { namespace, link: None, action, object: object.to_owned(), detail: String::new() }
    }

    #[test]
    fn what_goes_in_circles_is_shown_once() {
        let round = [hop(1, Action::Route, "to 2"), hop(1, Action::Send, ""), hop(2, Action::Route, "to 1")];
        let mut hops = vec![hop(0, Action::Make, "")];
        assert_eq!(circle(&hops), None);
        for _ in 0..5 {
            hops.extend(round.clone());
        }
        hops.push(hop(1, Action::Stop, ""));
        // The first round is shown, and four are left out.
        assert_eq!(circle(&hops), Some((4, 12)));
        // There and back once is no circle.
        assert_eq!(circle(&hops[..7]), None);
    }

    #[test]
    fn rules_are_told_without_their_counts() {
        let text = "`tcp dport 7 counter packets 12 bytes 840 drop # handle 3`";
        assert_eq!(without_counts(text), "`tcp dport 7 counter drop # handle 3`");
        assert_eq!(without_counts("no route"), "no route");
    }

    #[test]
    fn an_object_is_named_without_its_namespace() {
        assert_eq!(short_object("guide/red:veth-red", "guide/red"), "veth-red");
        assert_eq!(short_object("veth-red", "guide/red"), "veth-red");
        assert_eq!(short_object("netns:red2:eth0", "netns:red"), "netns:red2:eth0");
    }
}
