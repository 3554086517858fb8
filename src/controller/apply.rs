//! The only writer of children: server-side apply by one field manager, after the question whose they are.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::NamespaceResourceScope;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::names::{APPLIED, MANAGER, short_hash};

mod ack;
mod amiss;
mod contest;
mod error;
mod halt;
mod make;
mod ours;
mod template;
mod wrote;

pub use ack::Ack;
pub use error::ApplyError;
pub use wrote::UNSEEN;

use amiss::Lasting;
use contest::Contests;
use error::fault;
use ours::must_be_ours;
use wrote::{Memory, Sight};

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
    /// What others add is theirs, but for a pod template.
    Ours,
    /// What others add to the spec changes its meaning: it goes.
    WholeSpec,
}

/// Writes children.
#[derive(Clone)]
pub struct Applier {
    client: Client,
    recorder: Recorder,
    wrote: Arc<Memory>,
    contests: Arc<Mutex<Contests>>,
}

impl Applier {
    /// A writer with its own memory of what it wrote.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let reporter = Reporter {
            controller: "sealroom-operator".to_owned(),
            instance: None,
        };
        let recorder = Recorder::new(client.clone(), reporter);
        Self {
            client,
            recorder,
            wrote: Arc::default(),
            contests: Arc::default(),
        }
    }

    fn contests(&self) -> MutexGuard<'_, Contests> {
        self.contests.lock().unwrap_or_else(PoisonError::into_inner)
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
            must_be_ours(&*there, wanted, owner)?;
            return Ok(Ack::Unchanged);
        }
        let key = key(wanted);
        if self.wrote.sight::<K>(&key, "", None) == Sight::Unseen {
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
                must_be_ours(&there, wanted, owner)?;
                there
            }
            Err(source) => return Err(fault(wanted, source)),
        };
        self.wrote
            .remember(key, String::new(), &made, Lasting::default());
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

    fn api<K: Child>(&self, of: &K) -> Api<K> {
        Api::namespaced(self.client.clone(), &of.namespace().unwrap_or_default())
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

/// The hash of what was applied last to the one that is there.
fn applied<K: Child>(there: &K) -> Option<&str> {
    there.annotations().get(APPLIED).map(String::as_str)
}

/// As JSON. What cannot be written so is a bug of the type, and then like nothing.
fn value<K: Child>(of: &K) -> Value {
    serde_json::to_value(of).unwrap_or_default()
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
