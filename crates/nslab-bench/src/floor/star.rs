//! Hosts on one bridge, which lives in a namespace of its own (index 0).

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use super::{Batch, End, Floor, Held, MOST_BYTES, Phases, Socket, Tricks};
use crate::error::{Doing, Result};
use crate::shape::host_address;
use crate::sys;

const LOOPBACK: u32 = 1;
const ETHERNET: u32 = 2;
const BRIDGE: u32 = 2;
const FIRST_PORT: u32 = 3;
const PORT_GROUP: u32 = 7;

pub(super) fn build(floor: &mut Floor, hosts: usize) -> Result<()> {
    let tricks = floor.tricks;
    let mut phases = Phases::default();
    floor.namespace(0, &mut phases)?;
    floor.phases.add(phases);
    if tricks.quiet_ports {
        super::sysctl("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")?;
    }
    let switch = Held::current()?;
    let mut batch = Batch::default();
    batch.up(LOOPBACK);
    batch.bridge(BRIDGE, "br0", !tricks.switch_last);
    switch.socket.send(batch, "the bridge")?;

    if tricks.combined {
        combined(floor, hosts, &switch)?;
    } else {
        in_steps(floor, hosts, &switch)?;
    }

    let mut batch = Batch::default();
    if tricks.ports_late {
        for port in 0..hosts {
            batch.up(port_index(port));
        }
    }
    if tricks.switch_last {
        batch.up(BRIDGE);
    }
    switch.socket.send(batch, "the bridge's end")
}

fn port_index(host: usize) -> u32 {
    FIRST_PORT + u32::try_from(host).unwrap_or(0)
}

/// All namespaces, then all cables from the switch's side, then each host's own settings.
fn in_steps(floor: &mut Floor, hosts: usize, switch: &Held) -> Result<()> {
    let held = super::make_all(floor, 1..hosts + 1, || Ok(()))?;
    let start = Instant::now();
    let mut batch = Batch::default();
    for (host, held) in held.iter().enumerate() {
        pair(&mut batch, floor.tricks, host, None, Some(held.fd()));
        if batch.size() > MOST_BYTES {
            switch.socket.send(std::mem::take(&mut batch), "veth pairs")?;
        }
    }
    switch.socket.send(batch, "veth pairs")?;
    let wired = Instant::now();
    for (host, held) in held.iter().enumerate() {
        let mut batch = Batch::default();
        settings(&mut batch, floor.tricks, host);
        held.socket.send(batch, "a host's settings")?;
    }
    floor.phases.pairs += wired - start;
    floor.phases.settings += wired.elapsed();
    Ok(())
}

/// Host by host, all its requests in one send from its own namespace.
fn combined(floor: &mut Floor, hosts: usize, switch: &Held) -> Result<()> {
    let threads = floor.tricks.threads;
    let worker = |first: usize| -> Result<Phases> {
        let mut phases = Phases::default();
        for host in (first..hosts).step_by(threads) {
            floor.namespace(host + 1, &mut phases)?;
            if floor.tricks.no_ipv6 {
                super::sysctl("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")?;
            }
            let start = Instant::now();
            let mut batch = Batch::default();
            pair(&mut batch, floor.tricks, host, Some(switch.fd()), None);
            settings(&mut batch, floor.tricks, host);
            Socket::open()?.send(batch, "a host")?;
            phases.pairs += start.elapsed();
        }
        Ok(phases)
    };
    for phases in super::in_parallel((0..threads).collect(), worker)? {
        floor.phases.add(phases);
    }
    Ok(())
}

fn pair(
    batch: &mut Batch,
    tricks: Tricks,
    host: usize,
    switch: Option<BorrowedFd<'_>>,
    own: Option<BorrowedFd<'_>>,
) {
    let port = End {
        index: port_index(host),
        name: &format!("p{}", host + 1),
        namespace: switch,
        master: Some(BRIDGE),
        up: !tricks.ports_late,
        group: if tricks.group_delete { PORT_GROUP } else { 0 },
        one_queue: tricks.one_queue,
    };
    let end =
        End { index: ETHERNET, name: "eth0", namespace: own, one_queue: tricks.one_queue, ..End::default() };
    batch.veth(&port, &end);
}

fn settings(batch: &mut Batch, tricks: Tricks, host: usize) {
    if tricks.quiet_hosts {
        batch.no_link_local(ETHERNET);
    }
    batch.address(ETHERNET, host_address(host), 16);
    batch.up(LOOPBACK);
    batch.up(ETHERNET);
}

pub(super) fn delete_ports(floor: &Floor) -> Result<()> {
    let Some(pin) = floor.pins.first() else { return Ok(()) };
    let home = super::own_namespace()?;
    let switch = File::open(pin).doing(|| format!("open {}", pin.display()))?;
    sys::enter_network_namespace(switch.as_fd()).doing(|| "enter the switch's namespace".to_owned())?;
    let socket = Socket::open();
    sys::enter_network_namespace(home.as_fd()).doing(|| "return from the switch's namespace".to_owned())?;
    let mut batch = Batch::default();
    batch.delete_group(PORT_GROUP);
    socket?.send(batch, "the ports' removal")
}
