//! A child to which somebody has added an owner, which applying leaves, or a webhook a label, and what somebody changes
//! beside that; written to an API server that keeps this one child.

use std::sync::Mutex;

use http_body_util::Full;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Client;

use super::*;

const ANNOTATIONS: &str = "/spec/template/metadata/annotations";

fn owner(uid: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": uid })
}

/// What the API server has.
#[derive(Default)]
struct Kept {
    there: Value,
    version: u64,
    /// Requests that apply.
    writes: usize,
    /// Requests that put the template in its place.
    replaced: usize,
    /// Whether a webhook labels the template in each write of ours.
    labels: bool,
    /// What somebody changes before the next template is put in its place.
    between: Option<(&'static str, Value)>,
}

impl Kept {
    /// What is applied again changes nothing. Owners and annotations of others stay.
    fn apply(&mut self, wish: &Value) {
        self.writes += 1;
        let mut after = wish.clone();
        let there = self.there["metadata"]["ownerReferences"].as_array();
        let theirs = there.into_iter().flatten().filter(|one| one["uid"] != "u");
        let owners = after["metadata"]["ownerReferences"].as_array_mut();
        owners.unwrap().extend(theirs.cloned());
        if let Some(annotations) = self.there.pointer(ANNOTATIONS) {
            after["spec"]["template"]["metadata"]["annotations"] = annotations.clone();
        }
        self.written(after);
    }

    /// Of a JSON patch the second operation.
    fn replace(&mut self, operations: &Value) {
        self.replaced += 1;
        if let Some((field, now)) = self.between.take() {
            self.change(field, now);
        }
        let mut after = self.there.clone();
        after["spec"]["template"] = operations[1]["value"].clone();
        self.written(after);
    }

    fn written(&mut self, mut after: Value) {
        if self.labels {
            after["spec"]["template"]["metadata"]["labels"]["mesh"] = "on".into();
        }
        self.becomes(after);
    }

    fn change(&mut self, field: &str, now: Value) {
        let mut after = self.there.clone();
        let (parent, name) = field.rsplit_once('/').unwrap();
        after.pointer_mut(parent).unwrap()[name] = now;
        after["metadata"]["managedFields"] = json!([{
            "manager": "meddler", "operation": "Update", "fieldsType": "FieldsV1",
            "fieldsV1": { "f:spec": { "f:theirs": {} } },
        }]);
        self.becomes(after);
    }

    fn becomes(&mut self, mut after: Value) {
        after["metadata"]["resourceVersion"] = self.version.to_string().into();
        if after != self.there {
            self.version += 1;
            after["metadata"]["resourceVersion"] = self.version.to_string().into();
            self.there = after;
        }
    }
}

/// The operator's side of it.
struct World<K> {
    kept: Arc<Mutex<Kept>>,
    applier: Applier,
    wanted: K,
    compare: Compare,
}

impl<K: Child> World<K> {
    /// The child is as it was applied, but for the other owner.
    fn new(spec: &Value, compare: Compare) -> Self {
        let world = Self::empty(spec, compare);
        let mut kept = world.kept.lock().unwrap();
        let mut there = body(&world.wanted).0;
        there["metadata"]["ownerReferences"] = json!([owner("u"), owner("theirs")]);
        kept.becomes(there);
        drop(kept);
        world
    }

    /// The child is not there.
    fn empty(spec: &Value, compare: Compare) -> Self {
        let meta =
            json!({ "name": "assistant", "namespace": "team-a", "ownerReferences": [owner("u")] });
        let wanted = json!({ "metadata": meta, "spec": spec });
        let wanted: K = serde_json::from_value(wanted).unwrap();
        let kept = Arc::new(Mutex::new(Kept::default()));
        Self {
            applier: Applier::new(client(&kept)),
            kept,
            wanted,
            compare,
        }
    }

    /// A pass over the object, whose store shows what is there.
    async fn look(&self) -> Ack {
        let there: Option<K> = serde_json::from_value(self.there("")).unwrap();
        let (there, owner) = (there.map(Arc::new), Some("u"));
        let ack = self
            .applier
            .apply(&self.wanted, there, owner, self.compare)
            .await;
        ack.unwrap()
    }

    fn there(&self, field: &str) -> Value {
        let kept = self.kept.lock().unwrap();
        kept.there.pointer(field).cloned().unwrap_or_default()
    }

    fn change(&self, field: &str, now: impl Into<Value>) {
        self.kept.lock().unwrap().change(field, now.into());
    }

    fn writes(&self) -> usize {
        self.kept.lock().unwrap().writes
    }
}

/// Whatever is asked for is the child.
fn client(kept: &Arc<Mutex<Kept>>) -> Client {
    let kept = Arc::clone(kept);
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let kept = Arc::clone(&kept);
        async move {
            let content = request.headers().get(http::header::CONTENT_TYPE).cloned();
            let body = request.into_body().collect_bytes().await?;
            let body = || serde_json::from_slice(&body).unwrap();
            let mut kept = kept.lock().unwrap();
            match content.as_ref().map(http::HeaderValue::as_bytes) {
                Some(b"application/apply-patch+yaml") => kept.apply(&body()),
                Some(b"application/json-patch+json") => kept.replace(&body()),
                _ => {}
            }
            let (code, answer) = match &kept.there {
                Value::Null => (404_u16, json!({ "reason": "NotFound", "code": 404 })),
                there => (200, there.clone()),
            };
            let answer = Full::new(bytes::Bytes::from(answer.to_string()));
            let response = http::Response::builder().status(code).body(answer);
            Ok::<_, kube::Error>(response.unwrap())
        }
    });
    Client::new(service, "team-a")
}

