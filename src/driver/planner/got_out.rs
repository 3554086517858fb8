//! The ways out that were found, as many as are remembered.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

/// Ways out of one pod that are remembered.
const MAX_WAYS: usize = 16;

/// Every way out since the last proof.
#[derive(Clone, Debug, Default)]
pub(super) struct GotOut {
    pub(super) ways: BTreeSet<Way>,
    /// Whether a policy explained one of them at any time: the policy may be gone when the gate reports.
    pub(super) explained: bool,
    /// When the newest was found.
    pub(super) last: Option<Instant>,
}

/// One way out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    pub(super) name: String,
    pub(super) to: Destination,
    pub(super) port: u16,
    pub(super) udp: bool,
}

/// Where it leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Destination {
    /// An address, or the pod that has it.
    Ip(IpAddr),
    /// The canary with this UID, by an address that is not known.
    Canary(String),
    /// A Service: which pods stand behind it is not known here.
    Service,
}

impl GotOut {
    pub(super) fn add(&mut self, way: Way, now: Instant) {
        self.last = Some(now);
        if self.ways.len() < MAX_WAYS {
            self.ways.insert(way);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ways.is_empty()
    }
}
