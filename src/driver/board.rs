//! What is known about every sealed pod, for those who write status and metrics.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use tokio::sync::broadcast;

use crate::policy::{Closure, PolicyRef};
use crate::seal::wire::{Lack, Mcp, Opening, Report, RuntimeFault, State, TokenKeys};

use super::made::Made;
use super::planner::Sealed;
use super::view::PodKind;

/// Changes that a slow reader may lag behind before it is told that it missed some.
const CHANGES: usize = 1024;

/// The seal of one pod.
#[derive(Clone, Debug)]
pub struct PodSeal {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's UID.
    pub uid: String,
    /// UID of the object that it belongs to.
    pub owner_uid: String,
    /// Whether it has a gate. Without one `sealed` claims nothing but the closure.
    pub kind: PodKind,
    /// The verdict as the condition `Sealed` words it.
    pub sealed: Sealed,
    /// The gate's state by its last report.
    pub state: Option<State>,
    /// The locks that the gate said hold.
    pub locks: Vec<String>,
    /// Why it is open, while it is.
    pub opening: Option<Opening>,
    /// The gate's last report.
    pub report: Option<Arc<Report>>,
    /// What is wrong with its runtime.
    pub runtime_fault: Option<RuntimeFault>,
    /// What the policies say; `None` before the object that the pod belongs to is known.
    pub closure: Option<Closure>,
    /// When the newest round that proved it began, and the same on the wall's clock for people.
    pub last_proven: Option<(Instant, SystemTime)>,
    /// The policies that select the pod.
    pub policies: Vec<PolicyRef>,
    /// What is not tested or stays open by declaration, in words: `otherNode: not tested`.
    pub notes: Vec<String>,
}

impl PodSeal {
    /// Whether a reader of conditions would see a difference. Reports and times move all the time.
    fn differs(&self, other: &Self) -> bool {
        self.sealed != other.sealed
            || self.state != other.state
            || self.locks != other.locks
            || self.opening != other.opening
            || self.runtime_fault != other.runtime_fault
            || self.policies != other.policies
            || self.notes != other.notes
            || self.keys_missing() != other.keys_missing()
            || self.certificate_missing() != other.certificate_missing()
            || self.token_keys() != other.token_keys()
            || self.mcp() != other.mcp()
            || self.models_lack() != other.models_lack()
    }

    /// Whether the gate asks for API keys and has none.
    #[must_use]
    pub fn keys_missing(&self) -> bool {
        self.report
            .as_ref()
            .is_some_and(|report| report.keys_missing)
    }

    /// Whether the gate is to serve TLS and has no certificate.
    #[must_use]
    pub fn certificate_missing(&self) -> bool {
        self.report
            .as_ref()
            .is_some_and(|report| report.certificate_missing)
    }

    /// What the gate says about the MCP server behind it.
    #[must_use]
    pub fn mcp(&self) -> Option<&Mcp> {
        self.report.as_ref()?.mcp.as_ref()
    }

    /// What the gate says that it lacks to ask the models of its pod's program; nothing while it was not heard.
    #[must_use]
    pub fn models_lack(&self) -> Option<&[Lack]> {
        Some(&self.report.as_ref()?.models_lack)
    }

    /// What the gate says about its key set of tokens.
    #[must_use]
    pub fn token_keys(&self) -> TokenKeys {
        let report = self.report.as_ref();
        report.map_or(TokenKeys::Good, |report| report.token_keys)
    }
}

/// The object of this UID in this namespace has a pod whose seal changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub owner_uid: String,
}

/// The board. Clones share what is on it.
#[derive(Clone, Debug)]
pub struct Board(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pods: RwLock<HashMap<String, Arc<PodSeal>>>,
    changes: broadcast::Sender<Changed>,
    made: Made,
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Board {
    /// An empty board.
    #[must_use]
    pub fn new() -> Self {
        let (changes, _) = broadcast::channel(CHANGES);
        let pods = RwLock::default();
        let made = Made::default();
        Self(Arc::new(Inner {
            pods,
            changes,
            made,
        }))
    }

    /// Where reconcilers note what they made: the driver holds the pods to it.
    #[must_use]
    pub fn made(&self) -> &Made {
        &self.0.made
    }

    /// The seal of the pod with this UID.
    #[must_use]
    pub fn get(&self, pod_uid: &str) -> Option<Arc<PodSeal>> {
        let pods = self.0.pods.read().unwrap_or_else(PoisonError::into_inner);
        pods.get(pod_uid).cloned()
    }

    /// All pods of one object, by name.
    #[must_use]
    pub fn of_owner(&self, owner_uid: &str) -> Vec<Arc<PodSeal>> {
        let mut pods = self.all();
        pods.retain(|seal| seal.owner_uid == owner_uid);
        pods
    }

    /// All pods, by namespace and name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<PodSeal>> {
        let pods = self.0.pods.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = pods.values().cloned().collect();
        all.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
        all
    }

    /// Changes from now on. A reader that lags gets `Lagged` and reads everything anew.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Changed> {
        self.0.changes.subscribe()
    }

    pub(super) fn publish(&self, seal: PodSeal) {
        let changed = Changed {
            namespace: seal.namespace.clone(),
            owner_uid: seal.owner_uid.clone(),
        };
        let seal = Arc::new(seal);
        let mut pods = self.0.pods.write().unwrap_or_else(PoisonError::into_inner);
        let before = pods.insert(seal.uid.clone(), Arc::clone(&seal));
        drop(pods);
        if before.is_none_or(|before| before.differs(&seal)) {
            // Nobody listening is no error.
            let _ = self.0.changes.send(changed);
        }
    }

    pub(super) fn forget(&self, pod_uid: &str) {
        let mut pods = self.0.pods.write().unwrap_or_else(PoisonError::into_inner);
        let gone = pods.remove(pod_uid);
        drop(pods);
        if let Some(gone) = gone {
            let _ = self.0.changes.send(Changed {
                namespace: gone.namespace.clone(),
                owner_uid: gone.owner_uid.clone(),
            });
        }
    }
}
