//! Runtimes that fail: clients get a right error, the object a reason of ours, and another run serves.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::fixtures::{Model, capital_of_france};
use super::load::client;
use super::{Case, Needs, Stage};
use crate::asking::PATIENCE;
use crate::kube::wait;
use crate::tool::Failure;

const NS: &str = "fail";
/// Each failure that its clients are told of, as the name of its model, and the reason that the object gives.
const FAILURES: [(Failure, &str, &str); 4] = [
    (Failure::Exhaust, "exhausts", "RuntimeOutOfMemory"),
    (Failure::Hang, "hangs", "RuntimeHangs"),
    (Failure::End, "ends", "RuntimeFailing"),
    (Failure::BadAnswers, "lies", "RuntimeAnswersWrong"),
];
/// For the kubelet to start what gives no answer again.
const LONG: Duration = Duration::from_secs(300);
/// What is told to a client whose engine failed.
const ERRORS: [u16; 3] = [502, 503, 504];

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "fail/a_runtime_that_fails_is_named_and_started_again",
        needs: Needs::BothLocks,
        run: |s| Box::pin(fails(s)),
    }]
}

async fn fails(stage: &Stage) -> Result<()> {
    let room = stage.room(NS).await?;
    let done = inside(stage).await;
    room.leave().await?;
    done
}

async fn inside(stage: &Stage) -> Result<()> {
    for (_, name, _) in FAILURES {
        let model = Model::new(NS, name, stage.artifact())
            .runtime(&stage.images.failing)
            .set("/resources/limits", json!({"memory": "512Mi"}));
        stage.world.apply(&model.yaml()).await?;
    }
    client(stage, NS).await?;
    let all = FAILURES.map(|(failure, name, reason)| fail(stage, failure, name, reason));
    for done in futures::future::join_all(all).await {
        done?;
    }
    Ok(())
}

async fn fail(stage: &Stage, failure: Failure, name: &str, reason: &str) -> Result<()> {
    let long = Duration::from_secs(240);
    let world = &stage.world;
    world
        .wait_condition(NS, name, "Ready", "True", "", long)
        .await?;
    let (told, unanswered) = (Mutex::new(vec![]), Mutex::new(vec![]));
    wait(long, reason, async || {
        let order = capital_of_france(name, failure.word());
        // Between two runs there may be nobody to answer.
        match ask(stage, name, &order, PATIENCE).await {
            Ok(answer) => told.lock().await.push(answer),
            Err(error) => unanswered.lock().await.push(error.to_string()),
        }
        let ready = world.condition(NS, name, "Ready").await?;
        Ok((ready.status == "False" && ready.reason == reason).then_some(()))
    })
    .await?;
    let told = told.into_inner();
    ensure!(
        !told.is_empty(),
        "expected answers of {name}, got {:?}",
        unanswered.into_inner()
    );
    for (status, body) in &told {
        let error: Value = serde_json::from_str(body).unwrap_or_default();
        ensure!(
            ERRORS.contains(status) && error["error"]["code"].is_string(),
            "expected an error of {name} in OpenAI's shape, got {status} {body}"
        );
    }
    recovers(stage, name, reason).await
}

async fn recovers(stage: &Stage, name: &str, reason: &str) -> Result<()> {
    wait(LONG, "an answer of the next run", async || {
        let asked = ask(stage, name, &capital_of_france(name, ""), PATIENCE).await;
        Ok(asked.is_ok_and(|(status, _)| status == 200).then_some(()))
    })
    .await?;
    // It stays for a while, so that a runtime that fails now and then does not come and go.
    let ready = stage.world.condition(NS, name, "Ready").await?;
    ensure!(
        ready.reason == reason,
        "expected {reason} to stay, got {ready:?}"
    );
    Ok(())
}

async fn ask(stage: &Stage, name: &str, data: &str, seconds: u32) -> Result<(u16, String)> {
    let url = format!("http://{name}.{NS}.svc.cluster.local:8080/v1/chat/completions");
    stage.world.fetch(NS, &url, Some(data), None, seconds).await
}