#[tokio::test]
async fn who_changes_a_field_beside_what_lasts_waits_and_is_told() {
    let spec = json!({ "selector": { "app": "ours" } });
    let world = World::<Service>::new(&spec, Compare::Ours);
    for _ in 0..3 {
        assert_eq!(world.look().await, Ack::Unchanged);
    }
    assert_eq!(world.writes(), 1, "that applying leaves it is found once");
    world.change("/spec/selector/app", "theirs-0");
    assert_eq!(world.look().await, Ack::Written);
    assert_eq!(world.look().await, Ack::Unchanged, "what lasts is no news");
    for time in 1..5 {
        world.change("/spec/selector/app", format!("theirs-{time}"));
        let ack = world.look().await;
        let Ack::Contested { message, .. } = ack else {
            panic!("{ack:?}");
        };
        let says = "the field manager \"meddler\" changes Service assistant (spec.selector.app). It was taken back once";
        assert!(message.starts_with(says), "{message}");
    }
    assert_eq!(world.writes(), 2);
}

/// What no write mends causes none for each change of it, is not told, and hides nothing.
#[tokio::test]
async fn who_changes_what_applying_leaves_waits() {
    let spec = json!({ "selector": { "app": "ours" } });
    let world = World::<Service>::new(&spec, Compare::Ours);
    assert_eq!(world.look().await, Ack::Unchanged);
    for time in 0..5 {
        let owners = json!([owner("u"), owner(&format!("theirs-{time}"))]);
        world.change("/metadata/ownerReferences", owners);
        let ack = world.look().await;
        assert!(matches!(ack, Ack::Later(_)), "{ack:?}");
    }
    assert_eq!(world.writes(), 1);
    world.change("/spec/selector/app", "theirs");
    assert_eq!(world.look().await, Ack::Written);
    assert_eq!(world.look().await, Ack::Unchanged);
    assert_eq!(world.writes(), 2);
}

fn deployment() -> World<Deployment> {
    let spec = json!({
        "replicas": 2,
        "selector": {},
        "template": {
            "metadata": { "labels": { "app": "ours" } },
            "spec": { "containers": [{ "name": "a", "image": "i" }] },
        },
    });
    let world = World::empty(&spec, Compare::Ours);
    world.kept.lock().unwrap().labels = true;
    world
}

/// A restart is no reason to take the template back, and is not undone by what is; one scale is put right without a word.
#[tokio::test]
async fn beside_a_label_that_lasts_a_restart_stays() {
    let mut world = deployment();
    assert_eq!(world.look().await, Ack::Written);
    let restarted = json!({ "kubectl.kubernetes.io/restartedAt": "now" });
    world.change(ANNOTATIONS, restarted.clone());
    assert_eq!(world.look().await, Ack::Unchanged);
    assert_eq!(world.writes(), 1);
    world.change("/spec/replicas", 5);
    assert_eq!(world.look().await, Ack::Written);
    assert_eq!(world.look().await, Ack::Unchanged);
    assert_eq!(world.there("/spec/replicas"), 2);
    // Another operator tries to take the label out, too.
    world.applier = Applier::new(client(&world.kept));
    assert_eq!(world.look().await, Ack::Unchanged);
    assert_eq!(world.kept.lock().unwrap().replaced, 3);
    assert_eq!(world.there("/spec/template/metadata/labels/mesh"), "on");
    assert_eq!(world.there(ANNOTATIONS), restarted);
}

#[tokio::test]
async fn what_is_changed_between_the_two_writes_is_put_right() {
    let world = deployment();
    world.kept.lock().unwrap().between = Some(("/spec/replicas", 0.into()));
    assert_eq!(world.look().await, Ack::Written);
    assert_eq!(world.there("/spec/replicas"), 0);
    assert_eq!(world.look().await, Ack::Written);
    assert_eq!(world.there("/spec/replicas"), 2);
    assert_eq!(world.look().await, Ack::Unchanged);
}

/// An opened policy waits for nothing, and what lasts in it causes no writes.
#[tokio::test]
async fn a_policy_is_closed_at_once_beside_what_lasts() {
    let spec = json!({ "podSelector": { "matchLabels": { "app": "ours" } } });
    let world = World::<NetworkPolicy>::new(&spec, Compare::WholeSpec);
    for time in 0..5 {
        for _ in 0..2 {
            assert_eq!(world.look().await, Ack::Unchanged);
        }
        let theirs = format!("theirs-{time}");
        world.change("/spec/podSelector/matchLabels/app", theirs);
        assert_eq!(world.look().await, Ack::Written);
    }
    assert_eq!(world.writes(), 6);
}
