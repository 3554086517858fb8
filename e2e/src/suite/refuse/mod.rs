//! Bad input: each ends in the reason that says what to do, asks the API server for little while it stands, and
//! is well by itself once it is cured.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::fixtures::Model;
use super::idle::{quiet, requests_of_the_operator};
use super::{Case, Needs, Running, Stage};
use crate::objects::Condition;

mod artifact;
mod object;
mod registry;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, run: for<'a> fn(&'a Stage) -> Running<'a>| Case {
        name,
        needs: Needs::BothLocks,
        run,
    };
    vec![
        case("refuse/a_tag", |s| Box::pin(object::tag(s))),
        case("refuse/a_name_that_somebody_else_has", |s| {
            Box::pin(object::taken_name(s))
        }),
        case("refuse/a_namespace_that_lets_everybody_ask_dns", |s| {
            Box::pin(object::allow_dns(s))
        }),
        case("refuse/an_undeclared_registry", |s| {
            Box::pin(registry::undeclared(s))
        }),
        case("refuse/a_registry_with_another_authority", |s| {
            Box::pin(registry::unknown_ca(s))
        }),
        case("refuse/a_wrong_password_until_it_is_right", |s| {
            Box::pin(registry::wrong_password(s))
        }),
        case("refuse/a_secret_that_comes_later", |s| {
            Box::pin(registry::late_secret(s))
        }),
        case("refuse/api_keys_that_come_later", |s| {
            Box::pin(object::late_keys(s))
        }),
        case("refuse/a_digest_that_is_not_there", |s| {
            Box::pin(artifact::absent(s))
        }),
        case("refuse/bytes_that_differ_from_the_digest", |s| {
            Box::pin(artifact::spoilt(s))
        }),
        case("refuse/something_that_is_no_gguf", |s| {
            Box::pin(artifact::not_gguf(s))
        }),
        case("refuse/a_volume_that_is_too_small", |s| {
            Box::pin(artifact::small_volume(s))
        }),
    ]
}

/// Beside fifty pods that start, everything takes longer.
const SOON: Duration = Duration::from_secs(150);
/// The kubelet brings a changed Secret into a pod within about a minute and a half.
const CURED: Duration = Duration::from_secs(240);

/// A condition: type, status and reason.
type Told = (&'static str, &'static str, &'static str);

/// A model of the name that all of these have.
fn bad(ns: &str, artifact: &str) -> Model {
    Model::new(ns, "bad", artifact)
}

/// Applies a model, waits for the reason, and counts what the operator asks for meanwhile: once the object has
/// stood still for a minute, at most six requests a minute.
async fn ends_in(
    stage: &Stage,
    ns: &str,
    model: Model,
    (kind, status, reason): Told,
) -> Result<Condition> {
    stage.world.apply(&model.yaml()).await?;
    let ended = stage
        .world
        .wait_condition(ns, "bad", kind, status, reason, SOON)
        .await?;
    tokio::time::sleep(Duration::from_secs(50)).await;
    quiet(stage, Some(ns)).await?;
    let requests = requests_of_the_operator(stage, Duration::from_secs(60)).await?;
    let about: Vec<_> = requests.iter().filter(|r| r.namespace == ns).collect();
    ensure!(
        about.len() <= 6,
        "expected at most 6 requests in a minute, got {}: {about:?}",
        about.len()
    );
    Ok(ended)
}

/// The same, with nothing else in the namespace.
async fn refused(stage: &Stage, ns: &str, model: Model, told: Told) -> Result<Condition> {
    let room = stage.room(ns).await?;
    let ended = ends_in(stage, ns, model, told).await;
    room.leave().await?;
    ended
}

/// Waits until the artifact is there after all.
async fn cured(stage: &Stage, ns: &str) -> Result<()> {
    let world = &stage.world;
    world
        .wait_condition(ns, "bad", "ArtifactReady", "True", "Verified", CURED)
        .await
        .map(drop)
}
