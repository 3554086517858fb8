//! From a pod that is due to a challenge.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::driver::sequence::{Sequence, unix_millis};
use crate::driver::targets::{self, Controls};
use crate::seal::check::new_nonce;
use crate::seal::state::OwnNode;
use crate::seal::wire::{Challenge, Control, Target, VERSION};

use super::Planner;
use super::track::MAX_NONCES;

/// A challenge on its way.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The pod's UID.
    pub uid: String,
    /// The gate's admin port.
    pub gate: SocketAddr,
    /// To be signed and sent.
    pub challenge: Challenge,
    /// The numbers of this pod's challenges, should the gate ask for a higher one.
    pub sequence: Sequence,
    /// When it was made.
    pub begun: Instant,
    /// Whether it only says that the pod is open.
    pub alarm: bool,
    /// Controls that failed.
    pub failed: Vec<String>,
    /// What is not tested.
    pub notes: Vec<String>,
}

impl Planner {
    /// The gates and the required node addresses of these pods, for the canaries' orders.
    #[must_use]
    pub fn to_dial(&self, uids: &[String]) -> (Vec<SocketAddr>, BTreeSet<IpAddr>) {
        let port = self.config.ports.gate_admin;
        let mut gates = Vec::new();
        let mut nodes = BTreeSet::new();
        for track in uids.iter().filter_map(|uid| self.tracks.get(uid)) {
            let addresses = track.pod.pod.addresses.iter();
            gates.extend(addresses.map(|ip| SocketAddr::new(*ip, port)));
            if track.own_node == OwnNode::Require {
                nodes.extend(track.pod.node_addresses.iter().copied());
            }
        }
        (gates, nodes)
    }

    /// Shared targets that canaries dial in these pods' rounds.
    #[must_use]
    pub fn control_targets(&self, nodes: &BTreeSet<IpAddr>) -> Vec<Target> {
        targets::for_canaries(&self.view.shared, self.config.ports, nodes)
    }

    /// Targets that the operator dials itself in every round.
    #[must_use]
    pub fn own_targets(&self) -> Vec<Target> {
        targets::for_operator(&self.view.shared, self.config.ports)
    }

    /// The challenge of a pod whose controls are there; `None` when the pod is gone or was altered meanwhile.
    pub fn begin(&mut self, uid: &str, controls: &Controls, now: Instant) -> Option<Begun> {
        let ports = self.config.ports;
        let view = Arc::clone(&self.view);
        let track = self.tracks.get_mut(uid)?;
        if track.altered.is_some() {
            return None;
        }
        let plan = targets::for_pod(&track.pod, &view.shared, controls, ports, track.own_node);
        track.last_targets.clone_from(&plan.targets);
        let mut begun = self.challenge(uid, plan.targets, now)?;
        begun.failed = plan.failed;
        begun.notes = plan.notes;
        let foreign = view
            .foreign
            .iter()
            .map(|kind| format!("{kind}: not evaluated"));
        begun.notes.extend(foreign);
        Some(begun)
    }

    /// The challenge that says at once that a pod is open: the last targets, none with a control, so it can
    /// prove nothing.
    pub fn begin_alarm(&mut self, uid: &str, now: Instant) -> Option<Begun> {
        let mut targets = self.tracks.get(uid)?.last_targets.clone();
        for target in &mut targets {
            target.control = if target.required {
                Control::Failed
            } else {
                Control::None
            };
        }
        let mut begun = self.challenge(uid, targets, now)?;
        begun.alarm = true;
        begun.challenge.open = self.tracks.get(uid)?.order.clone();
        Some(begun)
    }

    fn challenge(&mut self, uid: &str, targets: Vec<Target>, now: Instant) -> Option<Begun> {
        let validity = self.validity();
        let track = self.tracks.get_mut(uid)?;
        let ip = *track.pod.pod.addresses.first()?;
        let nonce = new_nonce();
        if track.nonces.len() == MAX_NONCES
            && let Some(oldest) = track.nonces.pop_front()
        {
            self.nonces.remove(&oldest);
        }
        track.nonces.push_back(nonce.clone());
        self.nonces.insert(nonce.clone(), (uid.to_owned(), now));
        Some(Begun {
            uid: uid.to_owned(),
            gate: SocketAddr::new(ip, self.config.ports.gate_admin),
            challenge: Challenge {
                v: VERSION,
                pod_uid: uid.to_owned(),
                nonce,
                // A gate that restarted since refuses it and says its new one.
                session: track.report.as_ref().map(|report| report.session),
                seq: track.sequence.next(unix_millis()),
                validity_ms: u64::try_from(validity.as_millis()).unwrap_or(u64::MAX),
                closure: track.wire_closure(),
                open: None,
                targets,
            },
            sequence: track.sequence.clone(),
            begun: now,
            alarm: false,
            failed: Vec::new(),
            notes: Vec::new(),
        })
    }
}
