//! How many processes a server has, how much memory each, and how much a caller may ask.

use serde_json::{Value, json};

use super::Refused;

fn limits(limits: Value) -> Value {
    json!({ "spec.limits": limits })
}

pub fn refused() -> Vec<Refused> {
    vec![
        (
            json!({ "spec.isolation": { "maxChildren": 1 } }),
            "greater than or equal to 2",
        ),
        (
            json!({ "spec.isolation": { "childMemory": "15Mi" } }),
            "write at least 16Mi",
        ),
        (
            json!({ "spec.isolation": { "childMemory": 1000 } }),
            "write at least 16Mi",
        ),
        (
            json!({ "spec.isolation": { "childMemory": "much" } }),
            "should match",
        ),
        (
            json!({ "spec.isolation": { "childMemory": "1Gi" }, "spec.resources": { "limits": { "memory": "1024Mi" } } }),
            "write less than resources.limits.memory",
        ),
        (
            json!({
                "spec.isolation": { "childMemory": "64Mi" },
                "spec.transport": { "type": "HTTP", "http": { "command": ["a"], "port": 3000 } },
            }),
            "bounds an HTTP server",
        ),
        (
            limits(json!({ "callSeconds": 0 })),
            "greater than or equal to 1",
        ),
        (
            limits(json!({ "callSeconds": 86_401 })),
            "less than or equal to 86400",
        ),
        (
            limits(json!({ "perCaller": { "requestsPerMinute": 60 } })),
            "write access.apiKeys or access.jwt",
        ),
        (
            limits(json!({ "perCaller": {} })),
            "requestsPerMinute: Required value",
        ),
        (
            limits(json!({ "perCaller": { "requestsPerMinute": 0 } })),
            "greater than or equal to 1",
        ),
        (
            limits(json!({ "perCaller": { "requestsPerMinute": 100_001 } })),
            "less than or equal to 100000",
        ),
    ]
}

pub fn taken() -> Vec<Value> {
    vec![
        json!({ "spec.isolation": { "childMemory": "64Mi" } }),
        json!({ "spec.isolation": { "childMemory": 67_108_864 }, "spec.resources": { "limits": { "memory": "1Gi" } } }),
        json!({ "spec.isolation": { "childMemory": "1.5Gi" }, "spec.resources": { "limits": { "cpu": 1 } } }),
        json!({ "spec.limits": { "callSeconds": 86_400 } }),
        json!({
            "spec.limits": { "perCaller": { "requestsPerMinute": 60 } },
            "spec.access": { "apiKeys": { "secretRef": { "name": "keys" } } },
        }),
        json!({
            "spec.limits": { "perCaller": { "requestsPerMinute": 100_000 } },
            "spec.access": { "jwt": {
                "issuer": "https://sso.internal/realms/lab",
                "audiences": ["tools"],
                "jwks": { "configMapRef": { "name": "lab-keys" } },
            } },
        }),
    ]
}
