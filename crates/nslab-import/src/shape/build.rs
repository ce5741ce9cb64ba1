//! The labs of shapes.

use nslab_topology::Lab;
use nslab_topology::impairment::Impairments;
use nslab_topology::lab::{Addressing, End, Link, Node, Routing, Switch};

use super::Shape;

pub(super) fn lab(shape: Shape, name: &str) -> Lab {
    let mut builder = Builder {
        lab: Lab { addressing: Addressing::default(), routing: Routing::Auto, ..Lab::empty(name) },
        stp: shape.has_loops(),
    };
    match shape {
        Shape::Single { k, reversed } => {
            let switch = builder.switch("s1".to_owned());
            let hosts: Vec<String> = (1..=k).map(|i| builder.host(format!("h{i}"))).collect();
            if reversed {
                hosts.iter().rev().for_each(|host| builder.link(host, &switch));
            } else {
                for host in &hosts {
                    builder.link(host, &switch);
                }
            }
        }
        Shape::Linear { k, n } => {
            let switches = builder.switches_with_hosts(k, n);
            switches.windows(2).for_each(|two| builder.link(&two[1], &two[0]));
        }
        Shape::Ring { k, n } => {
            let switches = builder.switches_with_hosts(k, n);
            for (i, switch) in switches.iter().enumerate() {
                builder.link(switch, &switches[(i + 1) % k]);
            }
        }
        Shape::Tree { depth, fanout } => {
            builder.tree(depth, fanout, &mut (1, 1));
        }
        Shape::Torus { x, y, n } => torus(&mut builder, x, y, n),
        Shape::Mesh { k } => {
            let hosts: Vec<String> = (1..=k).map(|i| builder.host(format!("h{i}"))).collect();
            for (i, one) in hosts.iter().enumerate() {
                hosts[i + 1..].iter().for_each(|other| builder.link(one, other));
            }
        }
        Shape::FatTree { k } => fat_tree(&mut builder, k),
    }
    builder.lab
}

struct Builder {
    lab: Lab,
    stp: bool,
}

impl Builder {
    fn host(&mut self, name: String) -> String {
        self.lab.nodes.push(Node::new(name.clone()));
        name
    }

    fn router(&mut self, name: String) -> String {
        self.lab.nodes.push(Node { forward: true, ..Node::new(name.clone()) });
        name
    }

    fn switch(&mut self, name: String) -> String {
        self.lab.switches.push(Switch { stp: self.stp, ..Switch::new(name.clone()) });
        name
    }

    fn link(&mut self, one: &str, other: &str) {
        let ends = [one, other].map(|name| End::new(name.to_owned()));
        self.lab.links.push(Link { ends, mtu: None, impairments: Impairments::default() });
    }

    /// `s1` to `sK`, each with one host `hI` or with hosts `h1sI`, `h2sI`, …
    fn switches_with_hosts(&mut self, k: usize, n: usize) -> Vec<String> {
        (1..=k)
            .map(|i| {
                let switch = self.switch(format!("s{i}"));
                for j in 1..=n {
                    let host = self.host(if n == 1 { format!("h{i}") } else { format!("h{j}s{i}") });
                    self.link(&host, &switch);
                }
                switch
            })
            .collect()
    }

    /// A switch and what hangs below it, depth first; `next` are the numbers of the next switch and the next host.
    fn tree(&mut self, depth: u32, fanout: usize, next: &mut (usize, usize)) -> String {
        if depth == 0 {
            next.1 += 1;
            return self.host(format!("h{}", next.1 - 1));
        }
        next.0 += 1;
        let switch = self.switch(format!("s{}", next.0 - 1));
        for _ in 0..fanout {
            let below = self.tree(depth - 1, fanout, next);
            self.link(&switch, &below);
        }
        switch
    }
}

fn torus(builder: &mut Builder, x: usize, y: usize, n: usize) {
    let name = |i: usize, j: usize| format!("{}x{}", i % x + 1, j % y + 1);
    for i in 0..x {
        for j in 0..y {
            let switch = builder.switch(format!("s{}", name(i, j)));
            for k in 1..=n {
                let tail = if n == 1 { String::new() } else { format!("x{k}") };
                let host = builder.host(format!("h{}{tail}", name(i, j)));
                builder.link(&host, &switch);
            }
        }
    }
    for i in 0..x {
        for j in 0..y {
            let switch = format!("s{}", name(i, j));
            builder.link(&switch, &format!("s{}", name(i, j + 1)));
            builder.link(&switch, &format!("s{}", name(i + 1, j)));
        }
    }
}

/// Al-Fares, Loukissas, Vahdat: A Scalable, Commodity Data Center Network Architecture (SIGCOMM 2008), section 3: each
/// edge router has k/2 hosts and a cable to each of its pod's k/2 aggregation routers, the i-th of which leads to the
/// i-th group of k/2 core routers.
fn fat_tree(builder: &mut Builder, k: usize) {
    builder.lab.routing = Routing::Ecmp;
    let half = k / 2;
    let hosts: Vec<String> = (1..=k * half * half).map(|i| builder.host(format!("h{i}"))).collect();
    let edges: Vec<String> = (1..=k * half).map(|i| builder.router(format!("edge{i}"))).collect();
    let aggregations: Vec<String> = (1..=k * half).map(|i| builder.router(format!("agg{i}"))).collect();
    let cores: Vec<String> = (1..=half * half).map(|i| builder.router(format!("core{i}"))).collect();
    for (i, host) in hosts.iter().enumerate() {
        builder.link(host, &edges[i / half]);
    }
    for (i, edge) in edges.iter().enumerate() {
        let pod = i / half;
        aggregations[pod * half..][..half].iter().for_each(|aggregation| builder.link(edge, aggregation));
    }
    for (i, aggregation) in aggregations.iter().enumerate() {
        cores[i % half * half..][..half].iter().for_each(|core| builder.link(aggregation, core));
    }
}
