//! The chart's alerts, against the definition that Prometheus Operator brings.

use std::time::{Duration, Instant};

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::{Value, json};

use super::schema::with;
use super::{chart, server};

/// What the API server says of the object; until it serves the new definition, it knows no such kind.
async fn tried(api: &Api<DynamicObject>, rule: &Value) -> Result<(), String> {
    let params = PatchParams::apply("test").dry_run().validation_strict();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match api.patch("sealroom", &params, &Patch::Apply(rule)).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            Err(error) => return Err(format!("{error:?}")),
        }
    }
}

#[tokio::test]
async fn prometheus_operators_schema_takes_the_alerts() {
    let Some(server) = server::shared().await else {
        return;
    };
    let client = server.client().await;
    let definition = chart::documents("tests/it/api/crds/prometheusrules.yaml");
    chart::apply(&client, &definition).await;

    let mut rules = chart::documents("charts/sealroom/tests/golden/full.yaml");
    rules.retain(|object| object["kind"] == "PrometheusRule");
    let [rule] = &rules[..] else {
        panic!("one PrometheusRule, not {}", rules.len());
    };
    let rule = with(rule.clone(), &json!({ "metadata.namespace": "default" }));
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PrometheusRule");
    let resource = ApiResource::from_gvk(&kind);
    let api = Api::namespaced_with(client.clone(), "default", &resource);
    tried(&api, &rule).await.unwrap();

    // It can say no.
    for (field, value) in [
        ("for", json!("15 minutes")),
        ("severity", json!("critical")),
    ] {
        let mut bad = rule.clone();
        bad["spec"]["groups"][0]["rules"][0][field] = value;
        let said = tried(&api, &bad).await.unwrap_err();
        assert!(said.contains(&format!(".{field}")), "{said}");
    }
}
