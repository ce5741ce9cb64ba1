//! The networks that are built.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// A network, by its shape and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Hosts on one switch, which has a namespace of its own. One address each out of 10.0.0.0/16.
    Star {
        /// How many.
        hosts: usize,
    },
    /// Routers, each with a cable to each other, forwarding. A /30 on each cable.
    Mesh {
        /// How many.
        routers: usize,
    },
    /// Routers in three layers above hosts, with every shortest way used. IPv4 only, a /30 on each cable.
    FatTree(FatTree),
}

/// A fat-tree by the number of its routers' ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FatTree {
    /// Even.
    pub k: usize,
}

impl FatTree {
    /// How many hosts.
    pub fn hosts(self) -> usize {
        self.k * self.k * self.k / 4
    }

    /// How many routers: edge, aggregation, core.
    pub fn routers(self) -> usize {
        5 * self.k * self.k / 4
    }

    /// Hosts, edge routers, aggregation routers, core routers.
    fn names(self) -> Vec<String> {
        let half = self.k / 2;
        let layer = |name: &'static str, count: usize| (1..=count).map(move |i| format!("{name}{i}"));
        let edges = layer("edge", self.k * half).chain(layer("agg", self.k * half));
        layer("h", self.hosts()).chain(edges).chain(layer("core", half * half)).collect()
    }

    /// Its cables, between places of [`Shape::namespaces`].
    pub fn cables(self) -> Vec<Cable> {
        let half = self.k / 2;
        let (edges, layer) = (self.hosts(), self.k * half);
        let (aggregations, cores) = (edges + layer, edges + 2 * layer);
        let up = (0..self.hosts()).map(|host| (host, edges + host / half));
        let across = (0..layer)
            .flat_map(|edge| (0..half).map(move |i| (edges + edge, aggregations + edge / half * half + i)));
        let top = (0..layer)
            .flat_map(|agg| (0..half).map(move |i| (aggregations + agg, cores + agg % half * half + i)));
        up.chain(across)
            .chain(top)
            .enumerate()
            .map(|(i, ends)| Cable { ends, addresses: (address(4 * i + 1), address(4 * i + 2)) })
            .collect()
    }
}

/// A cable of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cable {
    /// The two routers, from 0, the lower first.
    pub ends: (usize, usize),
    /// Their addresses.
    pub addresses: (Ipv4Addr, Ipv4Addr),
}

impl Cable {
    /// The interface's name at the end that leads to this router.
    pub fn interface_to(router: usize) -> String {
        format!("to{}", router + 1)
    }
}

/// The address of the star's host, from 0.
pub fn host_address(host: usize) -> Ipv4Addr {
    address(host + 1)
}

/// 10.0.0.0 and so many on.
fn address(offset: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0A00_0000 + u32::try_from(offset).unwrap_or(0))
}

/// All cables of a full mesh.
pub fn cables(routers: usize) -> Vec<Cable> {
    let mut cables = Vec::new();
    for low in 0..routers {
        for high in low + 1..routers {
            let base = 4 * cables.len();
            cables.push(Cable { ends: (low, high), addresses: (address(base + 1), address(base + 2)) });
        }
    }
    cables
}

impl Shape {
    /// How it is called in tables and in names.
    pub fn name(self) -> String {
        match self {
            Self::Star { hosts } => format!("star-{hosts}"),
            Self::Mesh { routers } => format!("mesh-{routers}"),
            Self::FatTree(tree) => format!("fat-tree-{}", tree.k),
        }
    }

    /// How many hosts or routers it has.
    pub fn nodes(self) -> usize {
        match self {
            Self::Star { hosts } => hosts,
            Self::Mesh { routers } => routers,
            Self::FatTree(tree) => tree.hosts() + tree.routers(),
        }
    }

    /// The names of all namespaces, the switch's first. Every tool is given the same ones.
    pub fn namespaces(self) -> Vec<String> {
        match self {
            Self::Star { hosts } => {
                std::iter::once("sw".to_owned()).chain((1..=hosts).map(|host| format!("h{host}"))).collect()
            }
            Self::Mesh { routers } => (1..=routers).map(|router| format!("r{router}")).collect(),
            Self::FatTree(tree) => tree.names(),
        }
    }

    /// nslab's lab file for it.
    pub fn lab_file(self, lab: &str) -> String {
        let mut text = format!("name: {lab}\n");
        match self {
            Self::Star { hosts } => {
                let _ = write!(
                    text,
                    "addressing: {{ipv4: 10.0.0.0/8, ipv6: none}}\nnodes: {{h: {{count: {hosts}}}}}\n\
                     switches: {{br0: {{}}}}\nlinks: [[h, br0]]\n"
                );
            }
            Self::FatTree(tree) => fat_tree_file(tree, &mut text),
            Self::Mesh { routers } => {
                let _ = write!(
                    text,
                    "routing: none\naddressing: {{ipv6: none}}\n\
                     nodes: {{r: {{count: {routers}, forward: true}}}}\nlinks:\n"
                );
                for Cable { ends, addresses } in cables(routers) {
                    let (low, high) = (ends.0 + 1, ends.1 + 1);
                    let _ = writeln!(text, "  - [r{low} {}/30, r{high} {}/30]", addresses.0, addresses.1);
                }
            }
        }
        text
    }
}

fn fat_tree_file(tree: FatTree, text: &mut String) {
    let names = tree.names();
    let _ =
        write!(text, "routing: ecmp\naddressing: {{ipv6: none}}\nnodes:\n  h: {{count: {}}}\n", tree.hosts());
    let half = tree.k / 2;
    for (layer, count) in [("edge", tree.k * half), ("agg", tree.k * half), ("core", half * half)] {
        let _ = writeln!(text, "  {layer}: {{count: {count}, forward: true}}");
    }
    text.push_str("links:\n");
    for Cable { ends, addresses } in tree.cables() {
        let (low, high) = (&names[ends.0], &names[ends.1]);
        let _ = writeln!(text, "  - [{low} {}/30, {high} {}/30]", addresses.0, addresses.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_joins_every_pair_once_with_addresses_of_its_own() {
        let cables = cables(60);
        assert_eq!(cables.len(), 1770);
        assert_eq!(cables[0].addresses, (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(cables[1769].ends, (58, 59));
        assert_eq!(cables[1769].addresses.1, Ipv4Addr::new(10, 0, 27, 166));
    }

    #[test]
    fn the_lab_file_names_every_cable() {
        let text = Shape::Mesh { routers: 3 }.lab_file("m");
        assert!(text.ends_with("  - [r2 10.0.0.9/30, r3 10.0.0.10/30]\n"), "{text}");
        assert!(Shape::Star { hosts: 100 }.lab_file("s").contains("count: 100"));
    }
}
