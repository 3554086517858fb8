//! What the API server makes of McpServers: defaults, refusals, the scale subresource.

use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use sealroom::api::McpServer;
use sealroom::api::mcp_server::{Isolation, ServerLimits};
use serde_json::{Value, json};

use super::schema::with;
use super::server;

const DIGEST: &str = "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

pub fn good(name: &str) -> Value {
    json!({
        "apiVersion": "sealroom.dev/v1alpha1", "kind": "McpServer",
        "metadata": { "name": name },
        "spec": {
            "image": format!("registry.internal:5000/search@{DIGEST}"),
            "transport": { "type": "Stdio", "stdio": { "command": ["node", "/app/server.js"] } },
        },
    })
}

fn command(words: &[&str]) -> Value {
    json!({ "spec.transport.stdio.command": words })
}

fn http(http: Value) -> Value {
    json!({ "spec.transport": { "type": "HTTP", "http": http } })
}

fn models(models: Value) -> Value {
    json!({ "spec.models": models })
}

fn egress(port: Value) -> Value {
    json!({ "spec.egress": [{ "to": [{ "podSelector": {} }], "ports": [port] }] })
}

fn limits(limits: Value) -> Value {
    json!({ "spec.limits": limits })
}

fn refused() -> Vec<(Value, &'static str)> {
    let model = |env: Value| json!({ "modelDeploymentRef": { "name": "a" }, "env": env });
    let url = |name: &str| json!([{ "name": name, "value": "BaseURL" }]);
    let service = json!({ "name": "vllm", "port": 80 });
    vec![
        (
            json!({ "spec.image": "registry.internal:5000/search:v1" }),
            "by digest, not by tag",
        ),
        (
            json!({ "spec.transport.http": { "command": ["a"], "port": 3000 } }),
            "exactly one of stdio and http",
        ),
        (
            json!({ "spec.transport": { "type": "Stdio", "http": { "command": ["a"], "port": 3000 } } }),
            "exactly one of stdio and http",
        ),
        (
            json!({ "spec.transport": { "type": "HTTP" } }),
            "exactly one of stdio and http",
        ),
        (
            json!({ "spec.transport.stdio.command": [] }),
            "at least 1 items",
        ),
        (
            command(&["npx", "-y", "some-server"]),
            "bake the package into the image",
        ),
        (
            command(&["/usr/local/bin/npx", "x"]),
            "bake the package into the image",
        ),
        (command(&["uvx", "x"]), "bake the package into the image"),
        (
            command(&["pip3", "install", "x"]),
            "bake the package into the image",
        ),
        (
            command(&["python3", "-m", "pip", "install", "x"]),
            "bake the package into the image",
        ),
        (command(&["bunx", "x"]), "bake the package into the image"),
        (
            command(&["pnpm", "dlx", "x"]),
            "bake the package into the image",
        ),
        (
            command(&["npm", "exec", "x"]),
            "bake the package into the image",
        ),
        (
            command(&["uv", "run", "x"]),
            "bake the package into the image",
        ),
        (
            command(&["env", "npx", "x"]),
            "bake the package into the image",
        ),
        (
            command(&["sh", "-c", "npx -y x"]),
            "bake the package into the image",
        ),
        (
            command(&["/bin/bash", "-c", "cd /app && uvx x"]),
            "bake the package into the image",
        ),
        (
            command(&["sh", "-c", "pip install x && exec x"]),
            "bake the package into the image",
        ),
        (
            command(&["sh", "-c", "python3 -m pip -q install x; exec x"]),
            "bake the package into the image",
        ),
        (
            command(&["bash", "-lc", "uv run x"]),
            "bake the package into the image",
        ),
        (
            command(&["sh", "-c", "(uv --directory /app tool run x)"]),
            "bake the package into the image",
        ),
        (
            command(&["tini", "--", "sh", "-c", "exec pnpm dlx x"]),
            "bake the package into the image",
        ),
        (
            command(&["sh", "-c", "cd /app\nnpm exec x"]),
            "bake the package into the image",
        ),
        (
            command(&["sh", "-c", "bunx x"]),
            "bake the package into the image",
        ),
        (
            command(&["sh", "-c", "uvx"]),
            "bake the package into the image",
        ),
        (
            command(&["uv", "--directory", "/app", "run", "x"]),
            "bake the package into the image",
        ),
        (
            command(&["node", "/usr/lib/node_modules/npm/bin/npx-cli.js", "x"]),
            "bake the package into the image",
        ),
        (
            command(&[
                "node",
                "/usr/lib/node_modules/npm/bin/npm-cli.js",
                "exec",
                "x",
            ]),
            "bake the package into the image",
        ),
        (
            command(&["proxy", "--", "npx", "x"]),
            "bake the package into the image",
        ),
        (
            command(&["supergateway", "--stdio", "npx -y some-server"]),
            "bake the package into the image",
        ),
        (http(json!({ "port": 3000 })), "command: Required value"),
        (
            http(json!({ "command": ["npx", "x"], "port": 3000 })),
            "bake the package into the image",
        ),
        (
            http(json!({ "command": ["a"], "port": 8081 })),
            "the pod's gate has 8080",
        ),
        (
            http(json!({ "command": ["a"], "port": 11501 })),
            "the pod's gate has 8080",
        ),
        (
            http(json!({ "command": ["a"], "port": 3000, "path": "mcp" })),
            "should match",
        ),
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
        (
            json!({ "spec.env": [{ "name": "A", "value": "x", "secretKeyRef": { "name": "s", "key": "k" } }] }),
            "exactly one of value, secretKeyRef and configMapKeyRef",
        ),
        (
            json!({ "spec.env": [{ "name": "A" }] }),
            "exactly one of value",
        ),
        (
            json!({ "spec.env": [{ "name": "A", "value": "x" }, { "name": "A", "value": "y" }] }),
            "Duplicate value",
        ),
        (
            json!({ "spec.files": [{ "mountPath": "/etc/a" }] }),
            "exactly one of secretRef and configMapRef",
        ),
        (
            json!({ "spec.files": [{ "mountPath": "/etc/sealroom/a", "secretRef": { "name": "a" } }] }),
            "taken by the pod itself",
        ),
        (
            json!({ "spec.volumes": [{ "mountPath": "/tmp", "scratch": { "size": "1Gi" } }] }),
            "taken by the pod itself",
        ),
        (
            json!({ "spec.volumes": [{ "mountPath": "/./opt/sealroom", "scratch": { "size": "1Gi" } }] }),
            "is . or ..",
        ),
        (
            json!({ "spec.files": [{ "mountPath": "/a/../run/sealroom/gate", "secretRef": { "name": "a" } }] }),
            "is . or ..",
        ),
        (
            json!({ "spec.volumes": [{ "mountPath": "/m", "persistentVolumeClaim": { "claimName": "smollm2-0123456789ab" } }] }),
            "that of a model's claim",
        ),
        (
            json!({ "spec.volumes": [{ "mountPath": "/a" }] }),
            "exactly one of scratch and persistentVolumeClaim",
        ),
        (
            json!({ "spec.tools": { "policy": "AllowListed" } }),
            "needs the tools' names",
        ),
        (
            json!({ "spec.tools": { "allow": ["a"] } }),
            "needs the tools' names",
        ),
        (
            json!({ "spec.tools": { "pin": "sha256:1" } }),
            "should match",
        ),
        (egress(json!({ "protocol": "TCP" })), "port: Required value"),
        (
            egress(json!({ "port": 53, "protocol": "UDP" })),
            "DNS leads out of the cluster",
        ),
        (
            egress(json!({ "port": 1, "endPort": 100 })),
            "DNS leads out of the cluster",
        ),
        (
            egress(json!({ "port": "dns" })),
            "DNS leads out of the cluster",
        ),
        (egress(json!({ "port": 0 })), "from 1 to 65535"),
        (
            egress(json!({ "port": 90, "endPort": 80 })),
            "the last of a range",
        ),
        (
            json!({ "spec.egress": [{ "to": [], "ports": [{ "port": 1 }] }] }),
            "at least 1 items",
        ),
        (
            json!({ "spec.egress": [{ "to": [{ "ipBlock": { "cidr": "192.0.2.40" } }], "ports": [{ "port": 1 }] }] }),
            "write an address block",
        ),
        (
            json!({ "spec.hostAliases": [{ "ip": "${RECORDS_DB_ADDRESS}", "hostnames": ["db"] }] }),
            "write an IP address",
        ),
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
        (json!({ "metadata.name": "7b" }), "beginning with a letter"),
    ]
}

