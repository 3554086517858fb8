//! What the registry gives, and where it goes.

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{bad, refused};
use crate::artifact::{model, push_bytes, push_spoilt};
use crate::cluster::cache;
use crate::registry::Registry;
use crate::suite::Stage;

pub(super) async fn absent(stage: &Stage) -> Result<()> {
    let ns = "refuse-absent";
    let name = stage.artifact().split('@').next().unwrap_or_default();
    let absent = format!("{name}@sha256:{}", "0".repeat(64));
    let told = ("ArtifactReady", "False", "NotFound");
    refused(stage, ns, bad(ns, &absent), told).await.map(drop)
}

pub(super) async fn spoilt(stage: &Stage) -> Result<()> {
    let ns = "refuse-bytes";
    let environment = &stage.world.environment;
    let storage = environment.bed_dir.as_ref();
    let storage = storage
        .context("failed to find the registry's storage")?
        .join("registry");
    let registry = Registry::new(environment)?;
    let image = push_spoilt(&registry, &model(&cache()).await?, &storage).await?;
    let told = ("ArtifactReady", "False", "DigestMismatch");
    refused(stage, ns, bad(ns, &image), told).await.map(drop)
}

pub(super) async fn not_gguf(stage: &Stage) -> Result<()> {
    let ns = "refuse-format";
    let registry = Registry::new(&stage.world.environment)?;
    let text = b"this is no model\n";
    let image = push_bytes(&registry, "models/no-model", "model.gguf", text).await?;
    let told = ("ArtifactReady", "False", "NotGGUF");
    refused(stage, ns, bad(ns, &image), told).await.map(drop)
}

pub(super) async fn small_volume(stage: &Stage) -> Result<()> {
    let ns = "refuse-volume";
    let delivery = json!({
        "type": "PersistentVolumeClaim",
        "persistentVolumeClaim": {"storageClassName": "short", "accessMode": "ReadWriteOnce"},
    });
    let model = bad(ns, stage.artifact()).set("/delivery", delivery);
    let told = ("ArtifactReady", "False", "VolumeTooSmall");
    refused(stage, ns, model, told).await.map(drop)
}
