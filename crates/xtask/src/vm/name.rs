//! Which kernel is meant: Debian's names for them.

/// What the user asks for: `6.12`, `6.1-cloud`, `newest`, `newest-cloud`, or a release in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// What its version must begin with, number by number; empty for the newest.
    version: Vec<u32>,
    flavour: Flavour,
}

/// The builds of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// For any PC: all that the kernel can do.
    Generic,
    /// For virtual machines: few drivers of hardware, a third of the size.
    Cloud,
}

impl Wanted {
    /// Reads a kernel's name; none, if it cannot be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let name = text.strip_suffix("-amd64").unwrap_or(text);
        let (version, flavour) = match name.strip_suffix("-cloud") {
            Some(version) => (version, Flavour::Cloud),
            None => (name, Flavour::Generic),
        };
        let version = match version {
            "newest" => Vec::new(),
            version => numbers(version)?,
        };
        Some(Self { version, flavour })
    }

    /// The newest of `releases` that is meant.
    pub(crate) fn choose<'a>(&self, releases: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        releases
            .into_iter()
            .filter_map(|release| Some((release, parse_release(release)?)))
            .filter(|(_, (version, flavour))| *flavour == self.flavour && version.starts_with(&self.version))
            .max_by(|(_, (a, _)), (_, (b, _))| a.cmp(b))
            .map(|(release, _)| release)
    }
}

/// The numbers and the flavour of a release such as `6.12.117+deb12-cloud-amd64` or `6.1.0-56-amd64`; none, if it is of
/// another kind (real time, unsigned, debug symbols) or names no single version.
fn parse_release(release: &str) -> Option<(Vec<u32>, Flavour)> {
    let name = release.strip_suffix("-amd64")?;
    let (name, flavour) = match name.strip_suffix("-cloud") {
        Some(name) => (name, Flavour::Cloud),
        None => (name, Flavour::Generic),
    };
    let version = numbers(name)?;
    (version.len() >= 3).then_some((version, flavour))
}

/// The numbers in `6.1.0-56` or `6.12.117+deb12`.
fn numbers(text: &str) -> Option<Vec<u32>> {
    text.split(['.', '-', '+']).map(|part| part.strip_prefix("deb").unwrap_or(part).parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::Wanted;

    const RELEASES: [&str; 9] = [
        "6.1.0-9-amd64",
        "6.1.0-56-amd64",
        "6.1.0-56-cloud-amd64",
        "6.1.0-56-rt-amd64",
        "6.12-cloud-amd64",
        "6.12.100+deb12-cloud-amd64",
        "6.12.117+deb12-amd64",
        "6.12.117+deb12-cloud-amd64",
        "6.12.117+deb12-amd64-unsigned",
    ];

    fn choose(name: &str) -> Option<&'static str> {
        Wanted::parse(name)?.choose(RELEASES)
    }

    #[test]
    fn the_newest_of_what_is_meant_is_chosen() {
        assert_eq!(choose("6.1"), Some("6.1.0-56-amd64"));
        assert_eq!(choose("6.1-cloud"), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(choose("6"), Some("6.12.117+deb12-amd64"));
        assert_eq!(choose("6.12"), Some("6.12.117+deb12-amd64"));
        assert_eq!(choose("newest-cloud"), Some("6.12.117+deb12-cloud-amd64"));
        assert_eq!(choose("newest"), Some("6.12.117+deb12-amd64"));
        assert_eq!(choose("6.1.0-9-amd64"), Some("6.1.0-9-amd64"));
        assert_eq!(choose("6.12.100+deb12-cloud-amd64"), Some("6.12.100+deb12-cloud-amd64"));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for name in
            ["5.10", "6.2", "cloud", "six", "", "6.1.0-8", "6.12.117+deb12-amd64-unsigned", "6.1.0-56-rt"]
        {
            assert_eq!(choose(name), None, "{name}");
        }
    }
}
