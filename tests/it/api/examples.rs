//! The examples, as a user applies them: the API server takes every document, with its defaults and rules.

use std::path::{Path, PathBuf};

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, oneshot::pinned_kind};
use serde_json::Value;

use super::server;

const MODEL: &str = "registry.internal:5000/models/smollm2@sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// The objects of the examples; the platform's file holds the chart's values, which Helm checks, and `server` is the
/// source of an image.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap();
            if name != "platform" && name != "server" {
                files(&path, found);
            }
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            found.push(path);
        }
    }
}

#[tokio::test]
async fn the_api_server_takes_every_example() {
    let Some(server) = server::shared().await else {
        return;
    };
    let client = server.client().await;
    let mut found = Vec::new();
    files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"),
        &mut found,
    );
    found.sort();
    assert!(found.len() >= 8, "{found:?}");
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("---\n"),
            "{path:?}: `sed` may join it to another"
        );
        let text = text.replace("${MODEL_REF}", MODEL);
        let text = text.replace("${EMBEDDING_MODEL_REF}", MODEL);
        let text = text.replace("${ADAPTER_REF}", MODEL);
        let text = text.replace("${SERVER_IMAGE}", MODEL);
        let text = text.replace("${RECORDS_DB_ADDRESS}", "192.0.2.40");
        let text = text.replace("${LLAMA_CPP_CUDA_IMAGE}", MODEL);
        for document in serde_saphyr::from_multiple::<Value>(&text).unwrap() {
            let object: DynamicObject = serde_json::from_value(document).unwrap();
            let types = object.types.clone().unwrap();
            let kind = GroupVersionKind::try_from(&types).unwrap();
            let (resource, abilities) = pinned_kind(&client, &kind).await.unwrap();
            let api: Api<DynamicObject> = match abilities.scope {
                // A dry run makes no namespace to look into, and this one is there.
                Scope::Namespaced => Api::namespaced_with(client.clone(), "default", &resource),
                Scope::Cluster => Api::all_with(client.clone(), &resource),
            };
            let mut object = object;
            object.metadata.namespace = None;
            let name = object.metadata.name.clone().unwrap();
            let params = PatchParams::apply("examples").dry_run().validation_strict();
            let done = api.patch(&name, &params, &Patch::Apply(&object)).await;
            assert!(done.is_ok(), "{path:?} {name}: {done:?}");
        }
    }
}
