//! Programs that configure every interface which appears: they may give the host's ends of ways out addresses of their own, or take
//! them down.

use std::fs;
use std::path::Path;

use super::{Check, Status};

/// Looks for those that run.
pub(super) fn look(checks: &mut Vec<Check>) {
    let running = running();
    let mut found = false;
    for (name, command, keeps_off, fix) in [
        (
            "NetworkManager",
            "NetworkManager",
            network_manager as fn() -> bool,
            "printf '[keyfile]\\nunmanaged-devices=type:veth\\n' | sudo tee /etc/NetworkManager/conf.d/nslab.conf && sudo \
             systemctl reload NetworkManager",
        ),
        (
            "systemd-networkd",
            "systemd-network",
            networkd,
            "printf '[Match]\\nKind=veth\\n[Link]\\nUnmanaged=yes\\n' | sudo tee /etc/systemd/network/05-nslab.network && \
             sudo networkctl reload",
        ),
        (
            "dhcpcd",
            "dhcpcd",
            dhcpcd,
            "echo 'denyinterfaces veth*' | sudo tee -a /etc/dhcpcd.conf && sudo dhcpcd --rebind",
        ),
        ("connmand", "connmand", || false, "add veth to NetworkInterfaceBlacklist in /etc/connman/main.conf"),
    ] {
        // `comm` has 15 bytes at most.
        if !running.iter().any(|comm| comm.starts_with(command)) {
            continue;
        }
        found = true;
        checks.push(if keeps_off() {
            Check::ok(name, "runs and leaves veths alone")
        } else {
            Check::new(
                name,
                Status::Warning,
                "runs and may configure the host's ends of ways out (`uplink:`)",
            )
            .fix(fix)
        });
    }
    if !found {
        checks.push(Check::ok("network-managers", "none runs that would configure veths"));
    }
}

/// The names of all processes.
fn running() -> Vec<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .filter_map(|entry| Some(fs::read_to_string(entry.path().join("comm")).ok()?.trim().to_owned()))
        .collect()
}

/// The text of all files of these directories whose names end so.
fn texts(directories: &[&str], ending: &str) -> Vec<String> {
    let files =
        directories.iter().flat_map(|directory| fs::read_dir(directory).into_iter().flatten().flatten());
    let files = files.map(|entry| entry.path());
    files
        .filter(|path| path.extension().is_some_and(|own| own == ending))
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect()
}

/// Its own udev rules leave veths alone (`85-nm-unmanaged.rules`), or its configuration does.
fn network_manager() -> bool {
    let rules = ["/usr/lib/udev/rules.d/85-nm-unmanaged.rules", "/lib/udev/rules.d/85-nm-unmanaged.rules"];
    let by_rule = |path: &&str| fs::read_to_string(Path::new(path)).is_ok_and(|text| text.contains("veth"));
    let directories =
        ["/etc/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d", "/run/NetworkManager/conf.d"];
    let mut all = texts(&directories, "conf");
    all.extend(fs::read_to_string("/etc/NetworkManager/NetworkManager.conf"));
    rules.iter().any(by_rule) || all.iter().any(|text| leaves_veths(text))
}

/// `unmanaged-devices=` with veths in it (NetworkManager.conf(5)).
fn leaves_veths(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| {
        line.strip_prefix("unmanaged-devices")
            .is_some_and(|value| value.contains("veth") || value.contains("name:*"))
    })
}

/// No file of it matches veths in general.
fn networkd() -> bool {
    let directories =
        ["/etc/systemd/network", "/run/systemd/network", "/usr/lib/systemd/network", "/lib/systemd/network"];
    !texts(&directories, "network").iter().any(|text| takes_veths(text))
}

/// Whether the `[Match]` of a file takes in a veth of any name, and the file does not say `Unmanaged=` (systemd.network(5)).
fn takes_veths(text: &str) -> bool {
    let mut section = "";
    let (mut is_general, mut is_narrow, mut leaves) = (false, false, false);
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim(), value.trim());
        match (section, key) {
            ("Match", "Name") if value.split_whitespace().any(|name| name == "*") => is_general = true,
            ("Match", "Type") if value.split_whitespace().any(|kind| kind == "ether") => is_general = true,
            ("Match", "Kind") if value.split_whitespace().any(|kind| kind == "veth") => is_general = true,
            ("Match", _) => is_narrow = true,
            ("Link", "Unmanaged") => leaves = matches!(value, "yes" | "true" | "1" | "on"),
            _ => {}
        }
    }
    is_general && !is_narrow && !leaves
}

/// It is told to leave veths alone, or to look at some interfaces only (dhcpcd.conf(5)).
fn dhcpcd() -> bool {
    let text = fs::read_to_string("/etc/dhcpcd.conf").unwrap_or_default();
    text.lines().map(str::trim).any(|line| {
        line.starts_with("allowinterfaces")
            || line.strip_prefix("denyinterfaces").is_some_and(|all| all.contains("veth"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_network_managers() {
        assert!(leaves_veths("[keyfile]\nunmanaged-devices=type:veth\n"));
        assert!(!leaves_veths("[keyfile]\nunmanaged-devices=interface-name:eth0\n"));
        assert!(takes_veths("[Match]\nName=*\n[Network]\nDHCP=yes\n"));
        assert!(takes_veths("[Match]\nType=ether\n"));
        assert!(!takes_veths("[Match]\nName=eth*\n[Network]\nDHCP=yes\n"));
        // As systemd's own for its containers.
        assert!(!takes_veths("[Match]\nKind=veth\nName=ve-*\n"));
        assert!(!takes_veths("[Match]\nKind=veth\n[Link]\nUnmanaged=yes\n"));
        assert!(!takes_veths("# Name=*\n"));
    }
}
