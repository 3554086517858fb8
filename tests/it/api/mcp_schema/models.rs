//! The models that a server may ask, and the variables that tell it about them.

use serde_json::{Value, json};

use super::Refused;

fn models(models: Value) -> Value {
    json!({ "spec.models": models })
}

pub fn refused() -> Vec<Refused> {
    let model = |env: Value| json!({ "modelDeploymentRef": { "name": "a" }, "env": env });
    let url = |name: &str| json!([{ "name": name, "value": "BaseURL" }]);
    let service = json!({ "name": "vllm", "port": 80 });
    vec![
        (
            models(json!([{}])),
            "exactly one of modelDeploymentRef and service",
        ),
        (
            models(json!([{ "modelDeploymentRef": { "name": "a" }, "service": service }])),
            "exactly one of modelDeploymentRef and service",
        ),
        (
            models(json!([{ "service": service, "env": [{ "name": "M", "value": "Model" }] }])),
            "write service.model",
        ),
        (
            models(json!([model(url("A")), model(url("A"))])),
            "write another name",
        ),
        (
            models(json!([model(
                json!([{ "name": "A", "value": "BaseURL" }, { "name": "A", "value": "APIKey" }])
            )])),
            "write another name",
        ),
        (
            models(json!([model(url("A")), model(json!([]))])),
            "with several models",
        ),
        (
            json!({ "spec.models": [model(url("A"))], "spec.env": [{ "name": "A", "value": "x" }] }),
            "leave one of them out",
        ),
    ]
}

pub fn taken() -> Vec<Value> {
    vec![
        models(json!([{ "modelDeploymentRef": { "name": "a" } }])),
        models(json!([
            { "modelDeploymentRef": { "name": "a" }, "env": [{ "name": "A", "value": "BaseURL" }] },
            { "service": { "name": "b", "namespace": "m", "port": 80, "model": "x" }, "env": [{ "name": "B", "value": "BaseURL" }, { "name": "BM", "value": "Model" }] },
        ])),
    ]
}
