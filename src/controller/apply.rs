//! The only writer of children: server-side apply by one field manager, after the question whose they are.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::difference;
use super::names::{APPLIED, MANAGED_BY, MANAGER, short_hash};

/// What became of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// It is as wanted.
    Unchanged,
    /// It was written, or was a moment ago and the store does not show it yet.
    Written,
}

/// Why a child could not be made so.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Its name belongs to somebody else's object.
    #[error("{kind} {name} exists and is not ours")]
    NameConflict {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
    },
    /// The API server refuses it for good.
    #[error("the API server refuses {kind} {name}: {message}")]
    Refused {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// The API server's words, shortened.
        message: String,
    },
    /// Anything else: worth another try.
    #[error("failed to write {kind} {name}: {source}")]
    Request {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

/// A namespaced kind that can be written.
pub trait Child:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Serialize
    + DeserializeOwned
    + Clone
    + Debug
    + Send
    + Sync
    + 'static
{
}

impl<K> Child for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug
        + Send
        + Sync
        + 'static
{
}

/// How the existing child is compared with the wanted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// What others add is theirs.
    Ours,
    /// What others add to the spec changes its meaning: it goes.
    WholeSpec,
}

#[derive(Debug)]
struct Wrote {
    hash: String,
    at: Instant,
    /// The resourceVersion that the store must show before its object counts again.
    version: u64,
    /// Applying did not bring the wanted state about: not again while the object stays at this version.
    settled: bool,
}

/// Writes children.
#[derive(Clone)]
pub struct Applier {
    client: Client,
    wrote: Arc<Mutex<HashMap<String, Wrote>>>,
}

/// How long a write counts that the store does not show. A watch is seldom more than a second behind.
pub const UNSEEN: Duration = Duration::from_secs(10);

impl Applier {
    /// A writer with its own memory of what it wrote.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let wrote = Arc::default();
        Self { client, wrote }
    }

    /// Makes the child be as wanted. `there` is what the store has; `owner` the UID that must own it, none
    /// for what belongs to the namespace.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing was written then.
    pub async fn apply<K: Child>(
        &self,
        wanted: &K,
        there: Option<Arc<K>>,
        owner: Option<&str>,
        compare: Compare,
    ) -> Result<Ack, ApplyError> {
        let fault = |source| fault(wanted, source);
        let (body, hash) = body(wanted);
        let key = key(wanted);
        if self.unseen(&key, &hash, there.as_deref()) {
            return Ok(Ack::Written);
        }
        let api = self.api(wanted);
        let there = match there {
            Some(there) => Some(there),
            None => api
                .get_opt(&wanted.name_any())
                .await
                .map_err(fault)?
                .map(Arc::new),
        };
        if let Some(there) = there.as_deref() {
            must_be_ours(there, owner)?;
            if matches(&body, there, compare) || self.settled(&key, &hash, there) {
                return Ok(Ack::Unchanged);
            }
        }
        let params = PatchParams::apply(MANAGER);
        // A child that is not there is made without force: should somebody else make it in this moment, the
        // API server says so.
        let params = if there.is_some() {
            params.force()
        } else {
            params
        };
        let after = api
            .patch(&wanted.name_any(), &params, &Patch::Apply(&body))
            .await
            .map_err(fault)?;
        let settled = !matches(&body, &after, compare);
        if settled {
            tracing::warn!(child = %key, "applied, and somebody else's fields remain");
        }
        self.remember(key, hash, &after, settled);
        Ok(Ack::Written)
    }

    /// Makes the child once; what cannot change is never written again.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing was written then.
    pub async fn create<K: Child>(
        &self,
        wanted: &K,
        there: Option<Arc<K>>,
        owner: Option<&str>,
    ) -> Result<Ack, ApplyError> {
        if let Some(there) = there {
            must_be_ours(&*there, owner)?;
            return Ok(Ack::Unchanged);
        }
        let key = key(wanted);
        if self.unseen::<K>(&key, "", None) {
            return Ok(Ack::Written);
        }
        let api = self.api(wanted);
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let made = match api.create(&params, wanted).await {
            Ok(made) => made,
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let there = api
                    .get(&wanted.name_any())
                    .await
                    .map_err(|source| fault(wanted, source))?;
                must_be_ours(&there, owner)?;
                there
            }
            Err(source) => return Err(fault(wanted, source)),
        };
        self.remember(key, String::new(), &made, false);
        Ok(Ack::Written)
    }

    /// Deletes exactly this object in exactly this version. One that is gone or changed already is no error.
    ///
    /// # Errors
    /// When the API server could not be asked.
    pub async fn delete<K: Child>(&self, there: &K) -> Result<(), ApplyError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: there.uid(),
                resource_version: there.resource_version(),
            }),
            ..DeleteParams::background()
        };
        match self.api(there).delete(&there.name_any(), &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                Ok(())
            }
            Err(source) => Err(fault(there, source)),
        }
    }

    /// Ends the pods of a Deployment of which nothing else can be said. Applying takes the field back.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing was written then.
    pub async fn halt(&self, there: &Deployment, owner: &str) -> Result<(), ApplyError> {
        let spec = there.spec.as_ref();
        if spec.is_some_and(|spec| spec.replicas == Some(0)) {
            return Ok(());
        }
        must_be_ours(there, Some(owner))?;
        let body = json!({"metadata": {"uid": there.uid()}, "spec": {"replicas": 0}});
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let api = self.api(there);
        let (name, patch) = (there.name_any(), Patch::Merge(&body));
        match api.patch(&name, &params, &patch).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(source) => Err(fault(there, source)),
        }
    }

    fn api<K: Child>(&self, of: &K) -> Api<K> {
        Api::namespaced(self.client.clone(), &of.namespace().unwrap_or_default())
    }

    fn unseen<K: Child>(&self, key: &str, hash: &str, there: Option<&K>) -> bool {
        let mut wrote = self.wrote.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = wrote.get(key) else {
            return false;
        };
        let behind = there.is_none_or(|there| version(there) < last.version);
        let fresh = last.at.elapsed() < UNSEEN;
        if !behind && !last.settled || behind && !fresh {
            wrote.remove(key);
            return false;
        }
        behind && last.hash == hash
    }

    fn settled<K: Child>(&self, key: &str, hash: &str, there: &K) -> bool {
        let wrote = self.wrote.lock().unwrap_or_else(PoisonError::into_inner);
        wrote
            .get(key)
            .is_some_and(|last| last.settled && last.hash == hash && last.version == version(there))
    }

    fn remember<K: Child>(&self, key: String, hash: String, after: &K, settled: bool) {
        let mut wrote = self.wrote.lock().unwrap_or_else(PoisonError::into_inner);
        wrote.retain(|_, last| last.settled || last.at.elapsed() < UNSEEN);
        let version = version(after);
        let at = Instant::now();
        wrote.insert(
            key,
            Wrote {
                hash,
                at,
                version,
                settled,
            },
        );
    }
}

