//! What becomes of packets that were seen.

use std::io;
use std::ops::ControlFlow;

use nslab_kernel::packet::{Frame, HARDWARE_ETHERNET, HARDWARE_LOOPBACK, PacketKind};
use nslab_observe::capture::{Capture, Counts, Sighting};
use nslab_observe::pcapng::{
    Direction, Interface, LinkType, Output as Writer, Recorder, Sighted, Totals, Written,
};

use super::record::{Destination, cannot_write, standard_output};
use super::text::Teller;
use crate::cli::args;
use crate::cli::error::{CliError, Kind};
use crate::cli::output::Output;

/// `EtherType`s of what has no header before it where an interface is not Ethernet's.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// Where packets go.
pub(super) struct Packets<'a> {
    args: &'a args::Capture,
    recorder: Option<Recorder>,
    /// Text on its way to standard output.
    shown: Option<(Writer, Teller, String)>,
    /// By place: what namespaces are called.
    names: Vec<String>,
    pub(super) count: u64,
    /// Why nothing more can be written.
    failed: Option<io::Error>,
}

impl<'a> Packets<'a> {
    pub(super) fn begin(
        args: &'a args::Capture,
        destination: Destination,
        _output: Output,
    ) -> Result<Self, CliError> {
        if args.print && destination.is_pipe() {
            return Err(CliError::bad_input("packets cannot be shown where they are written to as pcapng")
                .hint("-w FILE --print, or -w - alone"));
        }
        let recorder = destination.begin(args)?;
        let mut shown = None;
        if recorder.is_none() || args.print {
            let writer = standard_output().and_then(|out| Writer::new(out, |_, written| written));
            let writer = writer.map_err(|error| CliError::new(Kind::Machine, error.to_string()))?;
            shown = Some((writer, Teller::new(args), String::new()));
        }
        Ok(Self { args, recorder, shown, names: Vec::new(), count: 0, failed: None })
    }

    /// Learns of namespaces.
    pub(super) fn know(&mut self, capture: &Capture) {
        for place in self.names.len()..capture.len() {
            self.names.push(capture.name(place).to_owned());
        }
    }

    /// Takes a packet; breaks if it is the last one.
    pub(super) fn take(&mut self, sighting: &Sighting<'_>) -> ControlFlow<()> {
        let name = self.names.get(sighting.place).map_or("", String::as_str);
        if let Some(recorder) = &mut self.recorder {
            match record(recorder, name, sighting, self.args) {
                Ok(true) => {}
                Ok(false) => return ControlFlow::Break(()),
                Err(error) => {
                    self.failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
        }
        if let Some((_, teller, text)) = &mut self.shown {
            teller.tell(name, sighting, text);
        }
        self.count += 1;
        if self.args.count == Some(self.count) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// After each round: lets out what was gathered. False if nothing more can be written, or is to be.
    pub(super) fn pause(&mut self, counts: &[Counts]) -> bool {
        if let Some((writer, _, text)) = &mut self.shown {
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
            for (place, counts) in counts.iter().enumerate() {
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
            return !recorder.has_failed();
        }
        true
    }

    /// Writes the rest. A reader that went away is no error.
    pub(super) fn finish(mut self, counts: &[Counts]) -> Result<Option<Written>, CliError> {
        self.pause(counts);
        let ignore_reader = |result: io::Result<Written>| match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
            other => other.map(Some),
        };
        if let Some((writer, _, _)) = self.shown {
            ignore_reader(writer.finish()).map_err(|error| cannot_write("-".as_ref(), &error))?;
        }
        let Some(recorder) = self.recorder else { return Ok(None) };
        let path = self.args.write.clone().unwrap_or_default();
        let valid =
            |error: io::Error| cannot_write(&path, &error).detail("what was written before can be read");
        let written = ignore_reader(recorder.finish()).map_err(valid)?;
        match self.failed {
            Some(error) => Err(valid(error)),
            None => Ok(written),
        }
    }
}

/// Writes a packet to the file.
fn record(
    recorder: &mut Recorder,
    name: &str,
    sighting: &Sighting<'_>,
    args: &args::Capture,
) -> io::Result<bool> {
    let Sighting { place, interface, frame } = sighting;
    let link_type = link_type(frame);
    let (head, tag);
    let mut length = frame.length;
    let bytes: [&[u8]; 3] = match link_type {
        LinkType::Ethernet => match frame.vlan.zip(frame.bytes.split_at_checked(12)) {
            // The kernel takes the tag out of the frame.
            Some((vlan, (addresses, rest))) => {
                tag = [vlan.protocol.to_be_bytes(), vlan.control.to_be_bytes()];
                length += 4;
                [addresses, tag.as_flattened(), rest]
            }
            None => [frame.bytes, &[], &[]],
        },
        LinkType::Ip => [frame.bytes.get(frame.network..).unwrap_or_default(), &[], &[]],
        LinkType::Cooked => {
            head = cooked(frame);
            [&head, frame.bytes.get(frame.network..).unwrap_or_default(), &[]]
        }
    };
    if link_type != LinkType::Ethernet {
        length = length.saturating_sub(u32::try_from(frame.network).unwrap_or(0));
    }
    if link_type == LinkType::Cooked {
        length += 20;
    }
    let sighted = Sighted {
        place: (*place, frame.interface),
        link_type,
        time: frame.time,
        length,
        bytes,
        direction: match frame.kind {
            PacketKind::Host => Direction::Unicast,
            PacketKind::Broadcast => Direction::Broadcast,
            PacketKind::Multicast => Direction::Multicast,
            PacketKind::OtherHost => Direction::Other,
            PacketKind::Outgoing => Direction::Out,
        },
        packet_id: None,
    };
    let full = format!("{}@{name}", interface.name);
    let description = format!(
        "{}{}interface {} of {name}",
        interface.kind,
        if interface.kind.is_empty() { "" } else { " " },
        interface.name
    );
    recorder.packet(&sighted, || Interface {
        link_type,
        snap_length: args.snaplen.unwrap_or(0),
        name: &full,
        description: &description,
        mac: interface.mac,
        filter: args.filter.as_deref(),
    })
}

/// With what a frame begins in a file.
pub(super) fn link_type(frame: &Frame<'_>) -> LinkType {
    match (frame.hardware, frame.protocol) {
        (HARDWARE_ETHERNET | HARDWARE_LOOPBACK, _) => LinkType::Ethernet,
        (_, IPV4 | IPV6) => LinkType::Ip,
        _ => LinkType::Cooked,
    }
}

/// `LINKTYPE_LINUX_SLL2`: protocol, reserved, interface, hardware, kind, length of the address, address.
fn cooked(frame: &Frame<'_>) -> [u8; 20] {
    let mut head = [0; 20];
    head[..2].copy_from_slice(&frame.protocol.to_be_bytes());
    head[4..8].copy_from_slice(&frame.interface.to_be_bytes());
    head[8..10].copy_from_slice(&frame.hardware.to_be_bytes());
    head[10] = match frame.kind {
        PacketKind::Host => 0,
        PacketKind::Broadcast => 1,
        PacketKind::Multicast => 2,
        PacketKind::OtherHost => 3,
        PacketKind::Outgoing => 4,
    };
    head[11] = u8::try_from(frame.sender.len()).unwrap_or(0);
    head[12..12 + frame.sender.len()].copy_from_slice(frame.sender);
    head
}
