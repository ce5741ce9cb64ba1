//! Reading them.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::{Counter, LinkCounter, StackCounter};
use crate::error::{Context, Result};
use crate::link::IfIndex;
use crate::netlink::{MessageWriter, Protocol, Reader, Request, Socket};

// include/uapi/linux/rtnetlink.h, include/uapi/linux/if_link.h
const RTM_NEWSTATS: u16 = 92;
const RTM_GETSTATS: u16 = 94;
const IFLA_STATS_LINK_64: u16 = 1;
/// The bytes of `struct if_stats_msg`.
const HEADER_LEN: usize = 12;
/// `IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64)`.
const LINKS: u32 = 1;
/// Few files are longer.
const ROOM: usize = 1 << 13;
/// The file with a counter to each line, and those with a line of names above a line of counters.
const LISTED: &str = "snmp6";
const PAIRED: [&str; 2] = ["snmp", "netstat"];

/// `RTM_GETSTATS` (Linux 4.7): what all interfaces count, and nothing else of them.
struct GetStats;

impl fmt::Display for GetStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("read what interfaces count")
    }
}

impl Request for GetStats {
    fn message_type(&self) -> u16 {
        RTM_GETSTATS
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let mut header = [0; HEADER_LEN];
        header[8..12].copy_from_slice(&LINKS.to_ne_bytes());
        message.header(&header);
    }
}

/// Reads the counters of one namespace, again and again, from wherever the thread then is.
#[derive(Debug)]
pub struct Meter {
    socket: Socket,
    listed: Option<File>,
    paired: Vec<File>,
    buffer: Vec<u8>,
}

/// All counters of a namespace at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    stack: [u64; StackCounter::COUNT],
    links: HashMap<IfIndex, [u64; LinkCounter::COUNT]>,
}

impl Meter {
    /// One of the namespace that the thread is in. It takes no privilege.
    pub fn open() -> Result<Self> {
        // An open file stays that of its namespace (`single_open_net`, `fs/proc/proc_net.c`).
        let open = |name: &str| {
            let path = format!("/proc/thread-self/net/{name}");
            File::open(&path).context(|| format!("open {path}"))
        };
        let paired = PAIRED.into_iter().map(open).collect::<Result<_>>()?;
        // Without IPv6 there is none.
        let listed = open(LISTED).ok();
        Ok(Self { socket: Socket::open(Protocol::Route)?, listed, paired, buffer: vec![0; ROOM] })
    }

    /// What is counted by now.
    pub fn read(&mut self) -> Result<Reading> {
        let mut reading = Reading { stack: [0; StackCounter::COUNT], links: HashMap::new() };
        let Self { socket, listed, paired, buffer } = self;
        for file in paired {
            take_paired(text(file, buffer)?, &mut reading.stack);
        }
        if let Some(file) = listed {
            take_listed(text(file, buffer)?, &mut reading.stack);
        }
        let links = socket.dump("counters of links", &GetStats, |kind, payload| {
            Ok((kind == RTM_NEWSTATS).then(|| link(payload)).flatten())
        })?;
        reading.links = links.into_iter().collect();
        Ok(reading)
    }
}

/// The whole of a file, which the kernel writes anew for whoever reads from its beginning (`seq_read_iter`, `fs/seq_file.c`).
fn text<'b>(file: &File, buffer: &'b mut Vec<u8>) -> Result<&'b str> {
    let mut length = 0;
    loop {
        if length == buffer.len() {
            buffer.resize(2 * length, 0);
        }
        match file.read_at(&mut buffer[length..], length as u64).context(|| "read what is counted")? {
            0 => break,
            more => length += more,
        }
    }
    // It is ASCII.
    Ok(std::str::from_utf8(&buffer[..length]).unwrap_or_default())
}

/// `Ip: InReceives OutNoRoutes` above `Ip: 7 0`.
fn take_paired(text: &str, stack: &mut [u64; StackCounter::COUNT]) {
    let mut lines = text.lines();
    let mut name = String::new();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let Some((group, names)) = names.split_once(": ") else { continue };
        let Some((_, values)) = values.split_once(": ") else { continue };
        for (one, value) in names.split(' ').zip(values.split(' ')) {
            name.clear();
            name.push_str(group);
            name.push_str(one);
            take(&name, value, stack);
        }
    }
}

/// `Ip6InNoRoutes` and the counter in each line.
fn take_listed(text: &str, stack: &mut [u64; StackCounter::COUNT]) {
    for line in text.lines() {
        if let Some((name, value)) = line.split_once(char::is_whitespace) {
            take(name, value.trim(), stack);
        }
    }
}

fn take(name: &str, value: &str, stack: &mut [u64; StackCounter::COUNT]) {
    if let (Some(counter), Ok(value)) = (StackCounter::named(name), value.parse()) {
        stack[counter as usize] = value;
    }
}

