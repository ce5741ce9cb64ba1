//! However it ends: the file can be read, and nothing is left.

use std::io::Read as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Capturing, count, packet_sockets, tool};
use crate::support::{ROUTED, Run, Session, Talking, as_root, each_user};

each_user!(by_signals, a_reader_that_goes_away);
as_root!(a_full_disk);

fn by_signals(session: &Session) {
    let lab = session.up(ROUTED);
    let red = format!("{lab}/red");
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let command = session.command(["capture", "--lab", &lab, "-w", "out.pcapng", "-f", "icmp"]);
        let capturing = Capturing::start(command);
        session.ok(["ping", &red, "blue", "-c2", "-i0.01"]);
        assert_eq!(packet_sockets(session, &red), 1);
        capturing.signal(signal).whole(16);
        assert_eq!(count(session, &session.directory().join("out.pcapng")), 16);
        assert_eq!(packet_sockets(session, &red), 0);
    }
    let mut command = session.command(["capture", "--lab", &lab, "-w", "killed.pcapng"]);
    command.stdout(Stdio::null());
    let mut command = session.command(["capture", "--lab", &lab, "-w", "killed.pcapng"]);
    command.arg("--print");
    let capturing = Capturing::start(command);
    session.ok(["ping", &red, "blue", "-c1"]);
    let captured = capturing.signal(Signal::KILL);
    assert_eq!(captured.code, None);
    assert_eq!(packet_sockets(session, &red), 0);
    // What was written until then can be read.
    tool(session, "tshark", &["-n", "-r", "killed.pcapng"]);
}

fn a_reader_that_goes_away(session: &Session) {
    let lab = session.up(ROUTED);
    let red = format!("{lab}/red");
    for arguments in [&["capture", "--lab", &lab, "-w", "-"][..], &["capture", "--lab", &lab]] {
        let mut talking = Talking::ready(session.command(arguments));
        let mut stdout = talking.running.child.stdout.take().unwrap();
        session.ok(["ping", &red, "blue", "-c1"]);
        stdout.read_exact(&mut [0]).unwrap();
        drop(stdout);
        // It finds out when it writes.
        let end = Instant::now() + Duration::from_secs(100);
        while talking.running.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end);
            session.ok(["ping", &red, "blue", "-c1"]);
        }
        let (code, said) = talking.end();
        assert_eq!(code, Some(0));
        assert!(said.contains(" captured\n") && !said.contains("nslab:"), "{said}");
    }
}

fn a_full_disk(session: &Session) {
    let lab = session.up(ROUTED);
    let script = format!(
        "mkdir small && mount -t tmpfs -o size=64k none small || exit 99
        {0} capture --lab {lab} -w small/out.pcapng -- {0} ping {lab}/red blue -c200 -i0.002 -s 1000 >/dev/null
        echo $? $(stat -c %s small/out.pcapng)
        cp small/out.pcapng out.pcapng",
        session.program().display(),
    );
    let mut command = session.other("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    let run = Run::of(command).status(0);
    let (status, size) = run.stdout.trim().split_once(' ').unwrap();
    assert_eq!(status, "3", "{run:#?}");
    assert!(size.parse::<u64>().unwrap() > 40_000, "{run:#?}");
    assert!(run.stderr.contains("cannot write small/out.pcapng: No space left on device"), "{run:#?}");
    assert!(run.stderr.contains(" captured\n"), "{run:#?}");
    assert!(count(session, &session.directory().join("out.pcapng")) > 30);
}
