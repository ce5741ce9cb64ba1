//! From the first packet to the last.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use nslab_compare::{Around, Drops, Fate, Passing};
use nslab_decode::Style;
use nslab_kernel::nftables::Table;
use nslab_lab::interrupt::Caught;
use nslab_observe::trace::DropSource;
use nslab_observe::trace::listen::{Listener, News, Packet};
use nslab_predict::Network;

use super::conversations::{Conversations, nothing};
use super::growth::{Growing, Member};
use super::host::Host;
use super::losses::{Losses, lost};
use super::{json, text};
use crate::cli::args::Trace;
use crate::cli::commands::capture::growth::{self, Came};
use crate::cli::commands::capture::program::Program;
use crate::cli::commands::capture::targets::Anchor;
use crate::cli::commands::capture::text::{Teller, now};
use crate::cli::commands::trace::record::Recording;
use crate::cli::commands::{NO, capture};
use crate::cli::error::CliError;
use crate::cli::output::Output;

/// Signals and programs are looked for this often where no packets come.
const GLANCE: Duration = Duration::from_millis(50);

pub(super) struct Running<'a> {
    args: &'a Trace,
    output: Output,
    host: Host,
    growing: Growing,
    listener: Listener,
    drops: Result<Drops, String>,
    recording: Option<Recording>,
    teller: Teller,
    /// Packets that have come to their end.
    queue: VecDeque<Packet>,
    told: u64,
    different: u64,
    /// The host is not looked at any more.
    is_last: bool,
    conversations: Conversations,
    losses: Losses,
}

/// Why a round ends.
enum End {
    /// The host is to be looked at anew: it may have changed, or namespaces came.
    Renew,
    /// All is told that is wanted.
    Over,
}

impl<'a> Running<'a> {
    pub(super) fn new(
        args: &'a Trace,
        output: Output,
        (host, growing): (Host, Growing),
        listener: Listener,
        drops: Result<Drops, String>,
        recording: Option<Recording>,
    ) -> Self {
        let teller = Teller::of(Style::default(), true, 0);
        Self {
            args,
            output,
            host,
            growing,
            listener,
            drops,
            recording,
            teller,
            queue: VecDeque::new(),
            told: 0,
            different: 0,
            is_last: false,
            conversations: Conversations::default(),
            losses: Losses::default(),
        }
    }