/// Reads the payload of `RTM_NEWSTATS`. Older kernels know fewer members.
fn link(payload: &[u8]) -> Option<(IfIndex, [u64; LinkCounter::COUNT])> {
    let header = Reader::new(payload);
    let stats = header.attributes(HEADER_LEN).into_iter().find(|one| one.kind == IFLA_STATS_LINK_64)?;
    let (words, _) = stats.payload.as_chunks::<8>();
    let mut counters = [0; LinkCounter::COUNT];
    for counter in LinkCounter::ALL {
        let word = words.get(counter.word()).copied().unwrap_or_default();
        counters[*counter as usize] = u64::from_ne_bytes(word);
    }
    Some((header.u32(4), counters))
}

impl Reading {
    /// What has grown since an earlier reading, and by how much. Interfaces that were not there then are left out.
    pub fn since(&self, before: &Self) -> Vec<(Counter, u64)> {
        let grown = |now: u64, before: u64| now.checked_sub(before).filter(|&by| by > 0);
        let stack = StackCounter::ALL.iter().filter_map(|&counter| {
            let by = grown(self.stack[counter as usize], before.stack[counter as usize])?;
            Some((Counter::Stack(counter), by))
        });
        let mut all: Vec<_> = stack.collect();
        for (&link, now) in &self.links {
            let Some(before) = before.links.get(&link) else { continue };
            all.extend(LinkCounter::ALL.iter().filter_map(|&counter| {
                let by = grown(now[counter as usize], before[counter as usize])?;
                Some((Counter::Link(link, counter), by))
            }));
        }
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_apart() {
        let mut stack = [0; StackCounter::COUNT];
        take_paired(
            "Ip: Forwarding InHdrErrors OutNoRoutes\nIp: 2 3 18446744073709551615\nTcpExt: TW IPReversePathFilter\n\
             TcpExt: 9 4\nIpExt: InNoRoutes\nIpExt: 5\nTcp: MaxConn OutRsts\nTcp: -1 6\nOdd\nOdd: 1\n",
            &mut stack,
        );
        take_listed("Ip6InNoRoutes                   \t7\nUdp6NoPorts\t8\nodd\n", &mut stack);
        let of = |counter: StackCounter| stack[counter as usize];
        assert_eq!(
            [
                of(StackCounter::IpInHdrErrors),
                of(StackCounter::IpOutNoRoutes),
                of(StackCounter::TcpExtIPReversePathFilter),
                of(StackCounter::IpExtInNoRoutes),
                of(StackCounter::TcpOutRsts),
                of(StackCounter::Ip6InNoRoutes),
                of(StackCounter::Udp6NoPorts),
            ],
            [3, u64::MAX, 4, 5, 6, 7, 8]
        );
        assert_eq!(stack.iter().filter(|&&value| value != 0).count(), 7);
    }

    #[test]
    fn what_has_grown_is_told() {
        let mut before =
            Reading { stack: [1; StackCounter::COUNT], links: HashMap::from([(7, [1; LinkCounter::COUNT])]) };
        let mut now = before.clone();
        assert_eq!(now.since(&before), []);
        now.stack[StackCounter::IpFragFails as usize] = 3;
        now.links.insert(8, [9; LinkCounter::COUNT]);
        now.links.entry(7).and_modify(|link| link[LinkCounter::RxDropped as usize] = 2);
        // One that was set back says nothing.
        before.stack[StackCounter::UdpNoPorts as usize] = 2;
        assert_eq!(
            now.since(&before),
            [(Counter::Stack(StackCounter::IpFragFails), 2), (Counter::Link(7, LinkCounter::RxDropped), 1),]
        );
    }

    #[test]
    fn all_that_are_known_are_in_this_kernels_files() {
        let mut names = Vec::new();
        for file in PAIRED {
            let text = std::fs::read_to_string(format!("/proc/net/{file}")).unwrap();
            for line in text.lines().step_by(2) {
                let (group, all) = line.split_once(": ").unwrap();
                names.extend(all.split(' ').map(|name| format!("{group}{name}")));
            }
        }
        // A kernel may be without IPv6.
        if let Ok(text) = std::fs::read_to_string(format!("/proc/net/{LISTED}")) {
            names.extend(text.lines().map(|line| line.split_whitespace().next().unwrap().to_owned()));
        }
        let is_six = |name: &str| name.starts_with("Ip6") || name.starts_with("Udp6");
        let has_six = names.iter().any(|name| is_six(name));
        for counter in StackCounter::ALL {
            let name = counter.name();
            assert!((is_six(name) && !has_six) || names.iter().any(|one| one == name), "{name}");
        }
        let mut meter = Meter::open().unwrap();
        let (first, second) = (meter.read().unwrap(), meter.read().unwrap());
        assert!(first.links.contains_key(&1) && second.links.len() >= first.links.len());
    }
}
