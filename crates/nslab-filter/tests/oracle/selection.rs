//! Filters select the packets that libpcap's select.

use nslab_filter::{ErrorKind, Filter, Frame, NameTable};

use crate::expressions::{EXPRESSIONS, MENDED};
use crate::packets::{Packet, packets};
use crate::tcpdump::{Capture, Verdict, is_here};

/// The names of this machine, as libpcap takes them.
pub(crate) fn names() -> NameTable {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    NameTable::builtin().with_services(&read("/etc/services")).with_protocols(&read("/etc/protocols"))
}

/// The numbers of the packets that the filter takes.
pub(crate) fn selected(filter: &Filter, packets: &[Packet]) -> Vec<usize> {
    let takes = |packet: &Packet| {
        let mut frame = Frame::new(&packet.bytes);
        frame.length = u32::try_from(packet.length).unwrap();
        filter.program().matches(&frame)
    };
    packets.iter().enumerate().filter(|(_, packet)| takes(packet)).map(|(number, _)| number).collect()
}

/// What is different for an expression here and there, if anything.
pub(crate) fn difference(expression: &str, packets: &[Packet], capture: &Capture) -> Option<String> {
    let ours = Filter::parse(expression, &names());
    let theirs = capture.select(expression);
    match (ours, theirs) {
        (Ok(filter), Verdict::Selects(theirs)) => {
            let ours = selected(&filter, packets);
            let more: Vec<_> = ours.iter().filter(|number| !theirs.contains(number)).collect();
            let less: Vec<_> = theirs.iter().filter(|number| !ours.contains(number)).collect();
            let example = more.first().or(less.first())?;
            Some(format!(
                "selects {more:?} more and {less:?} less, as {:02x?}:\n{}",
                packets[**example],
                filter.program()
            ))
        }
        (Ok(filter), Verdict::Nothing) => {
            let ours = selected(&filter, packets);
            (!ours.is_empty()).then(|| format!("matches nothing there, here {ours:?}:\n{}", filter.program()))
        }
        (Err(error), Verdict::Nothing) => {
            (error.kind != ErrorKind::MatchesNothing).then(|| format!("matches nothing there; here: {error}"))
        }
        (Err(error), Verdict::Selects(theirs)) => {
            let same = error.kind == ErrorKind::MatchesNothing && theirs.is_empty();
            (!same).then(|| format!("refused here: {error}; there {theirs:?}"))
        }
        (Ok(_), Verdict::Refused(why)) => Some(format!("refused there: {why}")),
        (Err(_), Verdict::Refused(_)) => None,
    }
}

#[test]
fn selects_what_libpcap_selects() {
    if !is_here() {
        return;
    }
    let packets = packets();
    let capture = Capture::new(&packets);
    let mut wrong = Vec::new();
    let mut useful = 0;
    for expression in EXPRESSIONS {
        if let Some(difference) = difference(expression, &packets, &capture) {
            wrong.push(format!("{expression}\n  {difference}"));
        }
        let count = Filter::parse(expression, &names()).map(|filter| selected(&filter, &packets).len());
        useful += usize::from(count.is_ok_and(|count| count > 0 && count < packets.len()));
    }
    println!("{} expressions, {} packets, {useful} select some", EXPRESSIONS.len(), packets.len());
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(useful > EXPRESSIONS.len() * 9 / 10, "only {useful} expressions select some packets and not all");
}

#[test]
fn does_not_copy_libpcaps_mistakes() {
    if !is_here() {
        return;
    }
    let packets = packets();
    let capture = Capture::new(&packets);
    for (expression, meant) in MENDED {
        let ours = selected(&Filter::parse(expression, &names()).unwrap(), &packets);
        let Verdict::Selects(theirs) = capture.select(meant) else { panic!("{meant} is refused") };
        assert_eq!(ours, theirs, "{expression}");
        assert!(difference(expression, &packets, &capture).is_some(), "{expression}: libpcap has mended it");
    }
}
