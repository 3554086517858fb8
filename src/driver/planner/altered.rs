//! A pod that is not what was made: it is shut, gets no further challenge but that order, and stays so to its end.
//!
//! Its gate may be another one, so that no report of it proves anything. What ran in it while it was altered may have
//! read along, so that a pod that was put back is not what it was.

use std::time::Instant;

use crate::driver::view::SealedPod;
use crate::seal::wire::{Opening, Report};

use super::Reason;
use super::opening::MAX_DETAIL;
use super::track::Track;

/// What somebody has to do about it.
const CURE: &str = "find who changes pods (a mesh injector, a policy engine, a person) and have them leave out pods with the label sealroom.dev/sealed, then delete this pod: it is made anew";

impl Track {
    /// Takes in how the pod differs from what was made.
    pub(super) fn compare(&mut self, pod: &SealedPod, now: Instant) {
        let condition = pod.condition.as_ref();
        self.was_ready |= condition.is_some_and(|seen| seen.status == "True");
        let Some(found) = &pod.altered else {
            return;
        };
        let first = self.altered.is_none();
        let detail = format!("it is not what was made: {found}; {CURE}");
        let detail: String = detail.chars().take(MAX_DETAIL).collect();
        if first {
            self.alarm = Some(now);
            self.order = Some(Opening {
                reason: Reason::PodAltered.as_str().to_owned(),
                detail: detail.clone(),
            });
        }
        self.altered = Some(detail);
    }

    /// A gate remembers what a predecessor told it about its pod.
    pub(super) fn remembered(&mut self, report: &Report) {
        let told = report.opening.as_ref();
        let told = told.filter(|told| told.reason == Reason::PodAltered.as_str());
        if let (None, Some(told)) = (&self.altered, told) {
            self.altered = Some(told.detail.clone());
        }
    }

    /// Whether its runtime has run, by what its gate says or, of a gate that may be another, by what was proven.
    pub(super) fn ran(&self) -> bool {
        let report = self.report.as_ref();
        report.is_some_and(|report| report.runtime_ran)
            || (self.altered.is_some() && self.was_ready)
    }
}
