//! Kernels that let nobody look into them:
//! `cargo xtask vm-test 6.12 --boot lockdown=confidentiality -p nslab -- locked_down`.

use std::path::Path;

use serde_json::Value;

use crate::support::{PAIR, Run, Session, as_root};

as_root!(what_cannot_be_seen_is_said);

/// Runs it where `lockdown` can be read, whether or not this system has made it so.
fn run(session: &Session, words: &[&str]) -> Run {
    let mut command = session.other("unshare");
    let script = "[ -e /sys/kernel/security/lockdown ] || mount -t securityfs securityfs /sys/kernel/security\n\
                  exec \"$0\" \"$@\"";
    command.args(["--mount", "sh", "-c", script]).arg(session.program()).args(words);
    Run::of(command)
}

fn what_cannot_be_seen_is_said(session: &Session) {
    let line = std::fs::read_to_string("/proc/cmdline").unwrap();
    if !line.contains("lockdown=confidentiality") {
        // Hardly a kernel is.
        return;
    }
    let lab = session.up(PAIR);
    let said = run(session, &["drops", "--lab", &lab, "--", "touch", "touched"]).status(3);
    said.says("the kernel is locked down (confidentiality)").says("boot without lockdown=confidentiality");
    assert!(!Path::new(session.directory()).join("touched").exists());
    // A trace goes by what else there is.
    let report = run(session, &["trace", "--json", &format!("{lab}/red"), &format!("{lab}/blue")]).status(0);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["agrees"]), (&"delivered".into(), &true.into()), "{report:#}");
    let evidence = report["evidence"].as_array().unwrap();
    assert!(!evidence.contains(&"kernel tracepoints".into()), "{evidence:?}");
    assert!(evidence.contains(&"nft trace".into()), "{evidence:?}");
    session.ok(["down", &lab]);
}
