//! The ways out that were found, as many as are remembered.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::seal::wire::{Proto, TargetReport};

/// Ways out of one pod that are remembered.
const MAX_WAYS: usize = 16;

/// Every way out since the last proof.
#[derive(Clone, Debug, Default)]
pub(super) struct GotOut {
    pub(super) ways: BTreeSet<Way>,
    /// When a policy last explained one of them: the policy may be gone when the gate reports.
    pub(super) explained: Option<Instant>,
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

impl Way {
    /// The way to a target that was reached.
    pub(super) fn of(target: &TargetReport) -> Option<Self> {
        let addr: SocketAddr = target.addr.parse().ok()?;
        let service = ["canary-service/", "dns/", "api-server/"];
        let service = service.iter().any(|prefix| target.name.starts_with(prefix));
        Some(Self {
            name: target.name.clone(),
            to: if service {
                Destination::Service
            } else {
                Destination::Ip(addr.ip())
            },
            port: addr.port(),
            udp: target.proto == Proto::Udp,
        })
    }
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
