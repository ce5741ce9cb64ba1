//! Filters select the packets that libpcap's select.

use std::sync::LazyLock;

use nslab_filter::{ErrorKind, Filter, Frame, NameTable};

use crate::expressions::{EXPRESSIONS, MENDED};
use crate::packets::{Packet, packets};
use crate::tcpdump::{Capture, Verdict, is_here};

/// The names of this machine, as libpcap takes them.
pub(crate) fn names() -> &'static NameTable {
    static NAMES: LazyLock<NameTable> = LazyLock::new(|| {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        NameTable::builtin().with_services(&read("/etc/services")).with_protocols(&read("/etc/protocols"))
    });
    &NAMES
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

/// Packets that are filtered here and there.
pub(crate) struct Corpus {
    packets: Vec<Packet>,
    capture: Capture,
    /// The same packets with bytes behind their ends.
    padded: [(Vec<Packet>, Capture); 2],
}

impl Corpus {
    pub(crate) fn new(packets: Vec<Packet>) -> Self {
        let padded = [0, 0xff].map(|byte| {
            let mut packets = packets.clone();
            for packet in &mut packets {
                packet.bytes.resize(packet.bytes.len() + 400, byte);
            }
            let capture = Capture::new(&packets);
            (packets, capture)
        });
        let capture = Capture::new(&packets);
        Self { packets, capture, padded }
    }

    /// What is different for an expression here and there, if anything.
    pub(crate) fn difference(&self, expression: &str) -> Option<String> {
        let ours = Filter::parse(expression, names());
        match (ours, self.capture.select(expression)) {
            (Ok(filter), Verdict::Selects(theirs)) => self.selection(expression, &filter, &theirs),
            (Ok(filter), Verdict::Nothing) => self.selection(expression, &filter, &[]),
            (Err(error), Verdict::Nothing) => (error.kind != ErrorKind::MatchesNothing)
                .then(|| format!("matches nothing there; here: {error}")),
            (Err(error), Verdict::Selects(theirs)) => {
                let same = error.kind == ErrorKind::MatchesNothing && theirs.is_empty();
                (!same).then(|| format!("refused here: {error}; there {theirs:?}"))
            }
            (Ok(_), Verdict::Refused(why)) => Some(format!("refused there: {why}")),
            (Err(_), Verdict::Refused(_)) => None,
        }
    }

    fn selection(&self, expression: &str, filter: &Filter, theirs: &[usize]) -> Option<String> {
        let ours = selected(filter, &self.packets);
        if ours == theirs {
            return None;
        }
        let mut more: Vec<_> = ours.iter().filter(|number| !theirs.contains(number)).collect();
        let mut less: Vec<_> = theirs.iter().filter(|number| !ours.contains(number)).collect();
        let plainly = self.capture.select_plainly(expression);
        more.retain(|number| !plainly.contains(number));
        less.retain(|number| plainly.contains(number));
        // Which bytes are looked at that decide nothing is left to each side, and so is whether a packet that ends before
        // them matches. It may if it does whatever these bytes are.
        for (packets, capture) in &self.padded {
            let theirs = capture.select_plainly(expression);
            let ours = selected(filter, packets);
            let by_both = |number: &usize| ours.contains(number) && theirs.contains(number);
            more.retain(|number| !by_both(number));
            less.retain(|number| !by_both(number));
        }
        let example = more.first().or(less.first())?;
        Some(format!(
            "selects {more:?} more and {less:?} less, as {:02x?}:\n{}",
            self.packets[**example],
            filter.program()
        ))
    }
}

#[test]
fn selects_what_libpcap_selects() {
    if !is_here() {
        return;
    }
    let corpus = Corpus::new(packets());
    let mut wrong = Vec::new();
    let mut useful = 0;
    for expression in EXPRESSIONS {
        if let Some(difference) = corpus.difference(expression) {
            wrong.push(format!("{expression}\n  {difference}"));
        }
        let count = Filter::parse(expression, names()).map(|filter| selected(&filter, &corpus.packets).len());
        useful += usize::from(count.is_ok_and(|count| count > 0 && count < corpus.packets.len()));
    }
    println!("{} expressions, {} packets, {useful} select some", EXPRESSIONS.len(), corpus.packets.len());
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(useful > EXPRESSIONS.len() * 9 / 10, "only {useful} expressions select some packets and not all");
}

#[test]
fn does_not_copy_libpcaps_mistakes() {
    if !is_here() {
        return;
    }
    let corpus = Corpus::new(packets());
    for (expression, meant) in MENDED {
        let ours = selected(&Filter::parse(expression, names()).unwrap(), &corpus.packets);
        let Verdict::Selects(theirs) = corpus.capture.select(meant) else { panic!("{meant} is refused") };
        assert_eq!(ours, theirs, "{expression}");
    }
}
