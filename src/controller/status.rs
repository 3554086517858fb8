//! The only writer of status: one write per change, none repeated, and an Event per changed reason.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::apply::{UNSEEN, version};
use super::conditions::transitions;
use super::names::MANAGER;
use super::serving::runtime;
use crate::api::{ConditionType, Reason};

/// Writes status and Events.
pub struct StatusWriter {
    client: Client,
    recorder: Recorder,
    /// What was written last, by UID, until the store shows that version, or should have.
    wrote: Mutex<HashMap<String, Wrote>>,
}

struct Wrote {
    version: u64,
    status: Value,
    at: Instant,
}

impl StatusWriter {
    /// A writer with its own memory of what it wrote.
    #[must_use]
    pub fn new(client: Client, recorder: Recorder) -> Self {
        let wrote = Mutex::default();
        Self {
            client,
            recorder,
            wrote,
        }
    }

    /// The status as last written, which the store may not show yet.
    pub fn current<K, S>(&self, object: &K, stored: Option<&S>) -> S
    where
        K: Resource,
        S: DeserializeOwned + Clone + Default,
    {
        let uid = object.uid().unwrap_or_default();
        let mut wrote = self.wrote.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = wrote
            .get(&uid)
            .filter(|last| last.version > version(object))
            .and_then(|last| serde_json::from_value(last.status.clone()).ok());
        if newer.is_none() {
            wrote.remove(&uid);
        }
        newer.or_else(|| stored.cloned()).unwrap_or_default()
    }

    /// Writes the status if it is another one, then tells the changed reasons.
    ///
    /// # Errors
    /// When the API server does not take the status.
    pub async fn write<K, S>(
        &self,
        object: &K,
        old: &S,
        new: &S,
        conditions: (&[Condition], &[Condition]),
    ) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug,
        S: Serialize + PartialEq,
    {
        if old == new {
            return Ok(());
        }
        let status = serde_json::to_value(new).map_err(kube::Error::SerdeError)?;
        let body = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            // The UID keeps a status from landing on an object that was made anew under the same name.
            "metadata": { "name": object.name_any(), "uid": object.uid() },
            "status": status,
        });
        let api =
            Api::<K>::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        let params = PatchParams::apply(MANAGER).force();
        let after = api
            .patch_status(&object.name_any(), &params, &Patch::Apply(&body))
            .await?;
        if let Some(uid) = object.uid() {
            let mut wrote = self.wrote.lock().unwrap_or_else(PoisonError::into_inner);
            // Of an object that is gone no store shows anything.
            wrote.retain(|_, last| last.at.elapsed() < UNSEEN);
            let last = Wrote {
                version: version(&after),
                status,
                at: Instant::now(),
            };
            wrote.insert(uid, last);
        }
        for change in transitions(conditions.0, conditions.1) {
            self.tell(object, change).await;
        }
        Ok(())
    }

    async fn tell<K: Resource<DynamicType = ()>>(&self, object: &K, condition: &Condition) {
        let Some(type_) = event_type(condition) else {
            return;
        };
        let event = Event {
            type_,
            reason: condition.reason.clone(),
            note: Some(condition.message.clone()).filter(|note| !note.is_empty()),
            action: condition.type_.clone(),
            secondary: None,
        };
        // An Event is a courtesy: without it the status still says everything.
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            tracing::warn!(%error, "failed to publish an event");
        }
    }
}

/// Ready and Reconciling follow from the others and get no Event of their own, except where a fault of what runs stands
/// in Ready alone.
fn event_type(condition: &Condition) -> Option<EventType> {
    let is = |kind: ConditionType| condition.type_ == kind.as_str();
    let holds = condition.status == "True";
    if is(ConditionType::Stalled) {
        return holds.then_some(EventType::Warning);
    }
    if is(ConditionType::Ready) {
        let fault = Reason::parse(&condition.reason);
        let fault = fault.filter(|reason| runtime::REASONS.contains(reason));
        return fault.map(|_| EventType::Warning);
    }
    if is(ConditionType::Reconciling) {
        return None;
    }
    let working = [
        "Planning",
        "Pulling",
        "Proving",
        "NoPodServes",
        "ScaledToZero",
        "NotPinned",
        "ToolsUnknown",
        "ModelNotReady",
    ];
    let normal = holds || working.contains(&condition.reason.as_str());
    Some(if normal {
        EventType::Normal
    } else {
        EventType::Warning
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    #[rstest::rstest]
    #[case::stalled("Stalled", "True", "NameConflict", Some("Warning"))]
    #[case::no_longer("Stalled", "False", "Succeeded", None)]
    #[case::a_fault("Ready", "False", "RuntimeOutOfMemory", Some("Warning"))]
    #[case::of_a_server("Ready", "False", "ServerFailing", Some("Warning"))]
    #[case::it_works("Ready", "False", "RollingOut", None)]
    #[case::told_by_ready("Reconciling", "True", "RuntimeOutOfMemory", None)]
    #[case::sealed("Sealed", "True", "NoEgress", Some("Normal"))]
    #[case::open("Sealed", "False", "EgressOpen", Some("Warning"))]
    #[case::not_yet("Sealed", "Unknown", "Proving", Some("Normal"))]
    fn events_of_conditions(
        #[case] kind: &str,
        #[case] status: &str,
        #[case] reason: &str,
        #[case] expected: Option<&str>,
    ) {
        let condition = Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        };
        let told = event_type(&condition).map(|kind| match kind {
            EventType::Normal => "Normal",
            EventType::Warning => "Warning",
        });
        assert_eq!(told, expected);
    }
}
