//! The condition `Sealed` of one pod.

use std::time::{Duration, Instant};

use crate::driver::view::PodKind;
use crate::policy::Closure;
use crate::seal::wire::State;

use super::track::Track;

/// Rounds in a row whose controls must fail before the condition says so: one lost packet is no news.
const CONTROL_MISSES: u32 = 3;
/// Rounds in a row that must go unheard before the message says so.
const UNHEARD: u32 = 3;

/// A condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

impl Status {
    /// As the API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// The reasons of the condition `Sealed` that the driver gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// True: it has no way out.
    NoEgress,
    /// True: it has the ways out that it declared and no other.
    DeclaredEgressOnly,
    /// False: it got out and a policy explains it.
    EgressOpen,
    /// False: a policy allows more than was declared.
    PolicyWidens,
    /// False: it got out and no policy explains it.
    NotEnforced,
    /// False: it is not what was made.
    PodAltered,
    /// Unknown: the first proof is under way.
    Proving,
    /// Unknown: a control failed, so silence proves nothing.
    ControlFailed,
    /// Unknown: the last proof is older than its validity.
    EvidenceStale,
}

impl Reason {
    /// As the condition names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoEgress => "NoEgress",
            Self::DeclaredEgressOnly => "DeclaredEgressOnly",
            Self::EgressOpen => "EgressOpen",
            Self::PolicyWidens => "PolicyWidens",
            Self::NotEnforced => "NotEnforced",
            Self::PodAltered => "PodAltered",
            Self::Proving => "Proving",
            Self::ControlFailed => "ControlFailed",
            Self::EvidenceStale => "EvidenceStale",
        }
    }

    /// The reason of an opening that a gate reports; anything else than these is an open egress.
    pub(super) fn of_opening(name: &str) -> Self {
        match name {
            "PolicyWidens" => Self::PolicyWidens,
            "NotEnforced" => Self::NotEnforced,
            "PodAltered" => Self::PodAltered,
            _ => Self::EgressOpen,
        }
    }
}

/// The verdict on one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The status.
    pub status: Status,
    /// The reason.
    pub reason: Reason,
    /// For people: what and, where somebody can mend it, how. Changes only when something else does.
    pub message: String,
}

pub(super) fn judge(track: &Track, validity: Duration, egress: bool, now: Instant) -> Sealed {
    let of = |status, reason, message: &str| Sealed {
        status,
        reason,
        message: message.to_owned(),
    };
    if let Some((reason, detail)) = &track.opening {
        // Nobody finds it in the policies, so it is named.
        let name = &track.pod.pod.name;
        let named = (*reason == Reason::PodAltered).then(|| format!("pod {name}: {detail}"));
        let mut message = named.unwrap_or_else(|| detail.clone());
        if let Some(why) = track.still_open() {
            message = format!("{message}; {why}");
        }
        return of(Status::False, *reason, &message);
    }
    if track.pod.kind == PodKind::Ungated {
        return match (&track.closure, egress) {
            (Some(Closure::Equal), true) => of(
                Status::True,
                Reason::DeclaredEgressOnly,
                "policies allow this pod only what was declared; enforcement is not proven for a pull",
            ),
            (Some(Closure::Equal), false) => of(
                Status::True,
                Reason::NoEgress,
                "policies allow this pod no way out; enforcement is not proven for a pull",
            ),
            _ => of(
                Status::Unknown,
                Reason::Proving,
                "waiting for the object that declares its edges",
            ),
        };
    }
    let state = track.report.as_ref().map(|report| report.state);
    let fresh = track
        .last_proven
        .is_some_and(|(begun, _)| now.saturating_duration_since(begun) < validity);
    if state == Some(State::Proven) && fresh {
        return if egress {
            of(
                Status::True,
                Reason::DeclaredEgressOnly,
                "policies allow only what was declared, and no tested target could be reached",
            )
        } else {
            of(
                Status::True,
                Reason::NoEgress,
                "policies allow no way out, and no tested target could be reached",
            )
        };
    }
    if track.control_misses >= CONTROL_MISSES {
        return of(
            Status::Unknown,
            Reason::ControlFailed,
            &track.control_failed(),
        );
    }
    match state {
        None | Some(State::Unproven | State::Open) => {
            let message = if !track.pod.gate_running {
                "waiting for the gate to start"
            } else if track.closure.is_none() {
                "waiting for the object that declares its edges"
            } else if track.unheard >= UNHEARD {
                "the gate does not answer the operator"
            } else {
                "the first proof is under way"
            };
            of(Status::Unknown, Reason::Proving, message)
        }
        Some(State::Proven) if track.last_proven.is_none() => of(
            Status::Unknown,
            Reason::Proving,
            "the gate holds a proof that this operator has yet to repeat",
        ),
        Some(State::Proven | State::Stale) => of(
            Status::Unknown,
            Reason::EvidenceStale,
            if track.unheard >= UNHEARD {
                "the last proof is older than its validity: the gate does not answer the operator"
            } else {
                "the last proof is older than its validity"
            },
        ),
    }
}

impl Track {
    /// What keeps a pod open that nobody holds open any more.
    fn still_open(&self) -> Option<String> {
        if self.pod.terminating {
            return Some(format!("pod {} is being deleted", self.pod.pod.name));
        }
        if self.altered.is_some() || self.closure != Some(Closure::Equal) {
            return None;
        }
        if self.unheard >= UNHEARD {
            return Some("the gate does not answer the operator".to_owned());
        }
        // Each one that fails ends a proof, so these need not follow each other.
        (self.control_failures >= CONTROL_MISSES).then(|| self.control_failed())
    }

    /// Which controls failed last.
    fn control_failed(&self) -> String {
        let failed = self.failed_controls.join("; ");
        let message = format!("a control failed, so silence proves nothing: {failed}");
        message.chars().take(1024).collect()
    }
}
