//! What interfaces are called.

use nslab_kernel::link::{IfIndex, Link};

/// An interface, as it was when it was last heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its number.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// Its other names.
    pub alt_names: Vec<String>,
    /// Its kind, as `veth`; empty for hardware and loopback.
    pub kind: String,
    /// Its MAC.
    pub mac: Option<[u8; 6]>,
    /// Its MTU.
    pub mtu: u32,
    /// It is gone.
    pub gone: bool,
}

impl Interface {
    fn of(link: &Link) -> Self {
        Self {
            index: link.index,
            name: link.name.to_string(),
            alt_names: link.alt_names.clone(),
            kind: link.kind.as_ref().map_or_else(String::new, |kind| kind.name().to_owned()),
            mac: link.mac.map(|mac| mac.0),
            mtu: link.mtu,
            gone: false,
        }
    }

    /// Whether it has this name.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.alt_names.iter().any(|one| one == name)
    }
}

/// Those of a namespace, by number. What is gone is kept for a while: packets of it may still be on their way.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    all: Vec<Interface>,
}

/// So many that are gone are kept.
const GONE: usize = 1024;

impl Interfaces {
    pub(super) fn of(links: &[Link]) -> Self {
        let mut interfaces = Self::default();
        interfaces.replace(links);
        interfaces
    }

    /// These are there, and no others.
    pub(super) fn replace(&mut self, links: &[Link]) {
        for one in &mut self.all {
            one.gone = true;
        }
        for link in links {
            self.put(link);
        }
    }

    pub(super) fn put(&mut self, link: &Link) {
        let interface = Interface::of(link);
        self.insert(interface);
    }

    fn insert(&mut self, interface: Interface) {
        match self.all.binary_search_by_key(&interface.index, |one| one.index) {
            Ok(at) => self.all[at] = interface,
            Err(at) => self.all.insert(at, interface),
        }
    }

    pub(super) fn remove(&mut self, index: IfIndex) {
        if let Ok(at) = self.all.binary_search_by_key(&index, |one| one.index) {
            self.all[at].gone = true;
        }
        let gone = self.all.iter().filter(|one| one.gone).count();
        if gone > GONE {
            // Numbers grow, so that the first are the oldest.
            let mut surplus = gone - GONE / 2;
            self.all.retain(|one| {
                let goes = one.gone && surplus > 0;
                surplus -= usize::from(goes);
                !goes
            });
        }
    }

    pub(super) fn get(&self, index: IfIndex) -> Option<&Interface> {
        self.all.binary_search_by_key(&index, |one| one.index).ok().map(|at| &self.all[at])
    }

    /// A name for one that came and went unheard.
    pub(super) fn invent(&mut self, index: IfIndex) {
        if self.get(index).is_none() {
            let name = format!("if{index}");
            let (alt_names, kind) = (Vec::new(), String::new());
            self.insert(Interface { index, name, alt_names, kind, mac: None, mtu: 0, gone: true });
        }
    }

    /// The one that is there under a name.
    pub(super) fn named(&self, name: &str) -> Option<&Interface> {
        self.all.iter().find(|one| !one.gone && one.answers_to(name))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: IfIndex, name: &str) -> Interface {
        let (alt_names, kind) = (vec![format!("{name}-too")], String::new());
        Interface { index, name: name.into(), alt_names, kind, mac: None, mtu: 1500, gone: false }
    }

    #[test]
    fn who_is_gone_is_remembered_for_a_while() {
        let mut all = Interfaces::default();
        for index in 0..3000 {
            all.insert(interface(5000 - index, "eth0"));
        }
        assert_eq!(all.named("eth0-too").unwrap().index, 2001);
        all.remove(2001);
        assert_eq!(all.get(2001).unwrap().name, "eth0");
        assert_eq!(all.named("eth0").unwrap().index, 2002);
        for index in 2001..5001 {
            all.remove(index);
        }
        assert!(all.named("eth0").is_none() && all.get(2001).is_none() && all.get(5000).is_some());
        all.invent(7);
        assert_eq!(all.get(7).unwrap().name, "if7");
        assert!(all.iter().count() <= GONE + 1);
    }
}
