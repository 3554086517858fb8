//! Rounds: the operator's challenges, and the gate's own probes between them.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};

use super::answer::{Body, Refusal, json_response};
use super::core::Core;
use crate::seal::probe::probe;
use crate::seal::sign::{CHALLENGE, TrustedKeys};
use crate::seal::state::Refused;
use crate::seal::wire::{Challenge, ChallengeConflict, Envelope, Report};

/// Rounds that are probed at once.
pub const MAX_ROUNDS: usize = 8;

/// Why a challenge is not answered with a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotObeyed {
    /// It is malformed, not trusted, or comes when too many rounds are under way.
    Refused(Refusal),
    /// It is for another session, or not new.
    Conflict(ChallengeConflict),
}

impl NotObeyed {
    /// As HTTP.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::Conflict(conflict) => json_response(StatusCode::CONFLICT, &conflict),
        }
    }
}

impl From<Refusal> for NotObeyed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Takes challenges.
#[derive(Debug)]
pub struct Rounds {
    core: Arc<Core>,
    keys: TrustedKeys,
    places: Arc<Semaphore>,
}

impl Rounds {
    /// Obeys orders that one of `keys` signed.
    #[must_use]
    pub fn new(core: Arc<Core>, keys: TrustedKeys) -> Self {
        Self {
            core,
            keys,
            places: Arc::new(Semaphore::new(MAX_ROUNDS)),
        }
    }

    /// Checks a challenge, probes, and reports. An opening that it orders has happened when this first waits.
    ///
    /// # Errors
    /// 400 for what is no envelope or breaks a limit, 403 for a signature that is not trusted or another pod,
    /// 409 for a replay or another session, 429 when too many rounds are under way.
    pub async fn challenge(&self, body: &[u8]) -> Result<Report, NotObeyed> {
        let refuse = |status, code, error: &dyn std::fmt::Display| {
            tracing::warn!(%error, "challenge refused");
            Refusal::new(status, code, error.to_string())
        };
        let envelope: Envelope = serde_json::from_slice(body).map_err(|_| {
            refuse(
                StatusCode::BAD_REQUEST,
                "Malformed",
                &"failed to read the envelope",
            )
        })?;
        let challenge: Challenge = self
            .keys
            .open(CHALLENGE, &envelope)
            .map_err(|error| refuse(StatusCode::FORBIDDEN, "NotTrusted", &error))?;
        let round = self.core.begin(challenge).map_err(|error| match error {
            Refused::Malformed(_) => refuse(StatusCode::BAD_REQUEST, "Malformed", &error).into(),
            Refused::OtherPod => refuse(StatusCode::FORBIDDEN, "OtherPod", &error).into(),
            Refused::Session | Refused::Sequence { .. } | Refused::Nonce => {
                // The first challenge of every leader asks this way: no reason to warn.
                tracing::info!(%error, "challenge refused");
                NotObeyed::Conflict(self.core.conflict())
            }
        })?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Busy",
                "too many rounds at once",
            )
            .retry(1)
        })?;
        let core = Arc::clone(&self.core);
        // A task of its own: an operator that goes away does not stop what the round may find.
        let probed = tokio::spawn(async move {
            let observations = probe(round.targets(), round.nonce()).await;
            core.finish(round, &observations);
            drop(place);
            core.report()
        });
        probed.await.map_err(|_| {
            Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Failed",
                "the round failed",
            )
            .into()
        })
    }
}

/// Probes the newest challenge's targets every `every`, for ever; what answers opens at once.
pub async fn probe_by_itself(core: Arc<Core>, every: Duration) {
    let mut clock = interval(every);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if let Some((targets, nonce)) = core.self_targets() {
            let observations = probe(&targets, &nonce).await;
            core.self_probe(&targets, &observations);
        }
    }
}

/// Follows the clock: a proof grows stale by itself.
pub async fn keep_time(core: Arc<Core>) {
    let mut status = core.watch();
    loop {
        let next = core.refresh();
        let wait = next.map_or(Duration::from_secs(60), |at| {
            at.saturating_duration_since(std::time::Instant::now())
        });
        // The timer counts whole milliseconds.
        let wait = wait + Duration::from_millis(1);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = status.changed() => if changed.is_err() { return },
        }
    }
}
