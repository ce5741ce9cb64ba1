//! `sysctl:`: dotted, slashed or nested keys.

use super::Decoder;
use crate::diagnostic::{Diagnostic, Problem, Span, Spanned};
use crate::yaml::{Kind, Value};

impl Decoder {
    pub(super) fn sysctls(&mut self, value: &Value) -> Vec<(Spanned<String>, String)> {
        let mut found = Vec::new();
        self.sysctls_below("", value, &mut found);
        let mut places: std::collections::HashMap<String, Span> = std::collections::HashMap::new();
        found.retain(|(key, _)| {
            let (Ok(path), Some(span)) = (path(key), key.span) else { return true };
            if let Some(&earlier) = places.get(&path) {
                self.push(
                    Diagnostic::error("duplicate-key", format!("the sysctl {} is set twice", key.value))
                        .at(span, "again here")
                        .because(earlier, "first here"),
                );
                return false;
            }
            places.insert(path, span);
            true
        });
        found
    }

    fn sysctls_below(&mut self, above: &str, value: &Value, found: &mut Vec<(Spanned<String>, String)>) {
        for (key, value) in self.entries(value, "a mapping of sysctls to values") {
            let name = join(above, &key.text);
            if let Kind::Map(_) = value.kind {
                self.sysctls_below(&name, value, found);
                continue;
            }
            if let Err(problem) = path(&name) {
                let mut error = Diagnostic::error(problem.code, problem.message).at(key.span, "");
                error.help = problem.help;
                self.push(error);
                continue;
            }
            let Some(text) = self.text(value, "a number, `true`, `false` or a text") else { continue };
            let plain = matches!(&value.kind, Kind::Scalar(scalar) if scalar.plain);
            let setting = match text.value.as_str() {
                "true" if plain => "1".to_owned(),
                "false" if plain => "0".to_owned(),
                other => other.to_owned(),
            };
            if setting.trim().is_empty() || setting.contains('\n') || setting.len() > 4096 {
                self.push(
                    Diagnostic::error(
                        "bad-sysctl",
                        format!("the sysctl {name} cannot be set to {setting:?}"),
                    )
                    .at(text.span, ""),
                );
                continue;
            }
            found.push((Spanned::new(name, key.span), setting));
        }
    }
}

/// Joins a nested key to what it is nested in. Slashes anywhere make all of it a slashed key.
fn join(above: &str, key: &str) -> String {
    if above.is_empty() {
        key.to_owned()
    } else if above.contains('/') || key.contains('/') {
        let above = if above.contains('/') { above.to_owned() } else { above.replace('.', "/") };
        format!("{above}/{key}")
    } else {
        format!("{above}.{key}")
    }
}

/// The path below `/proc/sys` that a key means. As in sysctl(8) the first separator decides: after a slash dots are
/// dots, after a dot a slash stands for a dot.
pub(crate) fn path(key: &str) -> Result<String, Problem> {
    let path: String = match key.find(['.', '/']) {
        Some(at) if key[at..].starts_with('.') => key
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
        _ => key.to_owned(),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-./@+:,=".contains(c);
    if key.is_empty() || key.len() > 255 || !key.chars().all(allowed) {
        return Err(Problem::new("bad-sysctl", format!("{key:?} is no sysctl"))
            .help("write it as net.ipv4.ip_forward"));
    }
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(Problem::new("bad-sysctl", format!("{key:?} is no sysctl: a part of it is missing"))
            .help("write it as net.ipv4.ip_forward"));
    }
    if !path.starts_with("net/") {
        let problem = Problem::new("bad-sysctl", format!("{key} does not belong to a network namespace"))
            .help("only net.* does: any other would change the whole machine");
        return Err(match path.split('/').next() {
            Some("ipv4" | "ipv6" | "core" | "netfilter" | "unix") => {
                problem.help(format!("did you mean `net.{key}`?"))
            }
            _ => problem,
        });
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_paths() {
        for (key, wanted) in [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
            ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ] {
            assert_eq!(path(key).unwrap(), wanted);
        }
        for bad in
            ["", "kernel.hostname", "net", "net..x", "net/../kernel/x", "/net/x", "net.ipv4.x\n", "net.ü"]
        {
            assert!(path(bad).is_err(), "{bad:?}");
        }
        assert!(path("ipv4.ip_forward").unwrap_err().help[1].contains("net.ipv4"));
    }
}
