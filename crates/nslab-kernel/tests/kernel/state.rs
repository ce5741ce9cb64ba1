//! A whole namespace in one value.

use nslab_kernel::NamespaceState;
use nslab_kernel::link::{Bridge, LinkKind, NewLink};
use nslab_kernel::state::Select;
use nslab_testing::privileged;

use crate::support::{Lab, name};

#[test]
fn a_namespace_is_read_twice_alike_and_survives_json() {
    privileged(|| {
        let mut lab = Lab::new();
        lab.veth("a", "b");
        lab.socket.request(&NewLink::new(name("sw"), LinkKind::Bridge(Bridge::default()))).unwrap();
        let state = NamespaceState::read(&mut lab.socket, Select { tables: true }).unwrap();
        assert_eq!(lab.links().len(), 4);
        assert!(!state.routes.is_empty() && state.rules.len() == 5 && !state.addresses.is_empty());
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<NamespaceState>(&json).unwrap(), state);
        let few = NamespaceState::read(&mut lab.socket, Select { tables: false }).unwrap();
        assert!(few.neighbours.is_empty() && few.fdb.is_empty());
        assert_eq!(few.links.len(), state.links.len());
    });
}
