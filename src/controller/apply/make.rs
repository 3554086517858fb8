//! Makes a child be as wanted, and takes out of its pod template what others have put there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use serde_json::{Value, json};

use super::amiss::{Amiss, Lasting, amiss, left, taken_back};
use super::contest::Taken;
use super::error::fault;
use super::template::{Foreign, Harm, managers, named, own};
use super::wrote::Sight;
use super::{
    Ack, Applier, ApplyError, Child, Compare, applied, body, key, must_be_ours, value, version,
};
use crate::api::Reason;
use crate::controller::names::MANAGER;

/// What is wanted of one child.
struct Wish<'a, K> {
    wanted: &'a K,
    body: Value,
    hash: String,
    key: String,
    compare: Compare,
}

impl<K: Child> Wish<'_, K> {
    /// All of it that is not so.
    fn amiss(&self, there: &K) -> Vec<Amiss> {
        amiss(&self.body, &value(there), self.compare)
    }
}

/// What came of a write.
struct Wrote<K> {
    after: K,
    /// What is not as wanted all the same.
    left: Vec<Amiss>,
    /// Of that, what was to be mended.
    vain: Vec<String>,
    /// What somebody had changed, and whether it is there again with the answer.
    taken: Option<(Foreign, bool)>,
    /// Who, in words.
    by: String,
}

impl Applier {
    /// Makes the child be as wanted. `there` is what the store has; `owner` the UID that must own it, none
    /// for what belongs to the namespace. Of a pod template what others have put into it is taken out.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing was written then, or of a pod template what is wanted, and what others have in it stays.
    pub async fn apply<K: Child>(
        &self,
        wanted: &K,
        there: Option<Arc<K>>,
        owner: Option<&str>,
        compare: Compare,
    ) -> Result<Ack, ApplyError> {
        let (body, hash) = body(wanted);
        let wish = Wish {
            wanted,
            body,
            hash,
            key: key(wanted),
            compare,
        };
        let sight = self.wrote.sight(&wish.key, &wish.hash, there.as_deref());
        if sight == Sight::Unseen {
            return Ok(self.turn(&wish, None).unwrap_or(Ack::Written));
        }
        // The store has what was there before another write of ours: it is neither as wanted nor changed by somebody.
        let behind = sight == Sight::Behind && there.is_some();
        let there = match there {
            Some(there) => Some(there),
            None => {
                let api = self.api(wanted);
                let there = api.get_opt(&wanted.name_any()).await;
                there.map_err(|source| fault(wanted, source))?.map(Arc::new)
            }
        };
        if let Some(there) = there.as_deref() {
            must_be_ours(there, wanted, owner)?;
        }
        // Found in one that was as wanted once, so that somebody has changed it since.
        let mut changed = Vec::new();
        if let Some(there) = there.as_deref().filter(|_| !behind) {
            // What lasts is nobody's new change: it neither hides one nor is taken for one.
            let lasting = self.wrote.lasting(&wish.key, &wish.hash);
            let mut found = lasting.besides(wish.amiss(there));
            let now = Instant::now();
            let later = self.contests().put_off(&wish.key, &mut found, now);
            if let Some(ack) = self.turn(&wish, found.first().map(|one| &one.found)) {
                return Ok(ack);
            }
            if found.is_empty() {
                return Ok(later.map_or(Ack::Unchanged, Ack::Later));
            }
            // A policy that others have opened is closed at once, however often they do it.
            let counts = compare == Compare::Ours && applied(there) == Some(wish.hash.as_str());
            if counts {
                changed = found;
            }
        }
        let write = self.write(&wish, there.is_some(), changed);
        let wrote = write.await?;
        let same = there.is_some_and(|there| version(&*there) == version(&wrote.after));
        let ack = if same { Ack::Unchanged } else { Ack::Written };
        if let Some(left) = wrote.left.first() {
            tracing::warn!(child = %wish.key, what = left.found.what, "applied, and somebody else's fields remain");
        }
        let (key, hash) = (wish.key.clone(), wish.hash.clone());
        let lasting = Lasting::of(&wrote.left);
        self.wrote.remember(key, hash, &wrote.after, lasting);
        Ok(self.took(&wish, &wrote).await.unwrap_or(ack))
    }

    /// What to answer instead of a write, as somebody changes the child again and again.
    fn turn<K>(&self, wish: &Wish<'_, K>, found: Option<&Foreign>) -> Option<Ack> {
        let now = Instant::now();
        self.contests().turn(&wish.key, &wish.hash, found, now)
    }

