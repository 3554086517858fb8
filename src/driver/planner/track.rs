//! What is known about one pod.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use k8s_openapi::api::core::v1::ObjectReference;

use crate::driver::board::PodSeal;
use crate::driver::sequence::Sequence;
use crate::driver::view::SealedPod;
use crate::policy::{Closure, Policy, PolicyRef, closure};
use crate::seal::state::OwnNode;
use crate::seal::wire::{self, Opening, Report, RuntimeFault, Target};

use super::declared::Known;
use super::got_out::GotOut;
use super::readiness::{Refused, Write};
use super::{Action, Reason, Sealed};

/// Nonces of one pod that are remembered: more than a minute of rounds that follow each other closely.
pub(super) const MAX_NONCES: usize = 96;

/// One pod.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) pod: SealedPod,
    pub(super) own_node: OwnNode,
    /// `None` until the owner is known.
    pub(super) closure: Option<Closure>,
    pub(super) policies: Vec<PolicyRef>,
    pub(super) next_due: Instant,
    /// When to say at once that it is open; `None` when there is nothing to say.
    pub(super) alarm: Option<Instant>,
    /// When the last one began.
    pub(super) alarmed: Option<Instant>,
    pub(super) in_flight: usize,
    /// Rounds in a row that were not good.
    pub(super) bad: u32,
    /// Rounds in a row whose controls failed.
    pub(super) control_misses: u32,
    /// Rounds whose controls failed since it was proven or got out, or policies changed.
    pub(super) control_failures: u32,
    pub(super) failed_controls: Vec<String>,
    /// Rounds in a row that could not be delivered.
    pub(super) unheard: u32,
    pub(super) notes: Vec<String>,
    pub(super) nonces: VecDeque<String>,
    /// The numbers of its challenges.
    pub(super) sequence: Sequence,
    pub(super) last_targets: Vec<Target>,
    pub(super) report: Option<Arc<Report>>,
    /// When the challenge that brought the report was made.
    pub(super) report_begun: Option<Instant>,
    /// When the policies were last seen widened: a report of a challenge made before that says nothing
    /// about now.
    pub(super) doubt: Option<Instant>,
    pub(super) last_proven: Option<(Instant, SystemTime)>,
    /// Every way out that was found since it was last proven.
    pub(super) got_out: GotOut,
    /// The order that a gate which thinks it is closed must hear.
    pub(super) order: Option<Opening>,
    /// How it differs from what was made and what to do, once it did.
    pub(super) altered: Option<String>,
    /// Whether its condition has said that it was proven.
    pub(super) was_ready: bool,
    /// Why it is open, while it is.
    pub(super) opening: Option<(Reason, String)>,
    told: Option<Reason>,
    pub(super) write: Option<Write>,
    pub(super) refused: Refused,
    /// When it was seen first.
    pub(super) since: Instant,
    pub(super) deleted: bool,
}

impl Track {
    pub(super) fn new(pod: &SealedPod, now: Instant) -> Self {
        Self {
            pod: pod.clone(),
            own_node: OwnNode::Report,
            closure: None,
            policies: Vec::new(),
            next_due: now,
            alarm: None,
            alarmed: None,
            in_flight: 0,
            bad: 0,
            control_misses: 0,
            control_failures: 0,
            failed_controls: Vec::new(),
            unheard: 0,
            notes: Vec::new(),
            nonces: VecDeque::new(),
            sequence: Sequence::default(),
            last_targets: Vec::new(),
            report: None,
            report_begun: None,
            doubt: None,
            last_proven: None,
            got_out: GotOut::default(),
            order: None,
            altered: None,
            was_ready: false,
            opening: None,
            told: None,
            write: None,
            refused: Refused::default(),
            since: now,
            deleted: false,
        }
    }

