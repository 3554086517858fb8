//! From the answer to a challenge to what is known.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::policy::Closure;
use crate::seal::wire::{Report, State, Verdict};

use super::round::Begun;
use super::schedule::stagger;
use super::track::Track;
use super::{Action, Planner};

/// How a challenge ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What was sent.
    pub begun: Begun,
    /// What came back, or why nothing did.
    pub answer: Result<Report, String>,
}

impl Planner {
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
            self.control_failures = 0;
        }
    }

    fn round_ended(&mut self, begun: &Begun) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.control_misses = if begun.failed.is_empty() {
            0
        } else {
            self.failed_controls.clone_from(&begun.failed);
            self.control_failures = self.control_failures.saturating_add(1);
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
