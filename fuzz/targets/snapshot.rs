//! Files that say they are snapshots: refused, or sound enough that every question about them has an answer.
#![no_main]

use nslab_predict::reach::{Family, Service, ask};
use nslab_predict::{Network, doctor};
use nslab_snapshot::Snapshot;

/// So many namespaces are asked about each other; more take too long for a fuzzer.
const MOST: usize = 4;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(snapshot) = Snapshot::parse(data) else { return };
    let faults = doctor::examine(&snapshot, &|_| true);
    assert!(faults.iter().all(|fault| !fault.text.is_empty()));
    let network = Network::of(&snapshot);
    let hosts: Vec<usize> = (0..snapshot.namespaces.len().min(MOST)).collect();
    for &from in &hosts {
        for &to in &hosts {
            for service in [Service::Echo, Service::Tcp(80), Service::Udp(53)] {
                for family in [Family::Ipv4, Family::Ipv6] {
                    drop(ask(&network, from, to, service, family));
                }
            }
        }
    }
    drop(nslab_predict::reach::reach(&network, &hosts, &[Service::Echo], Family::Any));
});
