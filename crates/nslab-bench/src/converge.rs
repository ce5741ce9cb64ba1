//! A running lab brought to an edited lab file, beside building it.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use crate::barrier::Barrier;
use crate::candidates::{self, Candidate, Nslab, Places};
use crate::error::Result;
use crate::process;
use crate::shape::Shape;
use crate::start::{Timed, print};

/// A star of so many hosts: built; looked at with nothing to do; brought to a file with one line edited, and back.
pub fn run(runs: usize, hosts: usize, places: &Places, json: bool) -> Result<()> {
    let shape = Shape::Star { hosts };
    let mut lab = Nslab::new(&places.nslab, &places.work);
    lab.prepare(shape)?;
    let file = shape.lab_file(lab.lab());
    let (path, edited) = (places.work.join("as-built.yaml"), places.work.join("edited.yaml"));
    candidates::write(&path, &file)?;
    candidates::write(
        &edited,
        &file.replace("links: [[h, br0]]", "links: [[h, br0], [h1, h2, {mtu: 1400}]]"),
    )?;
    let up = |path: &OsStr| -> Result<Duration> {
        let start = Instant::now();
        process::run(&places.nslab, &["up".as_ref(), path])?;
        Ok(start.elapsed())
    };
    let mut timed = [
        Timed::named("up, whole"),
        Timed::named("up, nothing to do"),
        Timed::named("up, one line more (a cable)"),
        Timed::named("up, the line taken out"),
    ];
    let mut barrier = Barrier::start()?;
    for run in 0..=runs {
        let files = [&path, &path, &edited, &path];
        for (timed, file) in timed.iter_mut().zip(files) {
            let time = up(file.as_os_str())?;
            if run > 0 {
                timed.milliseconds.push(time);
            }
        }
        lab.down()?;
        // Else the kernel would still be at that while the next one is built.
        barrier.finished()?;
    }
    print(&timed, json);
    Ok(())
}
