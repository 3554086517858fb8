//! From a pod that is due to a challenge, and from its answer to what is known.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::driver::sequence::{Sequence, unix_millis};
use crate::driver::targets::{self, Controls};
use crate::policy::Closure;
use crate::seal::check::new_nonce;
use crate::seal::state::OwnNode;
use crate::seal::wire::{Challenge, Control, Report, State, Target, VERSION, Verdict};

use super::schedule::stagger;
use super::track::{MAX_NONCES, Track};
use super::{Action, Planner};

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

/// How a challenge ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What was sent.
    pub begun: Begun,
    /// What came back, or why nothing did.
    pub answer: Result<Report, String>,
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
        self.nonces.insert(nonce.clone(), uid.to_owned());
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

    /// Takes the end of a round or an alarm.
    pub fn finished(&mut self, finished: Finished, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        let period = self.period();
        let Finished { begun, answer } = finished;
        let uid = begun.uid.clone();
        let Some(track) = self.tracks.get_mut(&uid) else {
            return actions;
        };
        if begun.alarm {
            track.alarm_ended(&begun, answer.is_ok());
        } else {
            track.round_ended(&begun);
        }
        match answer {
            Ok(report) if report.pod_uid == uid => {
                track.unheard = 0;
                let was_proven = track.proven();
                if !begun.alarm && good(&report) {
                    if track.bad > 0 {
                        // The back-off ends with what caused it.
                        track.next_due = track.next_due.min(now + self.config.tick);
                    }
                    track.bad = 0;
                } else if !begun.alarm {
                    track.bad = track.bad.saturating_add(1);
                }
                if !begun.alarm {
                    track.notes.clone_from(&begun.notes);
                }
                track.take_report(&report, begun.begun, now);
                let mine = report.nonce == begun.challenge.nonce;
                if mine
                    && good(&report)
                    && report.state == State::Proven
                    && track.got_out.is_empty()
                {
                    track.proven_by(begun.begun, now);
                }
                // Rounds overlap: an older one says nothing about what a newer one found closed.
                if report.state == State::Open || track.report_begun <= Some(begun.begun) {
                    track.report = Some(Arc::new(report));
                    track.report_begun = track.report_begun.max(Some(begun.begun));
                }
                if track.proven() && !was_proven {
                    track.next_due = now + stagger(&uid, period);
                }
            }
            // Another pod has this address by now, or nobody.
            Ok(_) | Err(_) => {
                track.unheard = track.unheard.saturating_add(1);
                track.bad = track.bad.saturating_add(1);
            }
        }
        if track.bad > 0 && !begun.alarm {
            // A proven pod is not left alone for a whole period after a round that proved nothing.
            track.next_due = track.next_due.min(now + self.config.max_back_off);
        }
        self.settle(&uid, now, &mut actions);
        actions
    }

    /// A round that was due ended before its challenge was sent.
    pub fn abandoned(&mut self, uid: &str) {
        if let Some(track) = self.tracks.get_mut(uid) {
            track.in_flight = track.in_flight.saturating_sub(1);
        }
    }
}

/// Whether a report speaks of a round that proves something.
fn good(report: &Report) -> bool {
    let mut required = report.targets.iter().filter(|target| target.required);
    report.closure == "equal"
        && report.targets.iter().any(|target| target.required)
        && required.all(|target| target.verdict == Verdict::Blocked)
}

impl Track {
    /// Whether the gate holds to a proof.
    pub(super) fn proven(&self) -> bool {
        self.report
            .as_ref()
            .is_some_and(|report| report.state == State::Proven)
    }

    /// A round that began then proved it. Rounds overlap, so one that began earlier may end later.
    pub(super) fn proven_by(&mut self, begun: Instant, now: Instant) {
        if self.last_proven.is_none_or(|(newest, _)| newest < begun) {
            let ago = now.saturating_duration_since(begun);
            let wall = SystemTime::now().checked_sub(ago);
            self.last_proven = Some((begun, wall.unwrap_or(SystemTime::UNIX_EPOCH)));
        }
    }

    fn round_ended(&mut self, begun: &Begun) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.control_misses = if begun.failed.is_empty() {
            0
        } else {
            self.failed_controls.clone_from(&begun.failed);
            self.control_misses.saturating_add(1)
        };
    }

    /// What was said need not be said again, unless it is about something newer.
    fn alarm_ended(&mut self, begun: &Begun, delivered: bool) {
        if !delivered {
            return;
        }
        if self.order == begun.challenge.open {
            self.order = None;
        }
        let unsaid = match &self.closure {
            Some(closure @ Closure::Widened(_)) => {
                begun.challenge.closure
                    != crate::seal::wire::Closure::Widened {
                        detail: closure.detail(),
                    }
            }
            _ => false,
        };
        if self.order.is_none() && !unsaid {
            self.alarm = None;
        }
    }
}
