//! Shapes of networks by name and size, as Mininet's `--topo` has them: `tree,depth=3,fanout=4`.
//!
//! `minimal`, `single`, `reversed`, `linear`, `tree` and `torus` are Mininet's own, with its names (`h1`, `s1`, `s1x2`, …)
//! and its defaults (`mininet/topo.py`, `mininet/topolib.py`); `star`, `ring`, `mesh` and `fat-tree` are added.

mod build;

use nslab_topology::{Lab, closest};

/// A shape and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Hosts on one switch; `single`, `star` and `minimal`.
    Single {
        /// Hosts.
        k: usize,
        /// The switch's ports are numbered the other way round.
        reversed: bool,
    },
    /// Switches in a line, each with so many hosts.
    Linear {
        /// Switches.
        k: usize,
        /// Hosts of each switch.
        n: usize,
    },
    /// A tree of switches whose leaves are hosts.
    Tree {
        /// Levels of switches.
        depth: u32,
        /// Branches of each switch.
        fanout: usize,
    },
    /// Switches in a grid whose edges are joined, each with so many hosts.
    Torus {
        /// Columns.
        x: usize,
        /// Rows.
        y: usize,
        /// Hosts of each switch.
        n: usize,
    },
    /// Switches in a circle, each with so many hosts.
    Ring {
        /// Switches.
        k: usize,
        /// Hosts of each switch.
        n: usize,
    },
    /// Hosts, each with a cable to each other.
    Mesh {
        /// Hosts.
        k: usize,
    },
    /// Three layers of routers above hosts, with every shortest way used: k pods, k³/4 hosts, 5k²/4 routers.
    FatTree {
        /// Ports of each router, even.
        k: usize,
    },
}

/// Why there is no such shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ShapeError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

fn wrong(message: impl Into<String>, help: impl Into<Option<String>>) -> ShapeError {
    ShapeError { message: message.into(), help: help.into() }
}

