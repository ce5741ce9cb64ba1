//! The routes of a table that match a destination.

use std::net::IpAddr;
use std::ops::Range;

use nslab_kernel::route::Route;
use nslab_snapshot::State;

/// The places of a table's routes of a family: the list is sorted by these two.
fn of_table(routes: &[Route], ipv6: bool, table: u32) -> Range<usize> {
    let key = |route: &Route| (route.to.addr().is_ipv6(), route.table);
    let start = routes.partition_point(|route| key(route) < (ipv6, table));
    let end = routes.partition_point(|route| key(route) <= (ipv6, table));
    start..end.max(start)
}

/// The routes of a table to which a destination belongs, with their places: longest prefix first, else in the order of
/// the list, which is by metric and then the kernel's.
pub(super) fn matching(
    state: &State,
    table: u32,
    destination: IpAddr,
) -> impl Iterator<Item = (usize, &Route)> {
    let routes = &state.network.routes;
    let range = of_table(routes, destination.is_ipv6(), table);
    range
        .filter_map(|place| routes.get(place).map(|route| (place, route)))
        .filter(move |(_, route)| route.to.contains(&destination))
}