    /// Applies, and takes the template back where others have something in it that applying leaves. `changed` is what
    /// they have changed in the child that is there.
    async fn write<K: Child>(
        &self,
        wish: &Wish<'_, K>,
        there: bool,
        changed: Vec<Amiss>,
    ) -> Result<Wrote<K>, ApplyError> {
        let fault = |source| fault(wish.wanted, source);
        let (api, name) = (self.api(wish.wanted), wish.wanted.name_any());
        let mut by = BTreeSet::new();
        if !changed.is_empty() {
            // The stores have no field managers, and applying takes over what they changed.
            let now = api.get_opt(&name).await.map_err(fault)?;
            by.extend(now.iter().flat_map(|now| managers(now.managed_fields())));
        }
        let params = PatchParams::apply(MANAGER);
        // A child that is not there is made without force: should somebody else make it in this moment, the
        // API server says so.
        let params = if there { params.force() } else { params };
        let applied = api.patch(&name, &params, &Patch::Apply(&wish.body)).await;
        let mut after = applied.map_err(fault)?;
        let mut rest = wish.amiss(&after);
        let mut theirs = rest.clone();
        theirs.retain(|one| one.found.harm != Harm::Lacks);
        if !theirs.is_empty() {
            by.extend(managers(after.managed_fields()));
            after = self.take_back(&wish.body, &after).await?;
            rest = left(&rest, wish.amiss(&after));
        }
        let lasts = Lasting::of(&rest);
        let tried: Vec<Amiss> = changed.into_iter().chain(theirs).collect();
        let vain = tried.iter().filter(|one| lasts.has(one));
        Ok(Wrote {
            vain: vain.map(|one| one.found.what.clone()).collect(),
            taken: taken_back(tried, &rest),
            left: rest,
            by: named(&by),
            after,
        })
    }

    /// Puts the wanted pod template in the place of the one that is there, but for a restart. Not bound to a version:
    /// whatever is there by now, this is what is wanted.
    async fn take_back<K: Child>(&self, body: &Value, there: &K) -> Result<K, ApplyError> {
        let fault = |source| fault(there, source);
        let operations = json!([
            { "op": "test", "path": "/metadata/uid", "value": there.uid() },
            { "op": "replace", "path": "/spec/template", "value": own(body, &value(there)) },
        ]);
        let operations = serde_json::from_value(operations);
        let operations = operations.map_err(|error| fault(kube::Error::SerdeError(error)))?;
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Json::<()>(operations);
        let api = self.api(there);
        let done = api.patch(&there.name_any(), &params, &patch).await;
        done.map_err(fault)
    }

    /// Counts a child that was taken back. The answer, where that is more than a write.
    async fn took<K: Child>(&self, wish: &Wish<'_, K>, wrote: &Wrote<K>) -> Option<Ack> {
        let now = Instant::now();
        self.contests().written(&wish.key, &wish.hash);
        for what in &wrote.vain {
            self.contests().in_vain(&wish.key, what, now);
        }
        let (found, remains) = wrote.taken.as_ref()?;
        let (by, remains) = (wrote.by.as_str(), *remains);
        tracing::warn!(child = %wish.key, by, what = found.what, remains, "what somebody changed is taken back");
        let child = format!("{} {}", K::kind(&()), wish.wanted.name_any());
        let taken = Taken {
            child: &child,
            by,
            found,
            remains,
        };
        let told = self.contests().took(&wish.key, &wish.hash, taken, now)?;
        if told.harm != Harm::Asks {
            return self.turn(wish, None);
        }
        self.tell(wish.wanted, told.message).await;
        None
    }

    /// Tells the owner of a child what no condition says.
    async fn tell<K: Child>(&self, child: &K, note: String) {
        let Some(owner) = child.owner_references().first() else {
            return;
        };
        let regarding = ObjectReference {
            api_version: Some(owner.api_version.clone()),
            kind: Some(owner.kind.clone()),
            name: Some(owner.name.clone()),
            namespace: child.namespace(),
            uid: Some(owner.uid.clone()),
            ..ObjectReference::default()
        };
        let event = Event {
            type_: EventType::Warning,
            reason: Reason::TemplateContested.to_string(),
            note: Some(note),
            action: "Apply".to_owned(),
            secondary: None,
        };
        // An Event is a courtesy: the log has it too.
        if let Err(error) = self.recorder.publish(&event, &regarding).await {
            tracing::warn!(%error, "failed to publish an event");
        }
    }
}

#[cfg(test)]
#[path = "make_tests.rs"]
mod tests;
