//! Ways out that were found, and whether a policy explains them.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::driver::view::{Canary, View};
use crate::policy::{self, Closure, Direction, Protocol, Remote, Widening};
use crate::seal::state::{OWN_NODE, OwnNode};
use crate::seal::wire::{Opening, Proto, Report, Seen, State, TargetReport, Verdict};

use super::got_out::{Destination, GotOut, Way};
use super::track::Track;
use super::{Planner, Reason};

/// Longest detail of an opening, in characters.
pub(super) const MAX_DETAIL: usize = 1024;
/// How long a network may take to do what mended policies say, before it counts as one that does not.
const ENFORCED: Duration = Duration::from_secs(30);

impl Planner {
    /// Takes what a canary saw: a nonce convicts the pod whose nonce it is, wherever the packet seemed to
    /// come from.
    pub fn seen(
        &mut self,
        canary: &Canary,
        seen: &[Seen],
        now: std::time::Instant,
    ) -> Vec<super::Action> {
        let mut convicted = BTreeSet::new();
        for seen in seen {
            let Some((uid, made)) = self.nonces.get(&seen.nonce) else {
                continue;
            };
            let Some(track) = self.tracks.get_mut(uid) else {
                continue;
            };
            track.gets_out(*made);
            let udp = seen.proto == Proto::Udp;
            let transport = if udp { "UDP" } else { "TCP" };
            track.got_out.add(
                Way {
                    name: format!("canary {} over {transport}", canary.pod.name),
                    to: Destination::Canary(canary.uid.clone()),
                    port: self.config.ports.canary,
                    udp,
                },
                now,
            );
            convicted.insert(uid.clone());
        }
        let mut actions = Vec::new();
        for uid in convicted {
            if let Some(track) = self.tracks.get_mut(&uid) {
                track.word_opening(&self.view, now);
                track.order = track.opening.as_ref().map(|(reason, detail)| Opening {
                    reason: reason.as_str().to_owned(),
                    detail: detail.clone(),
                });
                track.alarm_again(now, self.config.tick);
                track.bad = track.bad.saturating_add(1);
            }
            self.settle(&uid, now, &mut actions);
        }
        actions
    }
}

impl Track {
    /// Takes a report: what it reached, and whether it is closed again.
    pub(super) fn take_report(
        &mut self,
        report: &Report,
        begun: std::time::Instant,
        now: std::time::Instant,
    ) {
        let reached = report.targets.iter();
        let reached = reached.filter(|target| target.verdict == Verdict::Reached);
        let (noted, out): (Vec<&TargetReport>, Vec<_>) = reached.partition(|target| {
            self.own_node == OwnNode::Report && target.name.starts_with(OWN_NODE)
        });
        for target in noted {
            let note = format!("ownNode: reached at {}", target.addr);
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        if !out.is_empty() {
            self.gets_out(begun);
        }
        for way in out.into_iter().filter_map(Way::of) {
            self.got_out.add(way, now);
        }
        let newer = self.got_out.last.is_none_or(|last| begun > last);
        if report.state != State::Open && newer && self.order.is_none() {
            self.got_out = GotOut::default();
            self.opening = None;
        }
        self.remembered(report);
    }

    /// Something got out in a round or an alarm that began then, and so it is not a control that keeps the pod open.
    /// What the policies explained when it was found, and what leads out long after they were mended, are two things.
    fn gets_out(&mut self, begun: std::time::Instant) {
        self.control_failures = 0;
        let explained = self.got_out.explained;
        let mended = self.closure == Some(Closure::Equal);
        if mended && explained.is_some_and(|last| begun > last + ENFORCED) {
            self.got_out = GotOut::default();
        }
    }

    /// Whether it is open, and why, by all that is known now.
    pub(super) fn word_opening(&mut self, view: &View, now: std::time::Instant) {
        let widened = match &self.closure {
            Some(closure @ Closure::Widened(_)) => Some(closure.detail()),
            _ => None,
        };
        let reported = self
            .report
            .as_ref()
            .filter(|report| report.state == State::Open);
        let reported = reported.and_then(|report| report.opening.clone());
        self.opening = if !self.got_out.ways.is_empty() {
            if self.got_out.ways.iter().any(|way| self.explains(way, view)) {
                self.got_out.explained = Some(now);
            }
            let names: Vec<&str> = self
                .got_out
                .ways
                .iter()
                .map(|way| way.name.as_str())
                .collect();
            let reached = format!("reached {}", names.join(", "));
            Some(match (self.got_out.explained.is_some(), widened) {
                (true, Some(detail)) => (Reason::EgressOpen, format!("{reached}; {detail}")),
                (true, None) => (Reason::EgressOpen, reached),
                (false, _) => (
                    Reason::NotEnforced,
                    format!("{reached}; no NetworkPolicy explains it"),
                ),
            })
        } else if let Some(detail) = &self.altered {
            Some((Reason::PodAltered, detail.clone()))
        } else if let (Some(detail), true) = (&widened, self.pod.unlabelled) {
            let text = format!("somebody took the label sealroom.dev/sealed away: {detail}");
            Some((Reason::PodAltered, text))
        } else if let Some(detail) = widened {
            // The gate may have found a way out between rounds, by targets that no report lists.
            let got_out = reported.filter(|opening| opening.reason == Reason::EgressOpen.as_str());
            Some(got_out.map_or((Reason::PolicyWidens, detail), |opening| {
                (Reason::EgressOpen, opening.detail)
            }))
        } else if self.doubt.is_some() && self.report_begun <= self.doubt {
            // The policies are mended, and the gate has not said yet what became of it.
            self.opening.take()
        } else {
            reported.map(|opening| {
                let reason = Reason::of_opening(&opening.reason);
                (reason, opening.detail)
            })
        };
        if let Some((_, detail)) = &mut self.opening
            && detail.chars().count() > MAX_DETAIL
        {
            *detail = detail.chars().take(MAX_DETAIL).collect();
        }
    }

    fn explains(&self, way: &Way, view: &View) -> bool {
        let canaries = || view.shared.canaries.iter().map(|canary| canary.pod.clone());
        let protocol = if way.udp {
            Protocol::Udp
        } else {
            Protocol::Tcp
        };
        let permits = |peer: Remote<'_>| {
            let pods: Vec<policy::Pod> = view
                .pods
                .iter()
                .map(|pod| pod.pod.clone())
                .chain(canaries())
                .collect();
            policy::permits(
                &view.policies,
                &view.namespaces,
                &pods,
                Direction::Egress,
                &self.pod.pod,
                peer,
                way.port,
                protocol,
            )
        };
        match &way.to {
            Destination::Ip(ip) => permits(Remote::Ip(*ip)),
            Destination::Canary(uid) => {
                let canary = view
                    .shared
                    .canaries
                    .iter()
                    .find(|canary| canary.uid == *uid);
                canary.is_some_and(|canary| permits(Remote::Pod(&canary.pod, None)))
            }
            Destination::Service => matches!(&self.closure, Some(Closure::Widened(widenings))
            if widenings.iter().any(|widening| match widening {
                Widening::NotIsolated(direction) => *direction == Direction::Egress,
                Widening::Policy { direction, .. } => *direction == Direction::Egress,
            })),
        }
    }
}