    pub(super) fn run(mut self, program: Program) -> Result<ExitCode, CliError> {
        let caught = Caught::new();
        if let Err(error) = self.listener.start() {
            program.give_up();
            return Err(capture::failed(error));
        }
        self.tell_ready();
        let mut program = program.begin()?;
        let outcome = loop {
            match self.round(&mut program, &caught) {
                Ok(End::Renew) => match Host::take() {
                    Ok((host, traces)) => self.renew(host, &traces),
                    Err(error) => break Err(error),
                },
                Ok(End::Over) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        program.interrupt();
        let status = program.end();
        self.tell_end();
        let recorded = self.recording.take().map_or(Ok(()), Recording::finish);
        outcome?;
        recorded?;
        if self.args.strict && self.different > 0 {
            return Ok(NO.into());
        }
        Ok(status.unwrap_or(ExitCode::SUCCESS))
    }

    /// Goes by the host as it is now, and takes in namespaces that came.
    fn renew(&mut self, mut host: Host, traces: &[Vec<Table>]) {
        self.growing.find_in(&mut host.snapshot, &self.host.snapshot);
        self.host = host;
        let spaces = &self.host.snapshot.namespaces;
        for (place, number) in self.growing.numbers().into_iter().enumerate() {
            if let Some(state) = spaces.get(number).and_then(nslab_snapshot::Namespace::state) {
                self.listener.know(place, &state.nftables);
            }
        }
        for came in std::mem::take(&mut self.growing.came) {
            let (name, id) = (came.opened.name().to_owned(), came.anchor.as_ref().map(Anchor::id));
            match self.join(came, traces) {
                Ok(number) => {
                    let name = nslab_view::namespace_name(&self.host.snapshot, number);
                    self.output.note(&format!("note: {name} joins"));
                }
                Err(why) => {
                    if let Some(id) = id {
                        self.growing.forget(id);
                    }
                    self.output.note(&format!("note: {name} cannot join: {why}"));
                }
            }
        }
    }

    /// Takes one in; returns its place in the snapshot. The error is a sentence's part.
    fn join(&mut self, came: Came, traces: &[Vec<Table>]) -> Result<usize, String> {
        let Came { opened, anchor, namespace } = came;
        let namespace = namespace.ok_or("there is no room for another descriptor")?;
        let id = anchor.as_ref().map(Anchor::id);
        let number = self.host.snapshot.namespaces.iter().position(|space| Some(space.id) == id);
        let (number, id) = number.zip(id).ok_or("it is gone")?;
        // Behind those that are there are those that were.
        let traces = traces.get(number).ok_or("it is gone")?;
        let place =
            crate::cli::commands::trace::place(&self.host.snapshot.namespaces[number], namespace, traces);
        let place = place.ok_or("it cannot be read")?;
        self.listener.join(*opened, &place).map_err(|error| error.to_string())?;
        self.growing.add(Member::new(id, anchor, number, Vec::new()));
        if let Ok(drops) = &mut self.drops {
            drops.watch([id]).map_err(|error| error.to_string())?;
        }
        Ok(number)
    }

    /// Tells packets as long as what is known of the host is good enough.
    fn round(&mut self, program: &mut Program, caught: &Caught) -> Result<End, CliError> {
        let Self {
            args,
            output,
            host,
            growing,
            listener,
            drops,
            recording,
            teller,
            queue,
            told,
            different,
            is_last,
            conversations,
            losses,
            ..
        } = self;
        let network = Network::of(&host.snapshot);
        let (places, only) = (growing.numbers(), growing.only(&host.snapshot));
        let (snapshot, places, only) = (&host.snapshot, &places[..], &only);
        let name =
            |place: usize| nslab_view::namespace_name(snapshot, places.get(place).copied().unwrap_or(0));
        conversations.renew();
        let wait = if program.is_some() { GLANCE / 5 } else { GLANCE };
        loop {
            let nothing_left = listener.is_over() && !growing.may_grow() && !program.is_some();
            let over = nothing_left || caught.interrupt().has_come() || program.is_over();
            for event in listener.events() {
                output.note(&format!("note: {}", growth::words(event, name)));
            }
            for (place, id) in growing.call_roll() {
                output.note(&format!("note: {} is gone", name(place)));
                listener.leave(place).map_err(capture::failed)?;
                if let Ok(drops) = drops {
                    drops.unwatch(id);
                }
            }
            if nothing_left {
                output.note("nothing is left to trace in");
            }
            for news in listener.news() {
                let (place, words) = match news {
                    News::Nat { place, followed: Ok(()) } => {
                        if let Ok(drops) = drops
                            && let Err(why) = drops.choose(&listener.ends())
                        {
                            output.note(&format!(
                                "note: what is dropped of packets that NAT changes is not shown: {why}"
                            ));
                        }
                        (place, "has NAT now: packets are followed through it from here on".to_owned())
                    }
                    News::Nat { place, followed: Err(why) } => {
                        (place, format!("has NAT now: packets that it changes are not followed: {why}"))
                    }
                    News::Unfollowed { place, why } => {
                        (place, format!("has other rules now, which are not shown: {why}"))
                    }
                };
                output.note(&format!("note: {} {words}", name(place)));
            }
            let mut none = ();
            let drops: &mut dyn DropSource = match drops {
                Ok(drops) => drops,
                Err(_) => &mut none,
            };
            if over {
                listener.finish(drops).map_err(capture::failed)?;
            } else {
                listener.turn(wait, drops).map_err(capture::failed)?;
            }
            losses.note(lost(listener), now());
            let known = queue.len();
            queue.extend(std::iter::from_fn(|| listener.next(drops, over)));
            if queue.len() > known {
                queue.make_contiguous().sort_by_key(|packet| packet.begin);
            }
            let oldest = listener.oldest().unwrap_or(u64::MAX);
            let mut renew = false;
            let mut text = String::new();
            // They are told in the order in which they began.
            while queue.front().is_some_and(|packet| packet.begin <= oldest) {
                let Some(packet) = queue.pop_front() else { break };
                let has_lost = losses.may_be_of(packet.begin);
                let around = Around { snapshot, places, only, has_missed: listener.has_missed(), has_lost };
                let past = packet.events.iter().find(|event| growing.is_past(event.place));
                let foreseen = match past {
                    Some(event) => nothing(&format!("{}, where it was, is gone", name(event.place))),
                    None => conversations.foresee(&network, (snapshot, places, only), &packet),
                };
                let mut tale = Passing::of(around, &packet, &foreseen);
                if tale.agrees == Some(false) && !has_lost {
                    // The kernel may have lost some since it was last asked.
                    listener.count();
                    losses.note(lost(listener), now());
                    if losses.may_be_of(packet.begin) {
                        tale = Passing::of(Around { has_lost: true, ..around }, &packet, &foreseen);
                    }
                }
                // What came to be meanwhile may explain it.
                if tale.agrees == Some(false) && !host.is_since(packet.begin) && !*is_last {
                    queue.push_front(packet);
                    renew = true;
                    break;
                }
                if output.json {
                    let line = json::packet((&packet, &tale, &foreseen), snapshot);
                    text.push_str(&serde_json::to_string(&line).unwrap_or_default());
                    text.push('\n');
                } else {
                    text::packet((&packet, &tale, &foreseen), snapshot, teller, &output.style(), &mut text);
                }
                if let Some(recording) = recording {
                    let is_dropped = matches!(tale.fate, Fate::Dropped | Fate::Lost);
                    recording.add_events(&packet.events, is_dropped, name)?;
                }
                *told += 1;
                *different += u64::from(tale.agrees == Some(false));
                if args.count == Some(*told) {
                    write(&text);
                    return Ok(End::Over);
                }
            }
            if !write(&text) {
                return Ok(End::Over);
            }
            if !over && growing.has_come(*output) && host.has_rested() && growing.has_lasted(*output) {
                return Ok(End::Renew);
            }
            if renew && (over || host.may_go()) {
                *is_last = over;
                return Ok(End::Renew);
            }
            if over && !renew {
                return Ok(End::Over);
            }
        }
    }

    fn name(&self, place: usize) -> String {
        let number = self.growing.numbers().get(place).copied().unwrap_or(0);
        nslab_view::namespace_name(&self.host.snapshot, number)
    }

    fn tell_ready(&self) {
        let count = self.growing.len();
        let mut names: Vec<String> = (0..count.min(6)).map(|place| self.name(place)).collect();
        if count > names.len() {
            names.push("…".to_owned());
        }
        for (why, places) in self.untraced() {
            self.output.note(&format!("note: no rules are shown of {places}: {why}"));
        }
        if let Err(why) = &self.drops {
            self.output.note(&format!("note: the kernel's reasons for drops are not shown: {why}"));
        }
        let s = if count == 1 { "" } else { "s" };
        self.output.note(&format!("ready: tracing in {count} namespace{s} ({})", names.join(", ")));
    }

    /// Why rules are not traced, with where.
    fn untraced(&self) -> BTreeMap<String, String> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (place, why) in self.listener.untraced() {
            all.entry(why.to_owned()).or_default().push(self.name(place));
        }
        let count = self.growing.len();
        let places = |names: Vec<String>| {
            if names.len() == count { "any namespace".to_owned() } else { names.join(", ") }
        };
        all.into_iter().map(|(why, names)| (why, places(names))).collect()
    }

    fn tell_end(&self) {
        let no_tracepoints = self.drops.as_ref().err().map(String::as_str);
        if self.output.json {
            let counts = (self.told, self.different);
            let line = json::summary(counts, &self.listener, no_tracepoints, |place| self.name(place));
            write(&(serde_json::to_string(&line).unwrap_or_default() + "\n"));
        }
        let lost = lost(&self.listener);
        let (skipped, missed) = (self.listener.skipped(), self.listener.has_missed());
        let s = |count: u64| if count == 1 { "" } else { "s" };
        let Self { told, different, .. } = self;
        let mut lines = vec![format!("{told} packet{} traced, {different} not as predicted", s(*told))];
        if lost > 0 {
            let s = s(lost);
            lines.push(format!("{lost} frame{s} lost by the kernel: what is missing may be among them"));
        }
        if skipped > 0 {
            lines.push(format!("{skipped} packet{} not followed: too many were on their way", s(skipped)));
        }
        if missed {
            lines.push("the kernel told of more rules than there was room for: some are missing".to_owned());
        }
        let is_whole = lost == 0 && skipped == 0 && !missed;
        Output { quiet: self.output.quiet && is_whole, ..self.output }.note(&lines.join("\n"));
    }
}

/// Writes what there is; false if nobody reads it any more.
fn write(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}
