//! What is known of an object of either kind.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};

use crate::api::model_deployment::SealStatus;
use crate::api::{ConditionType, McpServer, ModelDeployment};

/// What both kinds say.
#[derive(Clone, Debug, Default)]
pub struct Object {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    pub conditions: Vec<Condition>,
    /// The conditions speak of another generation.
    pub outdated: bool,
    /// What else there is to say: a label and a value each.
    pub facts: Vec<(&'static str, String)>,
    pub seal: SealStatus,
}

impl From<ModelDeployment> for Object {
    fn from(model: ModelDeployment) -> Self {
        let status = model.status.clone().unwrap_or_default();
        let digest = status.artifact.map(|artifact| artifact.digest);
        let models = status.models.iter().map(|model| {
            let own = &model.own;
            let digest = own.artifact.as_ref().map(|artifact| &artifact.digest);
            format!("{} {}", model.name, digest.unwrap_or(&own.phase))
        });
        let models: Vec<_> = models.collect();
        let one = models.is_empty();
        Self {
            kind: "ModelDeployment",
            facts: facts([
                ("model", status.served_model_name.filter(|_| one)),
                ("models", (!one).then(|| models.join(", "))),
                ("artifact", digest),
                ("url", status.url),
                ("callers", status.callers),
            ]),
            conditions: status.conditions,
            seal: status.seal.unwrap_or_default(),
            outdated: status.observed_generation != model.meta().generation,
            ..Self::named(&model)
        }
    }
}

impl From<McpServer> for Object {
    fn from(server: McpServer) -> Self {
        let status = server.status.clone().unwrap_or_default();
        let tools = status.tools.map(|t| format!("{}, {}", t.count, t.hash));
        let models = status
            .models
            .iter()
            .map(|m| format!("{} {}", m.target, m.state));
        let models: Vec<_> = models.collect();
        Self {
            kind: "McpServer",
            facts: facts([
                ("tools", tools),
                ("models", (!models.is_empty()).then(|| models.join(", "))),
                ("url", status.url),
                ("callers", status.callers),
            ]),
            conditions: status.conditions,
            seal: status.seal.unwrap_or_default(),
            outdated: status.observed_generation != server.meta().generation,
            ..Self::named(&server)
        }
    }
}

fn facts<const N: usize>(all: [(&'static str, Option<String>); N]) -> Vec<(&'static str, String)> {
    let said = |(label, value): (_, Option<String>)| value.map(|value| (label, value));
    all.into_iter().filter_map(said).collect()
}

impl Object {
    fn named(object: &impl ResourceExt) -> Self {
        Self {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            ..Self::default()
        }
    }

    /// Its condition of a type.
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|c| c.type_ == kind.as_str())
    }

    /// Whether it is so now.
    pub fn holds(&self, kind: ConditionType) -> bool {
        !self.outdated && self.condition(kind).is_some_and(|c| c.status == "True")
    }

    /// Why a condition is as it is.
    pub fn reason(&self, kind: ConditionType) -> &str {
        self.condition(kind).map_or("-", |c| c.reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Of several models each is named with its digest, or with how far it is.
    #[test]
    fn several_models_are_listed() {
        let model = json!({
            "apiVersion": "sealroom.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": { "name": "house", "namespace": "team-a" },
            "spec": { "runtime": { "engine": "Ollama" } },
            "status": { "servedModelName": "chat", "models": [
                { "name": "chat", "phase": "Verified", "artifact": { "name": "c", "digest": "sha256:1" } },
                { "name": "vectors", "phase": "Planning" },
            ]},
        });
        let model: ModelDeployment = serde_json::from_value(model).unwrap();
        let facts = Object::from(model).facts;
        let expected = [("models", "chat sha256:1, vectors Planning".to_owned())];
        assert_eq!(facts, expected);
    }
}