/// A shape's name, its parameters and their defaults; `None` must be given.
type Form = (&'static str, &'static [(&'static str, Option<usize>)]);

const FORMS: [Form; 11] = [
    ("minimal", &[]),
    ("single", &[("k", Some(2))]),
    ("star", &[("k", Some(2))]),
    ("reversed", &[("k", Some(2))]),
    ("linear", &[("k", Some(2)), ("n", Some(1))]),
    ("tree", &[("depth", Some(1)), ("fanout", Some(2))]),
    ("torus", &[("x", None), ("y", None), ("n", Some(1))]),
    ("ring", &[("k", None), ("n", Some(1))]),
    ("mesh", &[("k", None)]),
    ("fat-tree", &[("k", Some(4))]),
    ("fattree", &[("k", Some(4))]),
];
/// The most nodes and switches, each, that a lab has.
const MOST: usize = 60_000;

impl Shape {
    /// Reads `NAME[,PARAMETER…]`, each parameter `VALUE` or `NAME=VALUE`.
    pub fn parse(text: &str) -> Result<Self, ShapeError> {
        let mut parts = text.split(',').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let Some((name, parameters)) = FORMS.iter().find(|(known, _)| *known == name) else {
            let known = FORMS.map(|(known, _)| known);
            let help = closest(name, known).map_or_else(
                || format!("there are {}", known[..10].join(", ")),
                |name| format!("did you mean `{name}`?"),
            );
            return Err(wrong(format!("there is no shape {name:?}"), help));
        };
        let form = form(name, parameters);
        let mut values: Vec<Option<usize>> = parameters.iter().map(|_| None).collect();
        for (place, part) in parts.enumerate() {
            let (at, value) = match part.split_once('=') {
                Some((key, value)) => {
                    let at = parameters.iter().position(|(known, _)| *known == key.trim());
                    (
                        at.ok_or_else(|| wrong(format!("{name} has no {:?}", key.trim()), form.clone()))?,
                        value.trim(),
                    )
                }
                None => (place, part),
            };
            let slot = values
                .get_mut(at)
                .ok_or_else(|| wrong(format!("{part:?} is one too many for {name}"), form.clone()))?;
            let number = value.parse().map_err(|_| wrong(format!("{value:?} is no number"), form.clone()))?;
            if slot.replace(number).is_some() {
                return Err(wrong(format!("{} is given twice", parameters[at].0), form));
            }
        }
        let mut all = Vec::new();
        for (value, (key, default)) in values.into_iter().zip(*parameters) {
            let value = value.or(*default);
            all.push(value.ok_or_else(|| wrong(format!("{name} needs {key}"), form.clone()))?);
        }
        Self::of(name, &all)
    }

    fn of(name: &str, values: &[usize]) -> Result<Self, ShapeError> {
        let shape = match (name, values) {
            ("minimal", _) => Self::Single { k: 2, reversed: false },
            ("single" | "star", &[k]) => Self::Single { k, reversed: false },
            ("reversed", &[k]) => Self::Single { k, reversed: true },
            ("linear", &[k, n]) => Self::Linear { k, n },
            ("tree", &[depth, fanout]) => {
                Self::Tree { depth: u32::try_from(depth).unwrap_or(u32::MAX), fanout }
            }
            ("torus", &[x, y, n]) => Self::Torus { x, y, n },
            ("ring", &[k, n]) => Self::Ring { k, n },
            ("mesh", &[k]) => Self::Mesh { k },
            (_, &[k]) => Self::FatTree { k },
            _ => return Err(wrong(format!("there is no shape {name:?}"), None)),
        };
        shape.check(values)?;
        Ok(shape)
    }

    fn check(self, values: &[usize]) -> Result<(), ShapeError> {
        if values.contains(&0) {
            return Err(wrong("0 of anything is no network", None));
        }
        match self {
            Self::Torus { x, y, .. } if x < 3 || y < 3 => {
                return Err(wrong("a torus has at least 3 columns and 3 rows", None));
            }
            Self::Ring { k, .. } if k < 3 => return Err(wrong("a ring has at least 3 switches", None)),
            Self::Tree { depth, .. } if depth > 1000 => {
                return Err(wrong("a tree has at most 1000 levels", None));
            }
            Self::Mesh { k } if k < 2 => return Err(wrong("a mesh has at least 2 hosts", None)),
            Self::FatTree { k } if k % 2 == 1 => {
                let help = format!("k is even: {} or {}", k - 1, k + 1);
                return Err(wrong("a fat-tree's routers have an even number of ports", help));
            }
            _ => {}
        }
        let (hosts, others, links) = self.sizes();
        if hosts.max(others) > MOST || links > 200_000 {
            let message = format!(
                "that is {} hosts, {} switches or routers and {} links: a lab has at most {MOST} of each, and 200000 links",
                show(hosts),
                show(others),
                show(links)
            );
            return Err(wrong(message, None));
        }
        Ok(())
    }

    /// Hosts, switches or routers, links; huge numbers where they would be larger still.
    fn sizes(self) -> (usize, usize, usize) {
        match self {
            Self::Single { k, .. } => (k, 1, k),
            Self::Linear { k, n } => (k.saturating_mul(n), k, k.saturating_mul(n).saturating_add(k - 1)),
            Self::Tree { depth, fanout } => {
                let hosts = fanout.saturating_pow(depth);
                let mut switches: usize = 0;
                for level in 0..depth {
                    switches = switches.saturating_add(fanout.saturating_pow(level));
                    if switches > MOST {
                        break;
                    }
                }
                (hosts, switches, hosts.saturating_add(switches).saturating_sub(1))
            }
            Self::Torus { x, y, n } => {
                let switches = x.saturating_mul(y);
                (switches.saturating_mul(n), switches, switches.saturating_mul(n.saturating_add(2)))
            }
            Self::Ring { k, n } => (k.saturating_mul(n), k, k.saturating_mul(n.saturating_add(1))),
            Self::Mesh { k } => (k, 0, k.saturating_mul(k - 1) / 2),
            Self::FatTree { k } => {
                let cube = k.saturating_mul(k).saturating_mul(k);
                (cube / 4, k.saturating_mul(k).saturating_mul(5) / 4, cube.saturating_mul(3) / 4)
            }
        }
    }

    /// What the lab is called unless told otherwise.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single { reversed: false, .. } => "single",
            Self::Single { reversed: true, .. } => "reversed",
            Self::Linear { .. } => "linear",
            Self::Tree { .. } => "tree",
            Self::Torus { .. } => "torus",
            Self::Ring { .. } => "ring",
            Self::Mesh { .. } => "mesh",
            Self::FatTree { .. } => "fat-tree",
        }
    }

    /// Its switches form loops, which the spanning tree protocol has to open.
    pub fn has_loops(self) -> bool {
        matches!(self, Self::Torus { .. } | Self::Ring { .. })
    }

    /// The lab.
    pub fn lab(self, name: &str) -> Lab {
        build::lab(self, name)
    }
}

fn form(name: &str, parameters: &[(&str, Option<usize>)]) -> String {
    let words: Vec<String> = parameters
        .iter()
        .map(|(key, default)| default.map_or_else(|| format!("{key}=N"), |value| format!("[{key}={value}]")))
        .collect();
    if words.is_empty() {
        format!("{name} takes nothing")
    } else {
        format!("write {name},{}", words.join(","))
    }
}

fn show(number: usize) -> String {
    if number > 1_000_000_000 { "more than 10⁹".to_owned() } else { number.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_mininet_reads() {
        for (text, shape) in [
            ("minimal", Shape::Single { k: 2, reversed: false }),
            ("single,3", Shape::Single { k: 3, reversed: false }),
            ("star,k=3", Shape::Single { k: 3, reversed: false }),
            ("linear,4", Shape::Linear { k: 4, n: 1 }),
            ("linear,4,2", Shape::Linear { k: 4, n: 2 }),
            ("tree,depth=3,fanout=4", Shape::Tree { depth: 3, fanout: 4 }),
            ("tree,2", Shape::Tree { depth: 2, fanout: 2 }),
            ("tree,fanout=3", Shape::Tree { depth: 1, fanout: 3 }),
            ("torus,3,4", Shape::Torus { x: 3, y: 4, n: 1 }),
            ("ring,5", Shape::Ring { k: 5, n: 1 }),
            ("mesh,4", Shape::Mesh { k: 4 }),
            ("fat-tree,k=8", Shape::FatTree { k: 8 }),
            ("fat-tree", Shape::FatTree { k: 4 }),
        ] {
            assert_eq!(Shape::parse(text), Ok(shape), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, message) in [
            ("", "no shape \"\""),
            ("tre,2", "no shape \"tre\""),
            ("tree,x", "\"x\" is no number"),
            ("tree,depth=2,depth=3", "given twice"),
            ("tree,2,3,4", "one too many"),
            ("tree,width=3", "has no \"width\""),
            ("torus", "needs x"),
            ("torus,2,3", "at least 3"),
            ("ring,2", "at least 3"),
            ("mesh,1", "at least 2"),
            ("linear,0", "0 of anything"),
            ("fat-tree,k=3", "even"),
            ("tree,64,64", "at most 60000"),
            ("tree,4294967297,1", "at most 1000 levels"),
            ("mesh,1000", "499500 links"),
            ("single,18446744073709551615", "at most"),
        ] {
            let error = Shape::parse(text).unwrap_err();
            assert!(error.message.contains(message), "{text}: {error:?}");
        }
    }
}
