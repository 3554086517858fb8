//! The whole circle: an agent asks the model, the tool that is chosen asks the model, and the answer comes back.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::place::{AGENT, BRAIN, HELPER, NS};
use crate::objects::{Subject, condition_of};
use crate::suite::languages::{self, Language};
use crate::suite::stage::{Served, Stage};

pub(super) async fn whole(stage: &Stage) -> Result<()> {
    let room = stage.room(NS).await?;
    let place = stage.helper().await?;
    let before = stage.generated_tokens(&Served::of(NS, BRAIN)).await?;
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

    // Three times the model has generated: with the tools, for the tool, and with the tool's answer.
    let after = stage.generated_tokens(&Served::of(NS, BRAIN)).await?;
    ensure!(
        after > before,
        "expected more than {before} tokens, got {after}"
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
