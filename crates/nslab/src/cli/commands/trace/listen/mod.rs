//! `nslab trace --listen`: packets of others.

mod conversations;
mod growth;
mod host;
mod json;
mod losses;
mod packet;
mod run;
mod text;

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use nslab_kernel::NamespaceId;
use nslab_lab::rootless;
use nslab_observe::trace::Place;
use nslab_observe::trace::listen::{Listener, Options, Wanted, has_nat};

pub(in crate::cli::commands) use json::Line;

use super::{drops, open, record};
use crate::cli::args::Trace;
use crate::cli::commands::capture;
use crate::cli::commands::capture::growth::Coming;
use crate::cli::commands::capture::names::{self, FilterNames};
use crate::cli::commands::capture::program::Program;
use crate::cli::commands::capture::targets::{self, Anchor, Growth, Named, Naming};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use growth::{Growing, Member};
use host::Host;
use run::Running;

/// Drops of packets that are traced, and of others meanwhile.
const MEMORY: u32 = 1 << 22;
/// As much as headers and what tells packets apart take.
const SHORT: u32 = 512;
/// A file gets all of them.
const WHOLE: u32 = 262_144;
/// Queues may hold packets back for so long.
const SLOW: Duration = Duration::from_secs(1);

pub(super) fn run(args: &Trace, text: &str, output: Output) -> Result<ExitCode, CliError> {
    // All before an ordinary user's process enters namespaces of its own, where it sees other files.
    let files = names::files();
    let wanted = args.pcapng.as_deref().map(record::Wanted::find).transpose()?;
    let program = Program::prepare(&args.command, false)?;
    nslab_lab::exec::limits::raise();
    let loading =
        (!rootless::needed()).then(|| drops::Loading::begin(|| nslab_compare::Drops::of_many(MEMORY)));
    match Context::open(output).and_then(|context| Ok((prepare(args, text, files, &context)?, context))) {
        Ok((prepared, _context)) => {
            let recording = match wanted.map(record::Wanted::create).transpose() {
                Ok(recording) => recording,
                Err(error) => {
                    program.give_up();
                    return Err(error);
                }
            };
            let Prepared { host, places, growing, mut listener } = prepared;
            let drops = match loading {
                Some(loading) => loading.end(&places).and_then(|mut drops| {
                    drops.choose(&listener.ends()).map_err(|error| error.to_string())?;
                    Ok(drops)
                }),
                None => Err("an ordinary user may not".to_owned()),
            };
            drop(places);
            if drops.is_err()
                && let Err(why) = listener.without_drops()
            {
                output
                    .note(&format!("note: where there are no rules, drops may be taken for arrivals: {why}"));
            }
            Running::new(args, output, (host, growing), listener, drops, recording).run(program)
        }
        Err(error) => {
            program.give_up();
            Err(error)
        }
    }
}

/// What is there before the first packet.
struct Prepared {
    host: Host,
    places: Vec<Place>,
    growing: Growing,
    listener: Listener,
}

fn prepare(
    args: &Trace,
    text: &str,
    files: nslab_filter::NameTable,
    context: &Context,
) -> Result<Prepared, CliError> {
    let words = args.targets();
    let names = FilterNames::new(files, context, args.lab.as_deref(), &words);
    // What is wrong with it is told before anything is looked at.
    capture::parsed(text, WHOLE, &names)?;
    let Meant { all: mut meant, naming, growth } = Meant::of(args, &words, context)?;
    let (host, traces) = Host::take()?;
    let near: Vec<usize> = host
        .snapshot
        .namespaces
        .iter()
        .enumerate()
        .filter(|(_, space)| meant.contains_key(&space.id))
        .map(|(place, _)| place)
        .collect();
    let (mut places, watched) = open(&host.snapshot, &near, &traces)?;
    if places.is_empty() {
        return Err(CliError::bad_input("there is no namespace to trace in"));
    }
    let mut members = Vec::with_capacity(places.len());
    for (place, &number) in places.iter_mut().zip(&watched) {
        let id = host.snapshot.namespaces[number].id;
        let (anchor, interfaces) = meant.remove(&id).unzip();
        place.interfaces = interfaces.unwrap_or_default();
        members.push(Member::new(id, anchor, number, place.interfaces.clone()));
    }
    // Following packets where NAT changes them costs all of their protocols.
    let through_nat = places.iter().any(|place| has_nat(&place.ruleset));
    let wanted =
        Wanted::of(text, &names, through_nat).map_err(|error| capture::wrong_filter(text, &error))?;
    let options = Options {
        rules: !args.no_rules,
        ends_only: !rootless::needed(),
        limit: args.limit,
        quiet: if nslab_compare::has_delays(&host.snapshot, &watched) {
            SLOW
        } else {
            Options::default().quiet
        },
        length: if args.pcapng.is_some() { WHOLE } else { SHORT },
        memory: None,
    };
    let listener =
        Listener::open(&places, &wanted, &options).map_err(|error| super::failed(error, "there"))?;
    let known = members.iter().filter_map(Member::id).collect();
    let coming = Coming::begin(growth, known, naming, listener.capturing(), members.len())?;
    let growing = Growing::new(members, coming);
    Ok(Prepared { host, places, growing, listener })
}

/// The namespaces that are meant.
struct Meant {
    /// With what shows that they are there, and the interfaces that are meant, if not all.
    all: HashMap<NamespaceId, (Anchor, Vec<String>)>,
    naming: Naming,
    growth: Growth,
}

impl Meant {
    fn of(args: &Trace, words: &[String], context: &Context) -> Result<Self, CliError> {
        let (places, growth) = targets::find(args.all, words, args.lab.as_deref(), context)?;
        let mut naming = Naming::default();
        let named = naming.all(places).into_iter();
        let all = named.map(|Named { source, anchor }| (anchor.id(), (anchor, source.interfaces)));
        Ok(Self { all: all.collect(), naming, growth })
    }
}
