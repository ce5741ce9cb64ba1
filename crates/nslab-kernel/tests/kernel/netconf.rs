//! Forwarding as it is asked for over a socket, beside the sysctl.

use nslab_kernel::{netconf, sysctl};
use nslab_testing::privileged;

use crate::support::Lab;

#[test]
fn forwarding_is_what_the_sysctl_says() {
    privileged(|| {
        let mut lab = Lab::new();
        for (ipv6, key) in [(false, "net.ipv4.ip_forward"), (true, "net.ipv6.conf.all.forwarding")] {
            for value in ["1", "0", "1"] {
                lab.namespace.run(|| sysctl::write(key, value)).unwrap().unwrap();
                let found = netconf::forwarding(&mut lab.socket, ipv6).unwrap();
                assert_eq!(found, value == "1", "{key} = {value}");
            }
        }
    });
}
