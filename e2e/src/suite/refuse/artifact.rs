//! What the registry gives, and where it goes.

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{Told, bad, ends_in};
use crate::artifact::{model, push_spoilt, push_text};
use crate::cluster::cache;
use crate::registry::Registry;
use crate::suite::Stage;

pub(super) async fn absent(stage: &Stage) -> Result<()> {
    let name = stage.artifact().split('@').next().unwrap_or_default();
    let absent = format!("{name}@sha256:{}", "0".repeat(64));
    let told = ("ArtifactReady", "False", "NotFound");
    refused(stage, "refuse-absent", &absent, told).await
}

pub(super) async fn spoilt(stage: &Stage) -> Result<()> {
    let environment = &stage.world.environment;
    let storage = environment.bed_dir.as_ref();
    let storage = storage
        .context("failed to find the registry's storage")?
        .join("registry");
    let registry = Registry::new(environment)?;
    let image = push_spoilt(&registry, &model(&cache()).await?, &storage).await?;
    let told = ("ArtifactReady", "False", "DigestMismatch");
    refused(stage, "refuse-bytes", &image, told).await
}

pub(super) async fn not_gguf(stage: &Stage) -> Result<()> {
    let registry = Registry::new(&stage.world.environment)?;
    let image = push_text(&registry, "models/no-model", "this is no model\n").await?;
    let told = ("ArtifactReady", "False", "NotGGUF");
    refused(stage, "refuse-format", &image, told).await
}

async fn refused(stage: &Stage, ns: &str, image: &str, told: Told) -> Result<()> {
    let room = stage.room(ns).await?;
    let ended = ends_in(stage, ns, bad(ns, image), told).await;
    room.leave().await?;
    ended.map(drop)
}

pub(super) async fn small_volume(stage: &Stage) -> Result<()> {
    let ns = "refuse-volume";
    let room = stage.room(ns).await?;
    let delivery = json!({
        "type": "PersistentVolumeClaim",
        "persistentVolumeClaim": {"storageClassName": "short", "accessMode": "ReadWriteOnce"},
    });
    let model = bad(ns, stage.artifact()).set("/delivery", delivery);
    let told = ("ArtifactReady", "False", "VolumeTooSmall");
    let ended = ends_in(stage, ns, model, told).await;
    room.leave().await?;
    ended.map(drop)
}
