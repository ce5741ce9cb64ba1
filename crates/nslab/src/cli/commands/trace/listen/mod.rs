//! `nslab trace --listen`: packets of others.

mod conversations;
mod host;
mod json;
mod packet;
mod run;
mod text;

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

use nslab_kernel::NamespaceId;
use nslab_kernel::nftables::ChainKind;
use nslab_lab::rootless;
use nslab_observe::trace::Place;
use nslab_observe::trace::listen::{Listener, Options, Wanted};

pub(in crate::cli::commands) use json::Line;

use super::{drops, open, record};
use crate::cli::args::Trace;
use crate::cli::commands::capture::names::{self, FilterNames};
use crate::cli::commands::capture::program::Program;
use crate::cli::commands::capture::{self, targets};
use crate::cli::context::{self, Context};
use crate::cli::error::CliError;
use crate::cli::output::Output;
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
    let loading = (!rootless::needed()).then(|| drops::Loading::begin(MEMORY));
    match Context::open(output).and_then(|context| Ok((prepare(args, text, files, &context)?, context))) {
        Ok((prepared, _context)) => {
            let recording = match wanted.map(record::Wanted::create).transpose() {
                Ok(recording) => recording,
                Err(error) => {
                    program.give_up();
                    return Err(error);
                }
            };
            let Prepared { host, places, numbers, listener } = prepared;
            let drops = match loading {
                Some(loading) => loading.end(&places),
                None => Err("an ordinary user may not".to_owned()),
            };
            drop(places);
            Running::new(args, output, (host, numbers), listener, drops, recording).run(program)
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
    /// By place.
    numbers: Vec<NamespaceId>,
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
    let meant = meant(args, &words, context)?;
    let (host, traces) = Host::take()?;
    let near: Vec<usize> = host
        .snapshot
        .namespaces
        .iter()
        .enumerate()
        .filter(|(_, space)| meant.contains(&space.id))
        .map(|(place, _)| place)
        .collect();
    let (places, watched) = open(&host.snapshot, &near, &traces)?;
    if places.is_empty() {
        return Err(CliError::bad_input("there is no namespace to trace in"));
    }
    let has_nat = places.iter().any(|place| {
        let chains = place.ruleset.tables.iter().flat_map(|table| &table.chains);
        chains.filter_map(|chain| chain.base.as_ref()).any(|base| base.kind == ChainKind::Nat)
    });
    let wanted = Wanted::of(text, &names, has_nat).map_err(|error| capture::wrong_filter(text, &error))?;
    let options = Options {
        rules: !args.no_rules,
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
    let numbers = watched.iter().map(|&place| host.snapshot.namespaces[place].id).collect();
    Ok(Prepared { host, places, numbers, listener })
}

/// The namespaces that are meant.
fn meant(args: &Trace, words: &[String], context: &Context) -> Result<HashSet<NamespaceId>, CliError> {
    let places = if args.all {
        targets::host(&HashSet::new())?
    } else if words.is_empty() {
        let lab = context.lab_name(args.lab.as_deref())?;
        targets::nodes(&context::paths(), &lab)?
    } else {
        targets::named(words, context)?
    };
    let mut meant = HashSet::new();
    for place in places {
        meant.insert(place.id());
        let (_, interfaces) = place.release();
        if let Some(interface) = interfaces.first() {
            return Err(CliError::bad_input(format!(
                "a packet is traced at all interfaces, not at {interface} alone"
            ))
            .hint("name the namespace without it; the filter chooses packets"));
        }
    }
    Ok(meant)
}
