//! Ends of links, and the words for them: `NAME[:IFNAME] [ADDRESS/LEN…] [MAC]`.

use std::ops::Range;

use ipnet::IpNet;
use nslab_types::MacAddr;
use serde::{Deserialize, Serialize};

use crate::decode::address;
use crate::diagnostic::{Problem, Span, Spanned};
use crate::impairment::Impairments;
use crate::model::PortVlan;

/// One end of a link as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The node or switch it is plugged into.
    pub device: Spanned<String>,
    /// Its interface's name there.
    pub interface: Option<Spanned<String>>,
    /// Its addresses: `None` leaves them open, an empty list says that it has none.
    pub addresses: Option<Vec<Spanned<IpNet>>>,
    /// Its MAC.
    pub mac: Option<Spanned<MacAddr>>,
    /// Its MTU, where it differs from the link's.
    pub mtu: Option<Spanned<u32>>,
    /// It is up.
    pub up: bool,
    /// What happens to what it sends, where that differs from the link's.
    #[serde(default)]
    pub impairments: Impairments,
    /// A port of a VLAN-aware switch: its VLANs; VLAN 1, untagged, if none.
    #[serde(default)]
    pub vlans: Option<Spanned<Vec<PortVlan>>>,
    /// A switch's port: nothing is forwarded between it and other isolated ones; where that is said.
    #[serde(default)]
    pub isolated: Option<Spanned<bool>>,
}

impl End {
    /// An end with nothing but what it is plugged into.
    pub fn new(device: impl Into<Spanned<String>>) -> Self {
        Self {
            device: device.into(),
            interface: None,
            addresses: None,
            mac: None,
            mtu: None,
            up: true,
            impairments: Impairments::default(),
            vlans: None,
            isolated: None,
        }
    }

    /// Reads `NAME[:IFNAME] [ADDRESS/LEN…] [MAC]`; `place` turns a stretch of the text into its place in the file.
    pub(crate) fn parse(text: &str, place: impl Fn(Range<usize>) -> Option<Span>) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut words = words(text);
        let Some((range, first)) = words.next() else {
            problems.push(Problem::new(
                "bad-endpoint",
                "an endpoint is missing: NAME or NAME:INTERFACE is wanted",
            ));
            return (Self::new(String::new()), problems);
        };
        let (device, interface) = match first.split_once(':') {
            Some((device, interface)) => (device, Some(interface)),
            None => (first, None),
        };
        let colon = range.start + device.len();
        let mut end = Self::new(Spanned::new(device.to_owned(), place(range.start..colon)));
        end.interface =
            interface.map(|name| Spanned::new(name.to_owned(), place((colon + 1).min(range.end)..range.end)));
        if device.is_empty() {
            problems.push(
                Problem::new("bad-endpoint", format!("{first:?} names no node or switch")).within(range),
            );
        }
        for (range, word) in words {
            let span = place(range.clone());
            match word.parse::<MacAddr>() {
                Ok(_) if end.mac.is_some() => {
                    problems.push(Problem::new("bad-endpoint", "this end has two MACs").within(range));
                }
                Ok(mac) => end.mac = Some(Spanned::new(mac, span)),
                Err(_) => match address::interface(word) {
                    Ok(net) => end.addresses.get_or_insert_default().push(Spanned::new(net, span)),
                    Err(problem) => problems.push(problem.within(range)),
                },
            }
        }
        (end, problems)
    }
}

/// The words of a text and where they stand.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    text.split_whitespace().map(move |word| {
        // A word is a part of the text, so its address tells where.
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        (start..start + word.len(), word)
    })
}
