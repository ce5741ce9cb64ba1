//! What nslab's tests on the real kernel share.
//!
//! - [`privileged`] runs a test as root, or as an ordinary user in a user namespace of its own.
//! - [`Oracle`] asks `ip`, `bridge` and `tc` of iproute2, as a second opinion on what the kernel has.
//! - [`Nft`] asks `nft` of nftables, likewise.
//! - [`Residue`] tells what a test left behind.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

mod nft;
mod oracle;
mod privilege;
mod residue;

pub use nft::Nft;
pub use oracle::Oracle;
pub use privilege::privileged;
pub use residue::Residue;

/// Says why a test cannot run here. With `NSLAB_TESTS_MUST_RUN` in the environment, as in CI, that is a failure.
///
/// # Panics
/// If `NSLAB_TESTS_MUST_RUN` is set.
pub fn skip(reason: &str) {
    assert!(std::env::var_os("NSLAB_TESTS_MUST_RUN").is_none(), "this test must run, but {reason}");
    eprintln!("skipped: {reason}");
}

/// Says that a test, or a part of it, cannot run on this kernel, which was built without `option`. Unlike [`skip`] this is
/// no failure: which options a kernel has is not for the tests to decide. It is one with `NSLAB_TESTS_FULL_KERNEL` in the
/// environment, as in `cargo xtask vm-test`: a distribution's kernel has all of them.
///
/// # Panics
/// If `NSLAB_TESTS_FULL_KERNEL` is set.
pub fn kernel_lacks(option: &str) {
    let full = std::env::var_os("NSLAB_TESTS_FULL_KERNEL").is_some();
    assert!(!full, "this kernel should have {option}");
    eprintln!("skipped: this kernel lacks {option}");
}

/// Says that a test, or a part of it, cannot run on this kernel, which is older than `what`. That is never a failure.
pub fn kernel_is_older(what: &str) {
    eprintln!("skipped: this kernel is older than {what}");
}

/// What the kernel puts into every namespace when the module of a tunnel is loaded, perhaps by a test beside this one
/// (`net.core.fb_tunnels_only_for_init_net`, networking/ip-sysctl.rst).
pub const FALLBACK_TUNNELS: [&str; 9] =
    ["tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0"];

/// How often to do what is worth doing `usually` times: less where the processor is emulated, as `NSLAB_TESTS_BRIEF` in
/// the environment says (`cargo xtask vm-test` without KVM).
pub fn times(usually: usize) -> usize {
    if std::env::var_os("NSLAB_TESTS_BRIEF").is_some() { usually.div_ceil(20) } else { usually }
}
