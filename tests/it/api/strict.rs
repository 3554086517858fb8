//! Fields that the schema does not know: whoever asks strictly, as `kubectl` does, is told, and not left to believe in
//! them.

use kube::Client;
use serde_json::{Value, json};

use super::schema::with;
use super::{mcp_schema, schema, server};

/// The fields of a pod that would lead around both locks.
const AROUND: [&str; 3] = ["hostNetwork", "hostPID", "hostIPC"];

/// What the API server says of an object. Nothing is made.
async fn asked(client: &Client, kind: &str, object: &Value) -> Result<Value, String> {
    let path = format!("/apis/sealroom.dev/v1alpha1/namespaces/default/{kind}");
    let path = format!("{path}?dryRun=All&fieldValidation=Strict");
    let request = http::Request::post(path).header("content-type", "application/json");
    let request = request.body(object.to_string().into_bytes()).unwrap();
    let made = client.request(request).await;
    made.map_err(|error| error.to_string())
}

#[tokio::test]
async fn no_field_leads_around_the_locks() {
    let Some(server) = server::shared().await else {
        return;
    };
    let client = server.client().await;
    for (kind, good) in [
        ("modeldeployments", schema::good("strict")),
        ("mcpservers", mcp_schema::good("strict")),
    ] {
        let known = asked(&client, kind, &good).await;
        assert!(known.is_ok(), "{kind}: {known:?}");
        for field in AROUND {
            let path = format!("spec.{field}");
            let object = with(good.clone(), &json!({ path.as_str(): true }));
            let error = asked(&client, kind, &object).await.expect_err(field);
            let says = format!("unknown field \"{path}\"");
            assert!(error.contains(&says), "{kind}: {error}");
        }
    }
}
