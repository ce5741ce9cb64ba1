//! What the running kernel was built with, as far as a file tells.

use std::collections::BTreeMap;
use std::io::Read as _;

/// No kernel's configuration is nearly as long.
const LONGEST: u64 = 8 << 20;
/// The kernel's own copy.
const COMPRESSED: &str = "/proc/config.gz";

/// The options of a kernel.
#[derive(Debug, Default)]
pub(super) struct Config {
    /// Where it was read; none if there is no such file.
    pub(super) source: Option<String>,
    options: BTreeMap<String, Built>,
}

/// How an option was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Built {
    /// `=y`.
    In,
    /// `=m`.
    Module,
}

impl Config {
    /// Reads `/proc/config.gz` (`CONFIG_IKCONFIG_PROC`), else the file that distributions put beside the kernel.
    pub(super) fn read() -> Self {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let files = [
            COMPRESSED.to_owned(),
            format!("/boot/config-{release}"),
            format!("/lib/modules/{release}/config"),
            format!("/usr/lib/modules/{release}/config"),
        ];
        let read = files.into_iter().find_map(|file| Some((text(&file)?, file)));
        read.map_or_else(Self::default, |(text, file)| Self { source: Some(file), options: parse(&text) })
    }

    /// How an option was chosen; none if it was not, or that is not known.
    pub(super) fn get(&self, option: &str) -> Option<Built> {
        self.options.get(option).copied()
    }
}

fn text(path: &str) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    let mut text = String::new();
    if path == COMPRESSED {
        flate2::read::GzDecoder::new(file).take(LONGEST).read_to_string(&mut text).ok()?;
    } else {
        file.take(LONGEST).read_to_string(&mut text).ok()?;
    }
    Some(text)
}

/// Lines `CONFIG_X=y` and `CONFIG_X=m`; all else is comment, or no switch.
fn parse(text: &str) -> BTreeMap<String, Built> {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines
        .filter_map(|(option, value)| match value {
            "y" => Some((option.to_owned(), Built::In)),
            "m" => Some((option.to_owned(), Built::Module)),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let text = "# x\nCONFIG_VETH=y\nCONFIG_VXLAN=m\n# CONFIG_BONDING is not set\nCONFIG_HZ=250\n";
        let config = Config { source: None, options: parse(text) };
        assert_eq!(config.get("CONFIG_VETH"), Some(Built::In));
        assert_eq!(config.get("CONFIG_VXLAN"), Some(Built::Module));
        assert_eq!((config.get("CONFIG_BONDING"), config.get("CONFIG_HZ")), (None, None));
    }
}
