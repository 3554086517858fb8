//! Leader election by a Lease (coordination.k8s.io/v1).
//!
//! Every write is guarded by the resourceVersion that was read. Decisions use this process's monotonic clock:
//! a follower takes over when it has not seen the lease change for its whole duration, a leader steps down
//! when its own renewals did not get through for two thirds of it, so there is never a moment with two.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::names::{LEASE, MANAGED_BY, MANAGER};

/// How long a lease holds that nobody renews.
const DURATION: Duration = Duration::from_secs(15);
/// How long a leader goes on without a renewal that got through.
const DEADLINE: Duration = Duration::from_secs(10);
/// Time between two renewals, or two looks of a follower.
const EVERY: Duration = Duration::from_secs(3);

/// Someone who wants to lead.
pub struct Candidate {
    api: Api<Lease>,
    identity: String,
    /// The version of the lease that was last seen to change, and when.
    seen: Option<(String, Instant)>,
    /// The lease as our last renewal left it: the next one need not read it.
    held: Option<Lease>,
}

impl Candidate {
    /// A candidate. The client should give up within [`EVERY`] and not retry by itself.
    #[must_use]
    pub fn new(client: Client, namespace: &str, identity: String) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            identity,
            seen: None,
            held: None,
        }
    }

    /// Returns once the lease is ours.
    pub async fn acquire(&mut self) {
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "failed to ask for the lease"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Renews, and returns when the lease is somebody else's or could not be renewed in time.
    pub async fn hold(&mut self) {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(EVERY).await;
            let begun = Instant::now();
            let left = DEADLINE.saturating_sub(renewed.elapsed());
            match tokio::time::timeout(left, self.attempt()).await {
                Ok(Ok(true)) => renewed = begun,
                Ok(Ok(false)) => return,
                Ok(Err(error)) => tracing::warn!(%error, "failed to renew the lease"),
                Err(_) => tracing::warn!("the lease's renewal took too long"),
            }
            if renewed.elapsed() >= DEADLINE {
                return;
            }
        }
    }

    /// Gives the lease back, so that the next leader need not wait.
    pub async fn release(&mut self) {
        let Ok(mut lease) = self.api.get(LEASE).await else {
            return;
        };
        let Some(spec) = lease.spec.as_mut().filter(|spec| self.ours(spec)) else {
            return;
        };
        spec.holder_identity = Some(String::new());
        let _ = self.api.replace(LEASE, &params(), &lease).await;
    }

    /// One try. True when the lease is ours now.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        if let Some(mut held) = self.held.take() {
            held.spec = Some(self.spec(held.spec.as_ref()));
            if self.write(&held).await? {
                return Ok(true);
            }
            // Somebody else has written it, which is no takeover yet.
        }
        let Some(mut lease) = self.api.get_opt(LEASE).await? else {
            let fresh = Lease {
                metadata: ObjectMeta {
                    name: Some(LEASE.to_owned()),
                    labels: Some([(MANAGED_BY.to_owned(), MANAGER.to_owned())].into()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(None)),
            };
            let created = self.api.create(&params(), &fresh).await;
            return self.won(created);
        };
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != version) {
            self.seen = Some((version, Instant::now()));
        }
        let old = lease.spec.clone().unwrap_or_default();
        if !self.ours(&old) && !self.free(&old) {
            return Ok(false);
        }
        lease.spec = Some(self.spec(Some(&old)));
        self.write(&lease).await
    }

    async fn write(&mut self, lease: &Lease) -> Result<bool, kube::Error> {
        let written = self.api.replace(LEASE, &params(), lease).await;
        self.won(written)
    }

    /// Keeps what was written. That somebody else was quicker, or deleted it, is no failure.
    fn won(&mut self, result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
        match result {
            Ok(lease) => {
                self.held = Some(lease);
                Ok(true)
            }
            Err(kube::Error::Api(status))
                if status.is_conflict() || status.is_already_exists() || status.is_not_found() =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn ours(&self, spec: &LeaseSpec) -> bool {
        spec.holder_identity.as_deref() == Some(&self.identity)
    }

    /// Nobody has it, or it did not change for its whole duration while we looked.
    fn free(&self, spec: &LeaseSpec) -> bool {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let seconds = spec
            .lease_duration_seconds
            .and_then(|s| u64::try_from(s).ok());
        let duration = seconds.map_or(DURATION, Duration::from_secs).max(DURATION);
        holder.is_empty()
            || self
                .seen
                .as_ref()
                .is_some_and(|(_, at)| at.elapsed() >= duration)
    }

    fn spec(&self, old: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let kept = old.filter(|old| self.ours(old));
        let transitions = old
            .and_then(|old| old.lease_transitions)
            .unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: kept
                .and_then(|old| old.acquire_time.clone())
                .or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions + i32::from(old.is_some() && kept.is_none())),
            ..LeaseSpec::default()
        }
    }
}

fn params() -> PostParams {
    PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    }
}