fn taken() -> Vec<Value> {
    vec![
        json!({}),
        command(&["python3", "-m", "server"]),
        command(&["node", "/app/node_modules/.bin/npx-like"]),
        command(&["npm", "run", "start"]),
        command(&["pnpm", "exec", "server"]),
        command(&["sh", "-c", "npm -v && install -d /tmp/a && exec /server"]),
        command(&["/bin/sh", "-c", "exec /app/server"]),
        command(&["/server", "--ecosystem", "pip"]),
        command(&["/server", "--say", "never run pip install"]),
        command(&["python3", "-m", "server", "--index", "pip"]),
        command(&["sh", "-c", "exec /server --ecosystem pip"]),
        command(&["sh", "-c", "exec /opt/uvx/server; npm run start"]),
        command(&["bun", "run", "/app/server.ts"]),
        http(json!({ "command": ["/server"], "port": 3000 })),
        models(json!([{ "modelDeploymentRef": { "name": "a" } }])),
        models(json!([
            { "modelDeploymentRef": { "name": "a" }, "env": [{ "name": "A", "value": "BaseURL" }] },
            { "service": { "name": "b", "namespace": "m", "port": 80, "model": "x" }, "env": [{ "name": "B", "value": "BaseURL" }, { "name": "BM", "value": "Model" }] },
        ])),
        egress(json!({ "port": 5432 })),
        egress(json!({ "port": 8000, "endPort": 8010 })),
        json!({ "spec.egress": [{ "to": [
            { "ipBlock": { "cidr": "192.0.2.0/24", "except": ["192.0.2.9/32"] } },
            { "ipBlock": { "cidr": "2001:db8::/64" } },
        ], "ports": [{ "port": 5432 }] }] }),
        json!({ "spec.hostAliases": [{ "ip": "2001:db8::40", "hostnames": ["db"] }] }),
        json!({ "spec.isolation": { "childMemory": "64Mi" } }),
        json!({ "spec.isolation": { "childMemory": 67_108_864 }, "spec.resources": { "limits": { "memory": "1Gi" } } }),
        json!({ "spec.isolation": { "childMemory": "1.5Gi" }, "spec.resources": { "limits": { "cpu": 1 } } }),
        json!({ "spec.tools": { "policy": "AllowListed", "allow": ["find"], "pin": format!("sha256:{}", "0".repeat(64)) } }),
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

#[tokio::test]
async fn refuses_and_says_what_to_write() {
    let Some(server) = server::shared().await else {
        return;
    };
    let client = server.client().await;
    server::namespace(&client, "mcp-schema").await;
    let api: Api<kube::api::DynamicObject> = Api::namespaced_with(
        client,
        "mcp-schema",
        &kube::api::ApiResource::erase::<McpServer>(&()),
    );
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    for (index, (changes, says)) in refused().iter().enumerate() {
        let object = with(good(&format!("bad-{index}")), changes);
        let object = serde_json::from_value(object).unwrap();
        let answer = api.create(&dry, &object).await;
        let error = answer.expect_err(&format!("case {index}: {says}"));
        assert!(error.to_string().contains(says), "case {index}: {error}");
    }
    for (index, changes) in taken().iter().enumerate() {
        let object = with(good(&format!("good-{index}")), changes);
        let object = serde_json::from_value(object).unwrap();
        let answer = api.create(&dry, &object).await;
        assert!(answer.is_ok(), "case {index}: {answer:?}");
    }
}

#[tokio::test]
async fn fills_in_defaults_and_scales() {
    let Some(server) = server::shared().await else {
        return;
    };
    let client = server.client().await;
    server::namespace(&client, "mcp-defaults").await;
    let api: Api<McpServer> = Api::namespaced(client, "mcp-defaults");
    let object = serde_json::from_value(good("search")).unwrap();
    let made = api.create(&PostParams::default(), &object).await.unwrap();
    assert_eq!(made.spec.replicas, 1);
    assert_eq!(made.spec.isolation, Isolation::default());
    assert_eq!(made.spec.limits, ServerLimits::default());
    assert_eq!(made.spec.seal.mode.as_str(), "Enforced");

    let params = PatchParams::default();
    let scaled = json!({ "spec": { "replicas": 3 } });
    api.patch_scale("search", &params, &Patch::Merge(scaled))
        .await
        .unwrap();
    let scale = api.get_scale("search").await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(3));
}
