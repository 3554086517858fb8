//! The status of a ModelArtifact: computed in one place, at the end of every pass; pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::api::model_artifact::{ArtifactFacts, ModelArtifactStatus, Progress};
use crate::api::{ConditionType, ModelArtifact, Reason};
use crate::controller::conditions::{Finding, Truth, conditions};
use crate::controller::outcome::Outcome;
use crate::pull::ProgressReport;

/// What a pass found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The plan's or the pull's facts.
    pub artifact: Option<ArtifactFacts>,
    /// How far the pull is.
    pub progress: Option<Progress>,
    /// Whether the bytes in the claim were verified.
    pub verified: bool,
    /// Planning or Pulling.
    pub phase: Reason,
}

impl From<&ModelArtifactStatus> for Found {
    fn from(status: &ModelArtifactStatus) -> Self {
        Self {
            artifact: status.artifact.clone(),
            progress: status.progress.clone(),
            verified: status.verified,
            phase: if status.artifact.is_some() {
                Reason::Pulling
            } else {
                Reason::Planning
            },
        }
    }
}

impl Found {
    /// Takes in what the pull says, while it pulls.
    pub fn progressed(&mut self, report: &ProgressReport) {
        if self.phase != Reason::Pulling || report.total == 0 {
            return;
        }
        let percent = u128::from(report.bytes) * 100 / u128::from(report.total);
        self.progress = Some(Progress {
            bytes: report.bytes,
            total: report.total,
            percent: format!("{}%", percent.min(100)),
        });
    }
}

/// The status to write.
#[must_use]
pub fn compute(
    this: &ModelArtifact,
    old: &ModelArtifactStatus,
    found: &Found,
    outcome: &Outcome,
    now: Timestamp,
) -> ModelArtifactStatus {
    use ConditionType as C;
    use Truth::{False, True};
    let [artifact, ready, reconciling, stalled] = match outcome {
        Outcome::Done | Outcome::DoneFor(_) if found.verified => [
            (
                True,
                Reason::Verified,
                "the bytes are what the digest says".to_owned(),
            ),
            (True, Reason::Verified, String::new()),
            (False, Reason::Succeeded, String::new()),
            (False, Reason::Succeeded, String::new()),
        ],
        Outcome::Done | Outcome::DoneFor(_) => going(found.phase, ""),
        Outcome::Waiting { message, .. } => going(found.phase, message),
        Outcome::Transient { message } => {
            let [artifact, ready, _, stalled] = going(found.phase, message);
            let again = (True, Reason::RetryingAfterError, message.clone());
            [artifact, ready, again, stalled]
        }
        Outcome::Stalled(stall) => {
            let told = (False, stall.reason, stall.message.clone());
            let held = (True, stall.reason, stall.message.clone());
            [
                told.clone(),
                told,
                (False, stall.reason, String::new()),
                held,
            ]
        }
    };
    let findings = [
        (C::Ready, ready),
        (C::Reconciling, reconciling),
        (C::Stalled, stalled),
        (C::ArtifactReady, artifact),
    ]
    .map(|(kind, (truth, reason, message))| Finding::new(kind, truth, reason, message));
    let generation = this.metadata.generation;
    ModelArtifactStatus {
        conditions: conditions(&findings, &old.conditions, generation, Time(now)),
        observed_generation: generation,
        progress: found.progress.clone(),
        artifact: found.artifact.clone(),
        verified: found.verified,
    }
}

type Cell = (Truth, Reason, String);

/// Work in progress. The phase alone is its message where nothing is in the way: a status that repeats each
/// step's wording would be written for every step.
fn going(phase: Reason, message: &str) -> [Cell; 4] {
    let text = if message.starts_with("pod ") {
        message
    } else {
        ""
    };
    [
        (Truth::False, phase, text.to_owned()),
        (Truth::False, phase, text.to_owned()),
        (Truth::True, phase, text.to_owned()),
        (Truth::False, Reason::Succeeded, String::new()),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::controller::conditions::find;
    use crate::controller::outcome::Stall;

    fn found(verified: bool) -> Found {
        Found {
            artifact: None,
            progress: None,
            verified,
            phase: Reason::Pulling,
        }
    }

    fn this() -> ModelArtifact {
        let spec = serde_json::json!({ "image": "r.io/m@sha256:0", "layout": "LlamaCpp" });
        let mut this = ModelArtifact::new("m", serde_json::from_value(spec).unwrap());
        this.metadata.generation = Some(3);
        this
    }

    fn waiting() -> Outcome {
        Outcome::Waiting {
            reason: Reason::Pulling,
            message: "its Job runs".to_owned(),
            after: Duration::from_secs(1),
        }
    }

    #[rstest::rstest]
    #[case::verified(Outcome::Done, true, ["True", "False", "False", "True"], "Verified")]
    #[case::pulling(waiting(), false, ["False", "True", "False", "False"], "Pulling")]
    #[case::stalled(Outcome::Stalled(Stall::new(Reason::SecretMissing, "make it")), false, ["False", "False", "True", "False"], "SecretMissing")]
    #[case::transient(Outcome::Transient { message: "no".into() }, false, ["False", "True", "False", "False"], "Pulling")]
    fn truth_table(
        #[case] outcome: Outcome,
        #[case] verified: bool,
        #[case] expected: [&str; 4],
        #[case] reason: &str,
    ) {
        let status = compute(
            &this(),
            &ModelArtifactStatus::default(),
            &found(verified),
            &outcome,
            Timestamp::UNIX_EPOCH,
        );
        let kinds = [
            ConditionType::Ready,
            ConditionType::Reconciling,
            ConditionType::Stalled,
            ConditionType::ArtifactReady,
        ];
        let values = kinds.map(|kind| find(&status.conditions, kind).unwrap().status.as_str());
        assert_eq!(values, expected);
        assert_eq!(
            find(&status.conditions, ConditionType::ArtifactReady)
                .unwrap()
                .reason,
            reason
        );
        assert!(
            status
                .conditions
                .iter()
                .all(|c| c.observed_generation == Some(3))
        );
    }

    #[test]
    fn the_same_pass_again_changes_nothing() {
        let first = compute(
            &this(),
            &ModelArtifactStatus::default(),
            &found(false),
            &waiting(),
            Timestamp::UNIX_EPOCH,
        );
        let again = compute(&this(), &first, &found(false), &waiting(), Timestamp::now());
        assert_eq!(first, again);
    }
}
