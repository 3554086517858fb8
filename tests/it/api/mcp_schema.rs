//! What the API server makes of McpServers: defaults, refusals, the scale subresource.

mod bounds;
mod edges;
mod models;
mod mounts;
mod start;

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

/// What is changed of the good one, and words of the refusal.
type Refused = (Value, &'static str);

/// Of the whole object and its tools, and of everything else.
fn refused() -> Vec<Refused> {
    let own = vec![
        (
            json!({ "spec.image": "registry.internal:5000/search:v1" }),
            "by digest, not by tag",
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
        (json!({ "metadata.name": "7b" }), "beginning with a letter"),
    ];
    let all = [
        own,
        start::refused(),
        models::refused(),
        edges::refused(),
        mounts::refused(),
        bounds::refused(),
    ];
    all.concat()
}

fn taken() -> Vec<Value> {
    let own = vec![
        json!({}),
        json!({ "spec.tools": { "policy": "AllowListed", "allow": ["find"], "pin": format!("sha256:{}", "0".repeat(64)) } }),
    ];
    let all = [
        own,
        start::taken(),
        models::taken(),
        edges::taken(),
        bounds::taken(),
    ];
    all.concat()
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
    for (changes, says) in &refused() {
        let object = serde_json::from_value(with(good("bad"), changes)).unwrap();
        let answer = api.create(&dry, &object).await;
        let error = answer.expect_err(&format!("{changes}: {says}"));
        assert!(error.to_string().contains(says), "{changes}: {error}");
    }
    for changes in &taken() {
        let object = serde_json::from_value(with(good("good"), changes)).unwrap();
        let answer = api.create(&dry, &object).await;
        assert!(answer.is_ok(), "{changes}: {answer:?}");
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
