//! What every pass is given.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Client;
use tokio::sync::SetOnce;

use super::apply::Applier;
use super::config::Config;
use super::mcp_server;
use super::model_artifact::progress::Poller;
use super::model_deployment::build::edge_policy::Server;
use super::outcome::Backoff;
use super::seal_view::SealView;
use super::status::StatusWriter;
use super::stores::Stores;
use crate::api::ModelDeployment;
use crate::api::model_deployment::SealStatus;
use crate::driver::Board;
use crate::driver::view::PodKind;
use crate::telemetry::Metrics;

/// What every pass is given.
pub struct Context {
    /// For the few requests that are neither child nor status.
    pub client: Client,
    /// The platform's configuration.
    pub config: Arc<Config>,
    /// The operator's own namespace.
    pub namespace: String,
    /// One or two public keys, PEM, for the gates.
    pub verify_keys: String,
    /// What the cluster looks like.
    pub stores: Stores,
    /// Set once every store has its first list. Passes wait for this and not for [`Stores::ready`].
    pub listed: SetOnce<()>,
    /// What is proven about every sealed pod.
    pub board: Board,
    /// Writes children.
    pub applier: Applier,
    /// Writes status.
    pub status: StatusWriter,
    /// Asks pulls.
    pub progress: Poller,
    /// Counts failures.
    pub backoff: Backoff,
    /// Counts passes.
    pub metrics: Metrics,
    /// When this process began to lead.
    pub started: Instant,
}

/// For so long what a predecessor wrote counts, until a pod is proven anew or seen open: that takes a few seconds,
/// and an upgrade of the operator must not make every object look unproven.
pub const HEARING: Duration = Duration::from_secs(15);

impl Context {
    /// What is proven about the pods of the object of this UID, whose status says what a predecessor knew.
    #[must_use]
    pub fn seal_of(
        &self,
        owner_uid: &str,
        conditions: &[Condition],
        seal: Option<&SealStatus>,
    ) -> SealView {
        let mut pods = self.board.of_owner(owner_uid);
        pods.retain(|pod| pod.kind == PodKind::Gated);
        let unheard = pods
            .iter()
            .all(|pod| pod.last_proven.is_none() && pod.opening.is_none());
        let hearing = unheard && self.started.elapsed() < HEARING;
        let before = hearing
            .then(|| SealView::stored(conditions, seal))
            .flatten();
        before.unwrap_or_else(|| SealView::of(&pods))
    }

    /// The MCP servers that may ask the model because they name it and are of its namespace.
    #[must_use]
    pub fn servers_of(&self, model: &ModelDeployment) -> Vec<Server> {
        mcp_server::references::servers_of(&self.stores.mcp_servers, model)
    }
}
