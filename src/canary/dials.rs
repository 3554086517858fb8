//! Dials what an order names: the controls of a round.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::Semaphore;

use crate::seal::check::new_nonce;
use crate::seal::probe::{Observation, Sample, dial};
use crate::seal::wire::{ControlOrder, ControlReport, Dialled, Proto, TargetKind, VERSION};

/// Most dials at once, of all orders together.
const MAX_DIALS: usize = 256;
/// How long a dial may take.
const MAX_TIME: Duration = Duration::from_secs(1);

/// The places for dials.
#[derive(Debug)]
pub struct Dials(Semaphore);

impl Default for Dials {
    fn default() -> Self {
        Self::new()
    }
}

impl Dials {
    /// All free.
    #[must_use]
    pub fn new() -> Self {
        Self(Semaphore::new(MAX_DIALS))
    }

    /// Obeys: every gate and every target once, answered in the order's order.
    pub async fn obey(&self, order: &ControlOrder) -> ControlReport {
        // The canaries that are targets hear a nonce that belongs to no pod.
        let nonce = new_nonce();
        let gates = order
            .gates
            .iter()
            .map(|gate| (TargetKind::Dial, *gate, Proto::Tcp));
        let targets = order
            .targets
            .iter()
            .map(|target| (target.kind, target.addr, target.proto));
        let dials: Vec<_> = gates
            .chain(targets)
            .map(|(kind, addr, proto)| self.one(kind, addr, proto, &nonce).boxed())
            .collect();
        let mut dialled: Vec<Dialled> = futures::stream::iter(dials)
            .buffered(MAX_DIALS)
            .collect()
            .await;
        let targets = dialled.split_off(order.gates.len());
        ControlReport {
            v: VERSION,
            canary_uid: order.canary_uid.clone(),
            gates: dialled,
            targets,
        }
    }

    async fn one(&self, kind: TargetKind, addr: SocketAddr, proto: Proto, nonce: &str) -> Dialled {
        // The semaphore is never closed; were it, the dial would count as failed.
        let rtt_micros = match self.0.acquire().await {
            Ok(_permit) => rtt(kind, &dial(kind, addr, proto, nonce, MAX_TIME).await),
            Err(_) => None,
        };
        Dialled {
            addr,
            proto,
            rtt_micros,
        }
    }
}

/// The round trip, when the target did what it must. A canary must answer: one that only accepts could not
/// convict anybody, and is no control.
fn rtt(kind: TargetKind, sample: &Sample) -> Option<u32> {
    let reached = match sample.observation {
        Observation::Answered => true,
        Observation::Connected => kind != TargetKind::Canary,
        _ => false,
    };
    reached.then(|| {
        u32::try_from(sample.elapsed.as_micros())
            .unwrap_or(u32::MAX)
            .max(1)
    })
}
