//! What one object costs: the operator's writes until it is ready, and memory at rest.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use super::processes::all;
use crate::suite::fixtures::Model;
use crate::suite::{Stage, requests_of_the_operator};

/// From the apply to Ready, with the artifact's pull.
const TIME: Duration = Duration::from_secs(45);

/// Makes one object in a namespace of its own and prints the operator's writes for it by verb and resource.
///
/// # Errors
/// When it does not become ready.
pub async fn writes(stage: &Stage) -> Result<()> {
    let ns = "bench-writes";
    let room = stage.room(ns).await?;
    let ready = async {
        let model = Model::new(ns, "one", stage.artifact());
        stage.world.apply(&model.yaml()).await?;
        stage
            .world
            .wait_condition(ns, "one", "Ready", "True", "", TIME)
            .await
    };
    let (requests, ready) = tokio::join!(requests_of_the_operator(stage, TIME), ready);
    room.leave().await?;
    ready?;
    let mut writes: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut all = 0;
    for request in requests?.into_iter().filter(|r| r.namespace == ns) {
        if !matches!(request.verb.as_str(), "get" | "list" | "watch") {
            *writes.entry((request.resource, request.verb)).or_default() += 1;
            all += 1;
        }
    }
    for ((resource, verb), n) in writes {
        println!("bench writes for one object: {n} {verb} {resource}");
    }
    println!("bench writes for one object: {all} in all");
    Ok(())
}

/// Prints the resident memory of our processes on all nodes, the largest of each kind.
pub fn memory() {
    let mut most: BTreeMap<String, f64> = BTreeMap::new();
    for process in all()
        .iter()
        .filter(|process| process.is("sealroom") || process.is("launch"))
    {
        // It may have ended since it was listed.
        let Ok(memory) = process.memory() else {
            continue;
        };
        let kind = most.entry(process.command().to_owned()).or_default();
        *kind = kind.max(memory);
    }
    for (kind, memory) in most {
        println!("bench memory at rest: {kind} {memory:.1} MiB");
    }
}
