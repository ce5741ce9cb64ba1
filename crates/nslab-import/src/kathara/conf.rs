//! `lab.conf`: lines of `DEVICE[KEY]=VALUE`.

use std::collections::BTreeMap;

use nslab_topology::Diagnostic;
use nslab_types::MacAddr;

use crate::{Malformed, Source};

/// What `lab.conf` says.
#[derive(Debug, Default)]
pub(super) struct Conf {
    pub(super) name: Option<String>,
    /// Description, author and the like.
    pub(super) about: Vec<(String, String)>,
    /// In the order of their first lines.
    pub(super) devices: Vec<Device>,
    /// Lines of a kind that is not known.
    pub(super) unknown: Vec<(usize, String)>,
}

/// A device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) line: usize,
    /// By number.
    pub(super) interfaces: BTreeMap<u16, Interface>,
    pub(super) settings: Vec<Setting>,
}

/// What an interface is plugged into.
#[derive(Debug)]
pub(super) struct Interface {
    pub(super) domain: String,
    pub(super) mac: Option<MacAddr>,
    pub(super) line: usize,
}

/// A setting of a device.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) line: usize,
}

/// Why a device's setting is not carried over.
pub(super) fn why_not(key: &str) -> &'static str {
    match key {
        "mem" | "cpus" | "num_terms" | "shell" | "ulimit" | "privileged" | "entrypoint" | "args" | "user" => {
            "it is about a container, and a node is none"
        }
        "volume" => "a node has this machine's files, not a container's",
        _ => "nslab has no such setting",
    }
}

/// Reads it.
pub(super) fn read(source: &Source<'_>) -> Result<Conf, Malformed> {
    let mut conf = Conf::default();
    let mut errors = Vec::new();
    let mut start = 0;
    for (index, line) in source.text.split('\n').enumerate() {
        let number = index + 1;
        if let Err(problem) = read_line(line, number, &mut conf) {
            let from = line.len() - line[problem.from..].trim_start().len();
            let span = source.span(start + from, start + line.trim_end().len().max(from));
            let mut error = Diagnostic::error(problem.code, problem.message).at(span, "");
            error.help.extend(problem.help.map(str::to_owned));
            errors.push(error);
        }
        start += line.len() + 1;
    }
    if errors.is_empty() && conf.devices.is_empty() {
        errors.push(
            Diagnostic::error("no-devices", "lab.conf has no devices")
                .at(source.span(0, 0), "")
                .help("a device on collision domain A is written `pc1[0]=\"A\"`"),
        );
    }
    if errors.is_empty() { Ok(conf) } else { Err(source.wrong(errors)) }
}

struct Problem {
    code: &'static str,
    message: String,
    /// The byte of the line from which on it is wrong.
    from: usize,
    help: Option<&'static str>,
}

fn problem(code: &'static str, message: impl Into<String>, from: usize) -> Problem {
    Problem { code, message: message.into(), from, help: None }
}

fn read_line(line: &str, number: usize, conf: &mut Conf) -> Result<(), Problem> {
    let text = line.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(());
    }
    let Some((left, right)) = text.split_once('=') else {
        return Err(Problem {
            help: Some("lines are DEVICE[KEY]=VALUE, or LAB_NAME=VALUE and the like"),
            ..problem("bad-line", "there is no `=` in this line", 0)
        });
    };
    let value_at = line.find('=').unwrap_or(0) + 1;
    let value = unquote(right).ok_or_else(|| problem("bad-value", "a quote is not closed", value_at))?;
    let left = left.trim();
    let Some((name, rest)) = left.split_once('[') else {
        match left {
            "LAB_NAME" => conf.name = Some(value),
            "LAB_DESCRIPTION" | "LAB_VERSION" | "LAB_AUTHOR" | "LAB_EMAIL" | "LAB_WEB" => {
                let what = left.trim_start_matches("LAB_").to_lowercase();
                conf.about.push((what, value));
            }
            _ => conf.unknown.push((number, text.to_owned())),
        }
        return Ok(());
    };
    let name = name.trim();
    let key = rest.trim().strip_suffix(']').map(str::trim).filter(|key| !key.is_empty());
    let Some(key) = key else {
        return Err(problem("bad-line", format!("{left:?} is not of the form DEVICE[KEY]"), 0));
    };
    let good =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if !good || name == "shared" {
        return Err(problem("bad-name", format!("{name:?} cannot be a device's name"), 0));
    }
    let place = conf.devices.iter().position(|device| device.name == name).unwrap_or_else(|| {
        conf.devices.push(Device {
            name: name.to_owned(),
            line: number,
            interfaces: BTreeMap::new(),
            settings: Vec::new(),
        });
        conf.devices.len() - 1
    });
    let device = &mut conf.devices[place];
    if !key.bytes().all(|byte| byte.is_ascii_digit()) {
        let key = key.trim_matches(['"', '\'']).to_owned();
        device.settings.push(Setting { key, value, line: number });
        return Ok(());
    }
    let interface: u16 = key
        .parse()
        .ok()
        .filter(|number| *number < 1000)
        .ok_or_else(|| problem("bad-interface", format!("there is no interface {key}"), 0))?;
    let (domain, mac) = match value.split_once('/') {
        Some((domain, mac)) => {
            let read = mac.trim().parse::<MacAddr>().ok().filter(|mac| mac.is_unicast());
            let mac =
                read.ok_or_else(|| problem("bad-mac", format!("{mac:?} is no interface's MAC"), value_at))?;
            (domain.trim(), Some(mac))
        }
        None => (value.trim(), None),
    };
    if domain.is_empty() || !domain.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    {
        return Err(problem("bad-domain", format!("{domain:?} cannot be a collision domain"), value_at));
    }
    if let Some(earlier) = device.interfaces.get(&interface) {
        let message =
            format!("interface {interface} of {name} is plugged in twice, first in line {}", earlier.line);
        return Err(problem("duplicate-interface", message, 0));
    }
    device.interfaces.insert(interface, Interface { domain: domain.to_owned(), mac, line: number });
    Ok(())
}

/// A value in quotes or without; what follows a closing quote is a comment.
fn unquote(text: &str) -> Option<String> {
    let text = text.trim();
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = &text[1..];
            inner.find(quote).map(|end| inner[..end].to_owned())
        }
        _ => Some(text.split(" #").next().unwrap_or_default().trim().to_owned()),
    }
}
