//! Namespaces that come and go while all are captured in, beside the same where nobody captures.

use std::process::Command;
use std::time::Instant;

use crate::barrier::Barrier;
use crate::candidates::{Candidate, Nslab, Places};
use crate::error::Result;
use crate::process::Talking;
use crate::shape::Shape;
use crate::start::{Timed, print};

/// What nobody sends.
const OTHERS: &str = "udp port 4000 and host 10.9.9.9";

/// A star of so many hosts, built and taken away.
pub fn run(runs: usize, hosts: usize, places: &Places, json: bool) -> Result<()> {
    let shape = Shape::Star { hosts };
    let mut lab = Nslab::new(&places.nslab, &places.work);
    lab.prepare(shape)?;
    let mut timed = [
        Timed::named("up, nobody captures"),
        Timed::named("up, all is captured"),
        Timed::named("  after that, until all have joined"),
        Timed::named("down, nobody captures"),
        Timed::named("down, all is captured"),
        Timed::named("  after that, until all are left"),
    ];
    let mut barrier = Barrier::start()?;
    for run in 0..=runs {
        let mut samples = Vec::new();
        let mut begun = Instant::now();
        let mut sample = || samples.push(std::mem::replace(&mut begun, Instant::now()).elapsed());
        lab.up(shape)?;
        sample();
        lab.down()?;
        sample();
        // Else the kernel would still be at that while the next one is built.
        barrier.finished()?;
        let mut command = Command::new(&places.nslab);
        command.args(["capture", "--all", "-f", OTHERS]);
        let mut capture = Talking::start(command)?;
        capture.says("ready: ", 1)?;
        sample();
        lab.up(shape)?;
        sample();
        capture.says(" joins", shape.namespaces().len())?;
        sample();
        lab.down()?;
        sample();
        capture.says(" is gone", shape.namespaces().len())?;
        sample();
        capture.interrupt();
        capture.end()?;
        barrier.finished()?;
        let &[up, down, _, captured_up, joined, captured_down, left] = &samples[..] else { continue };
        let samples = [up, captured_up, joined, down, captured_down, left];
        for (timed, sample) in timed.iter_mut().zip(samples).filter(|_| run > 0) {
            timed.milliseconds.push(sample);
        }
    }
    print(&timed, json);
    Ok(())
}
