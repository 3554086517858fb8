//! The examples, as a user applies them: the API server takes every document, with its defaults and rules.

use std::path::{Path, PathBuf};

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, oneshot::pinned_kind};
use serde_json::Value;

use super::server;

const MODEL: &str = "registry.internal:5000/models/smollm2@sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// The placeholders, and what a user may write for each.
const PLACES: [(&str, &str); 8] = [
    ("${MODEL_REF}", MODEL),
    ("${EMBEDDING_MODEL_REF}", MODEL),
    ("${ADAPTER_REF}", MODEL),
    ("${SERVER_IMAGE}", MODEL),
    ("${LLAMA_CPP_CUDA_IMAGE}", MODEL),
    ("${RECORDS_DB_ADDRESS}", "192.0.2.40"),
    ("${LOAD_BALANCER}", "192.0.2.9"),
    (IN_A_POD, MODEL),
];

/// In an object of Kubernetes itself, whose API server takes any text as an image.
const IN_A_POD: &str = "${TRAEFIK_IMAGE}";

/// The objects of the examples; the platform's file holds the chart's values, which Helm checks, and `server` is the
/// source of an image.
fn files_of(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap();
            if name != "platform" && name != "server" {
                files_of(&path, found);
            }
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            found.push(path);
        }
    }
}

/// All of them, in order.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_of(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"),
        &mut found,
    );
    found.sort();
    found
}

/// A file with its placeholders replaced, but for one.
fn filled(path: &Path, but: Option<&str>) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    PLACES
        .iter()
        .filter(|(place, _)| Some(*place) != but)
        .fold(text, |text, (place, what)| text.replace(place, what))
}

/// What the API server says to a file's documents, up to the first that it refuses.
async fn applied(client: &Client, text: &str) -> Result<(), kube::Error> {
    for document in serde_saphyr::from_multiple::<Value>(text).unwrap() {
        let mut object: DynamicObject = serde_json::from_value(document).unwrap();
        let types = object.types.clone().unwrap();
        let kind = GroupVersionKind::try_from(&types).unwrap();
        let (resource, abilities) = pinned_kind(client, &kind).await.unwrap();
        let api: Api<DynamicObject> = match abilities.scope {
            // A dry run makes no namespace to look into, and this one is there.
            Scope::Namespaced => Api::namespaced_with(client.clone(), "default", &resource),
            Scope::Cluster => Api::all_with(client.clone(), &resource),
        };
        object.metadata.namespace = None;
        let name = object.metadata.name.clone().unwrap();
        let params = PatchParams::apply("examples").dry_run().validation_strict();
        api.patch(&name, &params, &Patch::Apply(&object)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_api_server_takes_every_example() {
    let Some(server) = server::shared().await else {
        return;
    };
    let client = server.client().await;
    let found = files();
    assert!(found.len() >= 8, "{found:?}");
    for path in found {
        let text = filled(&path, None);
        assert!(
            text.starts_with("---\n"),
            "{path:?}: `sed` may join it to another"
        );
        let done = applied(&client, &text).await;
        assert!(done.is_ok(), "{path:?}: {done:?}");
    }
}

#[tokio::test]
async fn a_placeholder_that_was_forgotten_is_refused() {
    let Some(server) = server::shared().await else {
        return;
    };
    let client = server.client().await;
    for (place, _) in PLACES.iter().filter(|(place, _)| *place != IN_A_POD) {
        let mut seen = false;
        for path in files() {
            let text = filled(&path, Some(place));
            if text.contains(place) {
                seen = true;
                let said = applied(&client, &text).await.unwrap_err().to_string();
                assert!(said.contains("write "), "{path:?} {place}: {said}");
            }
        }
        assert!(seen, "{place} is in no example");
    }
}
