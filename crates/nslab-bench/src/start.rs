//! Small commands: how long they take from start to end, against the least that a program can take.

use std::ffi::OsString;
use std::time::Instant;

use serde::Serialize;

use crate::candidates::{Candidate, Nslab, Places, on_path};
use crate::error::Result;
use crate::process;
use crate::shape::Shape;
use crate::stats::{Samples, print_table};

/// A command and its times.
#[derive(Debug, Serialize)]
pub struct Timed {
    /// What it is called in the table.
    pub name: String,
    /// Milliseconds from spawn to exit.
    pub milliseconds: Samples,
    #[serde(skip)]
    command: Vec<OsString>,
}

impl Timed {
    /// What is not run by `alternate`.
    pub fn named(name: &str) -> Self {
        Self::new(name, std::iter::empty::<OsString>())
    }

    fn new<S: Into<OsString>>(name: &str, command: impl IntoIterator<Item = S>) -> Self {
        let command = command.into_iter().map(Into::into).collect();
        Self { name: name.to_owned(), milliseconds: Samples::default(), command }
    }
}

/// Runs all commands in turn, so many times, after one round that does not count.
fn alternate(mut commands: Vec<Timed>, runs: usize) -> Result<Vec<Timed>> {
    for run in 0..=runs {
        for Timed { command, milliseconds, .. } in &mut commands {
            let start = Instant::now();
            process::run(&command[0], &command[1..])?;
            if run > 0 {
                milliseconds.push(start.elapsed());
            }
        }
    }
    Ok(commands)
}

/// Prints them, with the ratio to the first.
pub fn print(commands: &[Timed], json: bool) {
    if json {
        println!("{:#}", serde_json::json!(commands));
        return;
    }
    let base = commands.first().map_or(f64::NAN, |base| base.milliseconds.median());
    let rows: Vec<Vec<String>> = commands
        .iter()
        .map(|timed| {
            let median = timed.milliseconds.median();
            vec![timed.name.clone(), timed.milliseconds.display(), format!("×{:.2}", median / base)]
        })
        .collect();
    print_table(&["", "ms, median (least–greatest)", ""], &rows);
}

/// Why nslab is not measured, if it does not run.
fn without_nslab(places: &Places) -> Option<String> {
    let error = process::run(&places.nslab, &["--version"]).err()?;
    Some(format!("nslab not measured: {} does not run: {error}", places.nslab.display()))
}

/// `nslab --version` and `--help` beside `true` and `ip -V`.
pub fn start(runs: usize, places: &Places, json: bool) -> Result<()> {
    let mut commands = vec![Timed::new("true", ["true"])];
    if on_path("ip") {
        commands.push(Timed::new("ip -V", ["ip", "-V"]));
    }
    let missing = without_nslab(places);
    if missing.is_none() {
        for argument in ["--version", "--help"] {
            let command = [places.nslab.clone().into_os_string(), argument.into()];
            commands.push(Timed::new(&format!("nslab {argument}"), command));
        }
    }
    print(&alternate(commands, runs)?, json);
    if let Some(missing) = missing {
        eprintln!("{missing}");
    }
    Ok(())
}

/// A program in a node, by nslab and by `ip netns exec`, among so many namespaces.
pub fn exec(runs: usize, nodes: usize, places: &Places, json: bool) -> Result<()> {
    let shape = Shape::Star { hosts: nodes };
    let missing = without_nslab(places);
    let mut commands = vec![Timed::new("true", ["true"])];
    // Where nslab does not run, other namespaces stand in, so that there are as many pins to copy.
    let mut lab = Nslab::new(&places.nslab, &places.work);
    let mut other = crate::candidates::Batched::new(&places.work);
    if missing.is_none() {
        lab.prepare(shape)?;
        lab.up(shape)?;
        let node = format!("{}/h1", lab.lab());
        let command =
            [places.nslab.as_os_str(), "exec".as_ref(), node.as_ref(), "--".as_ref(), "true".as_ref()];
        commands.push(Timed::new("nslab exec NODE -- true", command));
    } else {
        other.prepare(shape)?;
        other.up(shape)?;
    }
    let name = if missing.is_none() { format!("{}-h1", lab.lab()) } else { "h1".to_owned() };
    if on_path("ip") {
        commands.push(Timed::new("ip netns exec NAME true", ["ip", "netns", "exec", &name, "true"]));
    }
    let measured = alternate(commands, runs);
    if missing.is_none() { lab.down() } else { other.down() }?;
    print(&measured?, json);
    if let Some(missing) = missing {
        eprintln!("{missing}");
    }
    Ok(())
}

/// Every pair of a star: `nslab ping`.
pub fn ping(runs: usize, hosts: usize, places: &Places, json: bool) -> Result<()> {
    if let Some(missing) = without_nslab(places) {
        eprintln!("{missing}");
        return Ok(());
    }
    let shape = Shape::Star { hosts };
    let mut lab = Nslab::new(&places.nslab, &places.work);
    lab.prepare(shape)?;
    lab.up(shape)?;
    let name = format!("nslab ping, {hosts} hosts, {} pairs", hosts * hosts.saturating_sub(1));
    let command = [places.nslab.as_os_str(), "ping".as_ref()];
    let measured = alternate(vec![Timed::new(&name, command)], runs);
    lab.down()?;
    print(&measured?, json);
    Ok(())
}