    /// Takes in the pod and the policies as they are now; `young` while the operator has just started.
    pub(super) fn observe(
        &mut self,
        pod: &SealedPod,
        policies: &[Policy],
        owner: Option<&Known>,
        young: bool,
        now: Instant,
    ) {
        let began = |is: fn(&SealedPod) -> bool| is(pod) && !is(&self.pod);
        // Once the engine runs there is a lock to report.
        // A gate that is no longer ready, or again, has something to say.
        let turned = pod.gate_ready != self.pod.gate_ready;
        if turned || began(|pod| pod.gate_running) || began(|pod| pod.engine_started) {
            self.hurry(now);
        }
        self.pod = pod.clone();
        let (namespace, labels) = (&pod.pod.namespace, &pod.pod.labels);
        let selecting = policies
            .iter()
            .filter(|policy| policy.selects(namespace, labels));
        let mut selecting: Vec<PolicyRef> = selecting.map(|policy| policy.id.clone()).collect();
        selecting.sort();
        let found = owner.map(|owner| {
            self.own_node = owner.current().own_node.unwrap_or(OwnNode::Report);
            closure(&owner.declared(now), policies, namespace, labels)
        });
        // The object may have been narrowed while no operator ran, and its own policy is narrowed in a moment.
        let found = found.filter(|found| !(young && found.only_own()));
        if found != self.closure || selecting != self.policies {
            self.hurry(now);
            let widened = matches!(found, Some(Closure::Widened(_)));
            if widened && found != self.closure {
                self.alarm = Some(now);
            } else if !widened && self.order.is_none() {
                self.alarm = None;
            }
        }
        if matches!(found, Some(Closure::Widened(_))) {
            self.doubt = Some(now);
        }
        self.closure = found;
        self.policies = selecting;
        self.compare(pod, now);
    }

    /// The next round begins now, whatever came before.
    fn hurry(&mut self, now: Instant) {
        self.next_due = self.next_due.min(now);
        self.bad = 0;
        self.control_failures = 0;
    }

    /// The closure as gates are told it.
    pub(super) fn wire_closure(&self) -> wire::Closure {
        match &self.closure {
            None => wire::Closure::Unknown,
            Some(Closure::Equal) => wire::Closure::Equal,
            Some(widened) => wire::Closure::Widened {
                detail: widened.detail(),
            },
        }
    }

    pub(super) fn label(&self) -> (String, String, String) {
        let pod = &self.pod;
        (
            pod.pod.namespace.clone(),
            pod.pod.name.clone(),
            pod.uid.clone(),
        )
    }

    /// One Event for each reason while it is open.
    pub(super) fn event(&mut self, owner: Option<&ObjectReference>, actions: &mut Vec<Action>) {
        let reason = self.opening.as_ref().map(|(reason, _)| *reason);
        if let (Some((reason, detail)), Some(owner)) = (&self.opening, owner)
            && self.told != Some(*reason)
        {
            let note = format!("pod {}: {detail}", self.pod.pod.name);
            actions.push(Action::Event {
                regarding: Box::new(owner.clone()),
                reason: *reason,
                note: note.chars().take(1024).collect(),
            });
        }
        self.told = reason;
    }

    /// What the gate says of the runtime. Why a container died the kubelet knows better.
    fn runtime_fault(&self) -> Option<RuntimeFault> {
        let fault = self.report.as_ref()?.runtime_fault?;
        Some(match fault {
            RuntimeFault::Ended | RuntimeFault::Failing | RuntimeFault::Answers
                if self.pod.engine_oom =>
            {
                RuntimeFault::OutOfMemory
            }
            fault => fault,
        })
    }

    pub(super) fn publish(&self, sealed: Sealed, actions: &mut Vec<Action>) {
        let (namespace, name, uid) = self.label();
        let opening = self.opening.as_ref().map(|(reason, detail)| Opening {
            reason: reason.as_str().to_owned(),
            detail: detail.clone(),
        });
        actions.push(Action::Publish(Box::new(PodSeal {
            namespace,
            name,
            uid,
            owner_uid: self.pod.owner_uid.clone(),
            kind: self.pod.kind,
            sealed,
            state: self.report.as_ref().map(|report| report.state),
            locks: self
                .report
                .as_ref()
                .map(|report| report.locks.clone())
                .unwrap_or_default(),
            opening,
            report: self.report.clone(),
            runtime_fault: self.runtime_fault(),
            closure: self.closure.clone(),
            last_proven: self.last_proven,
            policies: self.policies.clone(),
            notes: self.notes.iter().chain(&self.pod.notes).cloned().collect(),
        })));
    }
}
