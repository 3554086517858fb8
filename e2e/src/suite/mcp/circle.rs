//! The whole circle: an agent asks the model, the tool that is chosen asks the model, and the answer comes back.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::place::{AGENT, BRAIN, HELPER, NS};
use super::seen::completions;
use crate::kube::wait;
use crate::objects::{Subject, condition_of};
use crate::suite::languages::{self, Language};
use crate::suite::stage::{Served, Stage};

/// How many completions each of the two is given: one with the tools and one with the tool's answer, and one for the tool.
const GIVEN: [(&str, usize); 2] = [(AGENT, 2), (HELPER, 1)];
/// For the last line of an audit to be in a log.
const SOON: Duration = Duration::from_secs(20);

pub(super) async fn whole(stage: &Stage) -> Result<()> {
    let room = stage.room(NS).await?;
    let place = stage.helper().await?;
    let before = given(stage).await?;
    let mut config = place.config(HELPER, "auto");
    config["base"] = format!("{}/v1", Served::of(NS, BRAIN).url).into();
    config["agent_key"] = place.model_key.clone().into();
    let script = (Language::Python, "circle.py");
    let lines = languages::lines(stage, (NS, AGENT), script, &config).await?;
    let told: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect::<Result<_, _>>()
        .with_context(|| format!("failed to read {lines:?}"))?;
    let said = |index: usize, name: &str| {
        let text = told.get(index).and_then(|line| line[name].as_str());
        text.with_context(|| format!("failed to find {name} in {lines:?}"))
    };
    let (chosen_by, tool, model) = (said(0, "chosen_by")?, said(1, "tool")?, said(2, "model")?);
    ensure!(
        tool.contains("Paris") && !model.is_empty(),
        "expected Paris of the tool and an answer of the model, got {lines:?}"
    );
    println!("e2e note   the tool was chosen by {chosen_by}; it answered {tool:?}");

    // A tool that knows the answer by itself asks nobody. The audit of the model says who has asked it.
    let expected: Vec<_> = (before.iter().zip(GIVEN))
        .map(|(before, (_, more))| before + more)
        .collect();
    let after = wait(SOON, "both ask the model", async || {
        let now = given(stage).await?;
        let all = now
            .iter()
            .zip(&expected)
            .all(|(now, expected)| now >= expected);
        Ok(all.then_some(now))
    })
    .await?;
    ensure!(
        after == expected,
        "expected {expected:?} completions of {GIVEN:?}, got {after:?}"
    );
    for subject in [Subject::model(NS, BRAIN), Subject::server(NS, HELPER)] {
        let object = stage.world.object(subject).await?.unwrap_or_default();
        let sealed = condition_of(&object, "Sealed");
        let seal = &object["status"]["seal"];
        println!(
            "e2e note   {} is sealed: {} {}, locks {}, exits {}",
            object["kind"], sealed.status, sealed.reason, seal["locks"], seal["exits"]
        );
        ensure!(
            sealed.status == "True",
            "expected both to be sealed, got {sealed:?}"
        );
    }
    room.silent().await
}

/// How many each of them was given so far.
async fn given(stage: &Stage) -> Result<Vec<usize>> {
    let mut given = vec![];
    for (key, _) in GIVEN {
        given.push(completions(stage, key).await?);
    }
    Ok(given)
}
