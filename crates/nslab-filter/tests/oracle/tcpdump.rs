//! tcpdump, the oracle.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::NamedTempFile;

use crate::packets::Packet;

/// tcpdump's words on stderr for a filter that it finds to match nothing.
const MATCHES_NOTHING: &str = "expression rejects all packets";

/// What libpcap makes of a filter.
pub(crate) enum Verdict {
    /// The numbers of the packets that it selects.
    Selects(Vec<usize>),
    /// It found that nothing can match.
    Nothing,
    Refused(String),
}

/// Packets in a file, to be filtered by tcpdump.
pub(crate) struct Capture {
    file: NamedTempFile,
}

impl Capture {
    pub(crate) fn new(packets: &[Packet]) -> Self {
        let mut bytes = Vec::new();
        // pcap-savefile(5): magic, version 2.4, zone, accuracy, snaplen, Ethernet.
        for word in [0xa1b2_c3d4_u32, 4 << 16 | 2, 0, 0, 262_144, 1] {
            bytes.extend(word.to_ne_bytes());
        }
        for (number, packet) in packets.iter().enumerate() {
            // The time says which packet it is.
            for word in [number, 0, packet.bytes.len(), packet.length] {
                bytes.extend(u32::try_from(word).unwrap().to_ne_bytes());
            }
            bytes.extend(&packet.bytes);
        }
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        Self { file }
    }

    pub(crate) fn select(&self, expression: &str) -> Verdict {
        self.select_with(expression, "-p")
    }

    /// What libpcap selects without its optimiser, which now and then errs: it forgets to load X.
    pub(crate) fn select_plainly(&self, expression: &str) -> Vec<usize> {
        match self.select_with(expression, "-O") {
            Verdict::Selects(selected) => selected,
            Verdict::Nothing | Verdict::Refused(_) => Vec::new(),
        }
    }

    fn select_with(&self, expression: &str, option: &str) -> Verdict {
        let output = run(&[option, "-Z", "root", "-r"], Some(self.file.path()), expression, &["-w", "-"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return if text.contains(MATCHES_NOTHING) { Verdict::Nothing } else { Verdict::Refused(text) };
        }
        let mut selected = Vec::new();
        let mut rest = output.stdout.get(24..).unwrap_or_default();
        while let Some((header, after)) = rest.split_at_checked(16) {
            let word = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap()) as usize;
            selected.push(word(0));
            rest = &after[word(8)..];
        }
        Verdict::Selects(selected)
    }
}

/// How many instructions libpcap needs, on an Ethernet of which nothing else is known; nothing if it refuses.
pub(crate) fn instructions(expression: &str) -> Option<usize> {
    let output = run(&["-y", "EN10MB", "-d"], None, expression, &[]);
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).lines().count())
}

fn run(before: &[&str], file: Option<&Path>, expression: &str, after: &[&str]) -> Output {
    let mut command = Command::new("tcpdump");
    command.args(before).args(file).args(after).arg("--").arg(expression);
    command.output().expect("tcpdump is one of CI's packages")
}

/// Whether tcpdump is there; if not, says so, and fails where nothing may be skipped.
pub(crate) fn is_here() -> bool {
    let here = Command::new("tcpdump").arg("--version").output().is_ok();
    if !here {
        assert!(std::env::var_os("NSLAB_TESTS_MUST_RUN").is_none(), "there is no tcpdump here");
        eprintln!("skipped: there is no tcpdump here");
    }
    here
}
