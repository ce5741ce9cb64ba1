//! `--pcapng`.

use std::path::{Path, PathBuf};

use nslab_kernel::packet::{Frame, PacketKind};
use nslab_observe::pcapng::{Direction, Interface, Names, Recorder, Rotation, Section, Sighted};
use nslab_observe::trace::{Captured, Event, What};

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
    /// Writes the sightings of one packet. The last one of what was dropped has that verdict.
    pub(super) fn add(
        &mut self,
        events: &[Event],
        is_dropped: bool,
        name: impl Fn(usize) -> String,
    ) -> Result<(), CliError> {
        let sightings: Vec<_> = events
            .iter()
            .filter_map(|event| match &event.what {
                What::Seen(seen) => Some((event.place, seen)),
                _ => None,
            })
            .collect();
        let last = sightings.iter().rposition(|(_, seen)| !seen.for_others);
        for (number, (place, seen)) in sightings.iter().enumerate() {
            let raw = frame(&seen.frame, seen.link);
            let view = View::of(&raw, false);
            let sighted = Sighted {
                place: (*place, seen.link),
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
                name: format!("{}@{}", seen.name, name(*place)),
                description: format!("interface {} of {}", seen.name, name(*place)),
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
