//! The objects that tests apply.

use serde_json::{Value, json};

use super::stage::HOME;

/// A ModelDeployment that tests vary.
#[derive(Clone, Debug)]
pub struct Model {
    namespace: String,
    name: String,
    spec: Value,
}

impl Model {
    /// One replica of llama.cpp over an artifact, open to pods with the label `app: client`.
    #[must_use]
    pub fn new(namespace: &str, name: &str, artifact: &str) -> Self {
        let spec = json!({
            "artifact": {"image": artifact, "pullSecrets": [{"name": "registry"}]},
            "runtime": {"engine": "LlamaCpp", "llamaCpp": {"contextLength": 2048, "parallel": 1, "threads": 1}},
            "access": {"from": [{"podSelector": {"matchLabels": {"app": "client"}}}]},
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
            "drainSeconds": 20,
        });
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            spec,
        }
    }

    /// Sets a field of the spec by JSON pointer, such as `/seal/whenStale`; parents are made.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.spec;
        for part in pointer.trim_start_matches('/').split('/') {
            place = &mut place[part];
        }
        *place = value.into();
        self
    }

    /// Takes a field of the spec away.
    #[must_use]
    pub fn unset(mut self, field: &str) -> Self {
        if let Some(spec) = self.spec.as_object_mut() {
            spec.remove(field);
        }
        self
    }

    /// Lets in the client that asks for all tests, which lives in another namespace.
    #[must_use]
    pub fn from_home(self) -> Self {
        let peer = json!({
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": HOME}},
            "podSelector": {"matchLabels": {"app": "client"}},
        });
        self.set("/access/from", vec![peer])
    }

    /// Served by Ollama instead.
    #[must_use]
    pub fn ollama(self) -> Self {
        let settings = json!({"contextLength": 2048, "parallel": 1, "threads": 1});
        self.set("/runtime", json!({"engine": "Ollama", "ollama": settings}))
    }

    /// With a template that has a place for tools. Without tools it is the one in the model's file; with them it shows
    /// calls of another one first: llama.cpp's grammar also lets a model talk before a call that is required, and so small
    /// a model calls when it sees that others did.
    #[must_use]
    pub fn calls_tools(self) -> Self {
        let template = include_str!("../../clients/tools.jinja");
        self.set("/runtime/llamaCpp/chatTemplate", template.trim_end())
    }

    /// Runs another image in the engine's place.
    #[must_use]
    pub fn runtime(self, image: &str) -> Self {
        self.set("/runtime/image", image)
    }

    /// How many pods.
    #[must_use]
    pub fn replicas(self, replicas: u32) -> Self {
        self.set("/replicas", replicas)
    }

    /// As JSON, which is YAML.
    #[must_use]
    pub fn yaml(&self) -> String {
        json!({
            "apiVersion": "sealroom.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": self.spec,
        })
        .to_string()
    }
}

/// A pod under `restricted` that runs the tool image.
#[must_use]
pub fn tool_pod(namespace: &str, name: &str, image: &str, app: &str, args: &[&str]) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": app}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "imagePullSecrets": [{"name": "registry"}],
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "tool",
                "image": image,
                "args": args,
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    })
    .to_string()
}

/// A policy for the sealed pods of a namespace that lets packets out to one block, or to everybody. The client
/// that asks them keeps what it has.
///
/// Everybody is a rule without peers: Cilium never applies a block to pods, nodes and the API server.
#[must_use]
pub fn egress_hole(namespace: &str, name: &str, block: Option<&str>) -> String {
    let rule = block.map_or(
        json!({}),
        |block| json!({"to": [{"ipBlock": {"cidr": block}}]}),
    );
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "podSelector": {"matchExpressions": [{"key": "sealroom.dev/sealed", "operator": "Exists"}]},
            "policyTypes": ["Egress"],
            "egress": [rule],
        },
    })
    .to_string()
}

/// The question whose answer everybody can check.
#[must_use]
pub fn capital_of_france(model: &str, nonce: &str) -> String {
    json!({
        "model": model,
        "temperature": 0,
        "seed": 7,
        "max_tokens": 24,
        "messages": [
            {"role": "system", "content": format!("You are a helpful assistant.{nonce}")},
            {"role": "user", "content": "What is the capital of France?"},
        ],
    })
    .to_string()
}

/// A Secret with these texts.
#[must_use]
pub fn secret(namespace: &str, name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
        "stringData": data,
    })
}

/// A Secret with a certificate and its key, both as PEM.
#[must_use]
pub fn certificate(namespace: &str, name: &str, chain: &str, key: &str) -> Value {
    let mut secret = secret(namespace, name, &json!({"tls.crt": chain, "tls.key": key}));
    secret["type"] = json!("kubernetes.io/tls");
    secret
}

/// 128 bits that nobody guesses.
#[must_use]
pub fn random() -> String {
    format!("{:032x}", rand::random::<u128>())
}
