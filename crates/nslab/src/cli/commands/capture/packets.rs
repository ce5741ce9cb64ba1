//! What becomes of packets that were seen.

use std::io::{self, Write as _};
use std::ops::ControlFlow;

use nslab_kernel::packet::PacketKind;
use nslab_observe::capture::{Capture, Sighting};
use nslab_observe::pcapng::{Direction, Interface, Output as Writer, Recorder, Sighted, Totals, Written};

use super::follow::Follow;
use super::json;
use super::record::{Destination, cannot_write, standard_output};
use super::text::Teller;
use super::view::View;
use crate::cli::args;
use crate::cli::error::{CliError, Kind};
use crate::cli::output::Output;

/// What goes to standard output.
struct Shown {
    writer: Writer,
    how: How,
    /// What waits.
    text: String,
}

enum How {
    Lines(Teller),
    Ways(Box<Follow>),
    Json,
}

/// Where packets go.
pub(super) struct Packets<'a> {
    args: &'a args::Capture,
    recorder: Option<Recorder>,
    shown: Option<Shown>,
    json: bool,
    /// By place: what namespaces are called, and whether all of their interfaces are captured.
    places: Vec<(String, bool)>,
    pub(super) count: u64,
    /// Why nothing more can be written.
    failed: Option<io::Error>,
}

impl<'a> Packets<'a> {
    pub(super) fn begin(
        args: &'a args::Capture,
        destination: Destination,
        output: Output,
    ) -> Result<Self, CliError> {
        if args.print && destination.is_pipe() {
            return Err(CliError::bad_input("packets cannot be shown where they are written to as pcapng")
                .hint("-w FILE --print, or -w - alone"));
        }
        if output.json && destination.is_pipe() {
            return Err(CliError::bad_input("JSON cannot be where packets are written to as pcapng")
                .hint("-w FILE --json, or -w - alone"));
        }
        if args.follow && args.write.is_some() && !args.print {
            return Err(CliError::bad_input("--follow shows packets, and -w writes them")
                .hint("-w FILE --print --follow does both"));
        }
        let recorder = destination.begin(args)?;
        let mut shown = None;
        if recorder.is_none() || args.print {
            let writer = standard_output().and_then(|out| Writer::new(out, None));
            let writer = writer.map_err(|error| CliError::new(Kind::Machine, error.to_string()))?;
            let how = match (args.follow, output.json) {
                (true, json) => How::Ways(Box::new(Follow::new(args, json))),
                (false, true) => How::Json,
                (false, false) => How::Lines(Teller::new(args)),
            };
            shown = Some(Shown { writer, how, text: String::new() });
        }
        Ok(Self { args, recorder, shown, json: output.json, places: Vec::new(), count: 0, failed: None })
    }

    /// Learns of namespaces.
    pub(super) fn know(&mut self, capture: &Capture) {
        for place in self.places.len()..capture.len() {
            self.places.push((capture.name(place).to_owned(), capture.is_whole(place)));
        }
    }

    /// Takes a packet; breaks if it is the last one.
    pub(super) fn take(&mut self, sighting: &Sighting<'_>) -> ControlFlow<()> {
        let known = self.places.get(sighting.place);
        let (name, is_whole) = known.map_or(("", false), |(name, is_whole)| (&**name, *is_whole));
        let view = View::of(&sighting.frame, self.args.decap);
        if let Some(recorder) = &mut self.recorder {
            match record(recorder, name, sighting, &view, self.args) {
                Ok(true) => {}
                Ok(false) => return ControlFlow::Break(()),
                Err(error) => {
                    self.failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
        }
        self.count += 1;
        if let Some(Shown { how, text, .. }) = &mut self.shown {
            match how {
                How::Lines(teller) => teller.tell(name, sighting, &view, text),
                How::Json => json::packet(name, sighting, &view, text),
                How::Ways(follow) => {
                    follow.take((name, is_whole), sighting, &view);
                    // Their number is that of lines.
                    return ControlFlow::Continue(());
                }
            }
        }
        if self.args.count == Some(self.count) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// After each round: lets out what was gathered. False if nothing more can be written, or is to be.
    pub(super) fn pause(&mut self, capture: &mut Capture, last: bool) -> bool {
        let mut goes_on = true;
        if let Some(Shown { writer, how, text }) = &mut self.shown {
            if let How::Ways(follow) = how {
                let known = capture.known();
                goes_on = follow.tell(known, &mut |place| capture.addresses(place), last, text);
            }
            if !text.is_empty() {
                let mut bytes = std::mem::take(text).into_bytes();
                writer.send(&mut bytes);
                *text = String::from_utf8(bytes).unwrap_or_default();
            }
            if writer.has_failed() {
                return false;
            }
        }
        if let Some(recorder) = &mut self.recorder {
            for (place, counts) in capture.counts().iter().enumerate() {
                recorder.totals(place, Totals { lost: counts.lost });
            }
            match recorder.make_room(super::text::now()) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    self.failed = Some(error);
                    return false;
                }
            }
            recorder.pause();
            return goes_on && !recorder.has_failed();
        }
        goes_on
    }

    /// Writes the rest. A reader that went away is no error.
    pub(super) fn finish(mut self, capture: &mut Capture) -> Result<(), CliError> {
        self.pause(capture, true);
        let ignore_reader = |result: io::Result<Written>| match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
            other => other.map(Some),
        };
        let summary = if self.json { json::summary(capture, self.count) } else { String::new() };
        let out = |error| cannot_write("-".as_ref(), &error);
        match self.shown {
            Some(mut shown) => {
                shown.writer.send(&mut summary.into_bytes());
                ignore_reader(shown.writer.finish()).map_err(out)?;
            }
            // Packets are in a file.
            None if self.json => {
                standard_output().and_then(|mut to| to.write_all(summary.as_bytes())).map_err(out)?;
            }
            None => {}
        }
        let Some(recorder) = self.recorder else { return Ok(()) };
        let path = self.args.write.clone().unwrap_or_default();
        let valid =
            |error: io::Error| cannot_write(&path, &error).detail("what was written before can be read");
        ignore_reader(recorder.finish()).map_err(valid)?;
        self.failed.map_or(Ok(()), |error| Err(valid(error)))
    }
}

/// Writes a packet to the file.
fn record(
    recorder: &mut Recorder,
    name: &str,
    sighting: &Sighting<'_>,
    view: &View<'_>,
    args: &args::Capture,
) -> io::Result<bool> {
    let Sighting { place, interface, frame } = sighting;
    let sighted = Sighted {
        place: (*place, frame.interface),
        link_type: view.link_type,
        time: frame.time,
        length: view.length,
        bytes: view.pieces(),
        direction: match frame.kind {
            PacketKind::Host => Direction::Unicast,
            PacketKind::Broadcast => Direction::Broadcast,
            PacketKind::Multicast => Direction::Multicast,
            PacketKind::OtherHost => Direction::Other,
            PacketKind::Outgoing => Direction::Out,
        },
        packet_id: view.identity().map(|identity| identity.key_through_nat()),
        is_dropped: None,
    };
    recorder.packet(&sighted, || {
        let kind = if interface.kind.is_empty() { "" } else { " " };
        Interface {
            link_type: view.link_type,
            snap_length: args.snaplen.unwrap_or(0),
            name: format!("{}@{name}", interface.name),
            description: format!("{}{kind}interface {} of {name}", interface.kind, interface.name),
            mac: interface.mac,
            filter: args.filter.clone(),
        }
    })
}
