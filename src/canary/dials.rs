//! Dials what an order names: the controls of a round.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::Semaphore;

use crate::seal::check::control_nonce;
use crate::seal::probe::{Observation, dial};
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

    /// Obeys: every gate and every target, answered in the order's order.
    pub async fn obey(&self, order: &ControlOrder) -> ControlReport {
        // The canaries that are targets hear a nonce that belongs to no pod.
        let nonce = control_nonce();
        let gates = (order.gates.iter()).map(|gate| {
            self.one(TargetKind::Dial, *gate, Proto::Tcp, &nonce)
                .boxed()
        });
        let targets = (order.targets.iter()).map(|target| {
            self.one(target.kind, target.addr, target.proto, &nonce)
                .boxed()
        });
        let dials: Vec<_> = gates.chain(targets).collect();
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
            Ok(_permit) => rtt(kind, addr, proto, nonce).await,
            Err(_) => None,
        };
        Dialled {
            addr,
            proto,
            rtt_micros,
        }
    }
}

/// Microseconds from the first packet until the target did what it must.
///
/// One that must say something is asked twice: a second in which whoever listens is busy, or the way is broken for all
/// the datagrams of one dial, must not keep all pods from their proof. The first try is in the time, so that gates wait
/// the longer for the silence of a target that was mute for so long.
async fn rtt(kind: TargetKind, addr: SocketAddr, proto: Proto, nonce: &str) -> Option<u32> {
    let begun = Instant::now();
    let mut sample = dial(kind, addr, proto, nonce, MAX_TIME).await;
    let mut took = sample.elapsed;
    if !did(kind, &sample.observation) && kind != TargetKind::Dial {
        let before = begun.elapsed();
        sample = dial(kind, addr, proto, nonce, MAX_TIME).await;
        took = before + sample.elapsed;
    }
    did(kind, &sample.observation)
        .then(|| u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1))
}

/// Whether the target did what it must. A canary must answer: one that only accepts could not convict anybody, and is
/// no control.
fn did(kind: TargetKind, observation: &Observation) -> bool {
    match observation {
        Observation::Answered => true,
        Observation::Connected => kind != TargetKind::Canary,
        _ => false,
    }
}
