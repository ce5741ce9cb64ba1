//! Addresses of interfaces.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::link::IfIndex;

/// `RTM_NEWADDR` / `RTM_DELADDR` without duplicate address detection (`IFA_F_NODAD`), so that an IPv6 address can be
/// used at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeAddress {
    /// The interface.
    pub link: IfIndex,
    /// The address with its subnet's length.
    pub address: IpNet,
    /// Take it away instead.
    pub delete: bool,
}

/// An address as the kernel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The interface it is on.
    pub link: IfIndex,
    /// The address with its subnet's length.
    pub address: IpNet,
    /// The scope: 0 global, 253 link, 254 host (`RT_SCOPE_*`).
    pub scope: u8,
    /// It stays until taken away (`IFA_F_PERMANENT`).
    pub permanent: bool,
    /// Duplicate address detection is under way, so it cannot be used yet (`IFA_F_TENTATIVE`).
    pub tentative: bool,
    /// Another interface of the link owns it (`IFA_F_DADFAILED`).
    pub duplicate: bool,
    /// Another address of the same subnet came first (`IFA_F_SECONDARY`).
    pub secondary: bool,
    /// The kernel made it itself (`IFA_PROTO` of loopback, router advertisement or link-local; also any address that
    /// follows from the interface coming up).
    pub kernel: bool,
}
