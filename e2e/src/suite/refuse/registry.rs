//! Who the registry is and who may ask it.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{bad, cured, ends_in, refused};
use crate::install::STRANGE_REGISTRY;
use crate::suite::Stage;

/// The same artifact, as if it were somewhere else.
fn elsewhere(stage: &Stage, host: &str) -> String {
    let (_, path) = stage.artifact().split_once('/').unwrap_or_default();
    format!("{host}/{path}")
}

pub(super) async fn undeclared(stage: &Stage) -> Result<()> {
    let ns = "refuse-undeclared";
    let model = bad(ns, &elsewhere(stage, "registry.example.org"));
    let told = ("Stalled", "True", "RegistryNotDeclared");
    let message = refused(stage, ns, model, told).await?.message;
    ensure!(
        message.contains("registry.example.org"),
        "expected the host in {message:?}"
    );
    Ok(())
}

pub(super) async fn unknown_ca(stage: &Stage) -> Result<()> {
    let ns = "refuse-authority";
    let model = bad(ns, &elsewhere(stage, STRANGE_REGISTRY));
    let told = ("ArtifactReady", "False", "UnknownCA");
    refused(stage, ns, model, told).await.map(drop)
}

pub(super) async fn wrong_password(stage: &Stage) -> Result<()> {
    let ns = "refuse-password";
    let told = ("ArtifactReady", "False", "Unauthorized");
    with_credentials(stage, ns, "other", Some("c2VhbHJvb206d3Jvbmc="), told).await
}

pub(super) async fn late_secret(stage: &Stage) -> Result<()> {
    let ns = "refuse-secret";
    let told = ("ArtifactReady", "False", "SecretMissing");
    with_credentials(stage, ns, "late", None, told).await
}

/// A Secret that is wrong or missing at first, and right later.
async fn with_credentials(
    stage: &Stage,
    ns: &str,
    secret: &str,
    at_first: Option<&str>,
    told: super::Told,
) -> Result<()> {
    let room = stage.room(ns).await?;
    if let Some(auth) = at_first {
        credentials(stage, ns, secret, auth).await?;
    }
    let model = bad(ns, stage.artifact()).set("/artifact/pullSecrets", json!([{"name": secret}]));
    let ended = ends_in(stage, ns, model, told).await;
    credentials(stage, ns, secret, &right_auth(stage)?).await?;
    let cured = cured(stage, ns).await;
    room.leave().await?;
    let message = ended?.message;
    ensure!(
        message.contains(secret) || at_first.is_some(),
        "expected the Secret's name in {message:?}"
    );
    cured
}

/// A Secret for the registry of this name with this user and password.
async fn credentials(stage: &Stage, ns: &str, name: &str, auth: &str) -> Result<()> {
    let environment = &stage.world.environment;
    let registry = environment.registry.clone().unwrap_or_default();
    let config = json!({"auths": {registry: {"auth": auth}}});
    stage.world.pull_secret(ns, name, &config.to_string()).await
}

/// The right ones, from the cluster's own environment.
fn right_auth(stage: &Stage) -> Result<String> {
    let environment = &stage.world.environment;
    let path = environment.registry_auth.clone().unwrap_or_default();
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(path)?)?;
    config["auths"][environment.registry.clone().unwrap_or_default()]["auth"]
        .as_str()
        .map(ToOwned::to_owned)
        .context("failed to find the registry's password")
}