/// The body with the hash of itself as an annotation, and that hash. The hash shows that a field which is no
/// longer wanted was wanted once.
fn body<K: Child>(wanted: &K) -> (Value, String) {
    let mut body = serde_json::to_value(wanted).unwrap_or_default();
    let hash = short_hash([body.to_string().as_str()], 16);
    if let Some(meta) = body["metadata"].as_object_mut() {
        meta.entry("annotations")
            .or_insert_with(|| Value::Object(serde_json::Map::new()))[APPLIED] =
            hash.clone().into();
    }
    (body, hash)
}

fn matches<K: Child>(body: &Value, there: &K, compare: Compare) -> bool {
    let Ok(there) = serde_json::to_value(there) else {
        return false;
    };
    difference::satisfied(body, &there)
        && (compare == Compare::Ours || difference::identical(&body["spec"], &there["spec"]))
}

fn must_be_ours<K: Child>(there: &K, owner: Option<&str>) -> Result<(), ApplyError> {
    let ours = match owner {
        Some(uid) => there
            .owner_references()
            .iter()
            .any(|owner| owner.uid == uid),
        None => there.labels().get(MANAGED_BY).map(String::as_str) == Some(MANAGER),
    };
    if ours {
        Ok(())
    } else {
        Err(ApplyError::NameConflict {
            kind: K::kind(&()).into_owned(),
            name: there.name_any(),
        })
    }
}

fn fault<K: Child>(of: &K, source: kube::Error) -> ApplyError {
    let kind = K::kind(&()).into_owned();
    let name = of.name_any();
    match source {
        kube::Error::Api(status) if status.is_invalid() || status.is_forbidden() => {
            let message = status.message.chars().take(256).collect();
            ApplyError::Refused {
                kind,
                name,
                message,
            }
        }
        source => ApplyError::Request {
            kind,
            name,
            source: Box::new(source),
        },
    }
}

fn key<K: Child>(of: &K) -> String {
    let namespace = of.namespace().unwrap_or_default();
    format!("{}/{namespace}/{}", K::kind(&()), of.name_any())
}

/// Resource versions of one kind are comparable numbers (KEP-5504).
pub(super) fn version<K: Resource>(of: &K) -> u64 {
    of.resource_version()
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
