//! `--pcapng`.

use std::path::{Path, PathBuf};

use nslab_kernel::link::IfIndex;
use nslab_kernel::packet::{Frame, PacketKind};
use nslab_observe::pcapng::{Direction, Interface, Names, Recorder, Rotation, Section, Sighted};
use nslab_observe::trace::{Captured, Event, Trace, What};

use crate::cli::commands::capture::record::cannot_write;
use crate::cli::commands::capture::view::View;
use crate::cli::error::CliError;

/// A file that is to be written.
pub(super) struct Wanted {
    path: PathBuf,
    names: Names,
}

/// A file that is being written.
pub(super) struct Recording {
    path: PathBuf,
    recorder: Recorder,
}

impl Wanted {
    /// Finds its directory, as the user sees it.
    pub(super) fn find(path: &Path) -> Result<Self, CliError> {
        let none = Rotation { size: None, age: None, count: None };
        let names = Names::new(path, none).map_err(|error| cannot_write(path, &error))?;
        Ok(Self { path: path.to_owned(), names })
    }

    /// Creates it; a thread is started for that.
    pub(super) fn create(self) -> Result<Recording, CliError> {
        let host = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let section = Section {
            system: format!("{} {}", text(host.sysname()), text(host.release())),
            program: format!("nslab {}", env!("CARGO_PKG_VERSION")),
            comment: None,
        };
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        let now = now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned();
        let recorder = Recorder::create(self.names, section, now);
        let recorder = recorder.map_err(|error| cannot_write(&self.path, &error))?;
        Ok(Recording { path: self.path, recorder })
    }
}

impl Recording {
    /// Writes the sightings of one packet, and of the rest of its connection. The last one of what was dropped has that verdict.
    pub(super) fn add(
        &mut self,
        trace: &Trace,
        is_dropped: bool,
        name: impl Fn(usize) -> String,
    ) -> Result<(), CliError> {
        let rest = trace.connection.iter().flat_map(|connection| &connection.segments);
        let mut rest: Vec<_> = rest
            .flat_map(|segment| &segment.seen)
            .map(|one| Sight {
                place: one.place,
                link: one.link,
                name: &one.name,
                frame: &one.frame,
                for_others: false,
            })
            .collect();
        rest.sort_by_key(|sight| sight.frame.time);
        let sightings: Vec<_> = sights(&trace.events).chain(rest).collect();
        self.write(&sightings, is_dropped, name)
    }

    /// Writes the sightings of one packet of others in the same way.
    pub(super) fn add_events(
        &mut self,
        events: &[Event],
        is_dropped: bool,
        name: impl Fn(usize) -> String,
    ) -> Result<(), CliError> {
        self.write(&sights(events).collect::<Vec<_>>(), is_dropped, name)
    }

    fn write(
        &mut self,
        sightings: &[Sight<'_>],
        is_dropped: bool,
        name: impl Fn(usize) -> String,
    ) -> Result<(), CliError> {
        let last = sightings.iter().rposition(|sight| !sight.for_others);
        for (number, sight) in sightings.iter().enumerate() {
            let Sight { place, link, name: interface, .. } = *sight;
            let raw = frame(sight.frame, link);
            let view = View::of(&raw, false);
            let sighted = Sighted {
                place: (place, link),
                link_type: view.link_type,
                time: raw.time,
                length: view.length,
                bytes: view.pieces(),
                direction: match raw.kind {
                    PacketKind::Host => Direction::Unicast,
                    PacketKind::Broadcast => Direction::Broadcast,
                    PacketKind::Multicast => Direction::Multicast,
                    PacketKind::OtherHost => Direction::Other,
                    PacketKind::Outgoing => Direction::Out,
                },
                packet_id: view.identity().map(|identity| identity.key_through_nat()),
                is_dropped: Some(is_dropped && Some(number) == last),
            };
            let describe = || Interface {
                link_type: view.link_type,
                snap_length: 0,
                name: format!("{}@{}", interface, name(place)),
                description: format!("interface {} of {}", interface, name(place)),
                mac: None,
                filter: None,
            };
            self.recorder.packet(&sighted, describe).map_err(|error| cannot_write(&self.path, &error))?;
        }
        Ok(())
    }

    /// Writes the rest.
    pub(super) fn finish(self) -> Result<(), CliError> {
        self.recorder.finish().map(drop).map_err(|error| cannot_write(&self.path, &error))
    }
}

/// A packet at an interface.
struct Sight<'a> {
    place: usize,
    link: IfIndex,
    name: &'a str,
    frame: &'a Captured,
    for_others: bool,
}

fn sights(events: &[Event]) -> impl Iterator<Item = Sight<'_>> {
    events.iter().filter_map(|event| match &event.what {
        What::Seen(seen) => Some(Sight {
            place: event.place,
            link: seen.link,
            name: &seen.name,
            frame: &seen.frame,
            for_others: seen.for_others,
        }),
        _ => None,
    })
}

/// A frame of an interface as a packet socket gave it.
pub(super) fn frame(captured: &Captured, interface: u32) -> Frame<'_> {
    let Captured { time, length, ref bytes, network, kind, hardware, protocol, vlan, checksum_pending } =
        *captured;
    Frame {
        time,
        length,
        bytes,
        network,
        interface,
        kind,
        hardware,
        protocol,
        vlan,
        checksum_pending,
        sender: &[],
    }
}
