//! What the cluster keeps of an object's pods: which ones there are, how often their containers began anew, and what they
//! have written.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use super::place::{BRAIN, NS};
use crate::objects::Subject;
use crate::suite::stage::Stage;
use crate::world::name_of;

/// By the UID of each pod how often containers of it began anew. Two that are equal are the same pods, undisturbed.
pub(super) async fn pods(stage: &Stage, of: Subject<'_>) -> Result<BTreeMap<String, u64>> {
    let pods = stage.world.pods_of(of).await?;
    let each = pods.iter().map(|pod| {
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        let statuses = ["initContainerStatuses", "containerStatuses"].into_iter();
        let containers = statuses.filter_map(|status| pod["status"][status].as_array());
        let began = containers
            .flatten()
            .filter_map(|one| one["restartCount"].as_u64());
        (uid.to_owned(), began.sum())
    });
    Ok(each.collect())
}

/// How often containers of a server's pods began anew.
pub(super) async fn restarts(stage: &Stage, name: &str) -> Result<u64> {
    let pods = pods(stage, Subject::server(NS, name)).await?;
    Ok(pods.values().sum())
}

/// What pods of this namespace have written, of one container or with `--all-containers`.
pub(super) async fn written(stage: &Stage, of: Subject<'_>, container: &str) -> Result<String> {
    let mut written = String::new();
    for pod in stage.world.pods_of(of).await? {
        let logs = ["logs", "-n", NS, name_of(&pod), container];
        written += &stage.world.kubectl(&logs).await?.stdout;
    }
    Ok(written)
}

/// The lines of their gates' audit.
pub(super) async fn audit(stage: &Stage, of: Subject<'_>) -> Result<Vec<Value>> {
    let written = written(stage, of, "--container=gate").await?;
    let lines = written
        .lines()
        .filter_map(|line| line.parse::<Value>().ok());
    Ok(lines.filter(|line| line["kind"] == "audit").collect())
}

/// How many completions of the model whoever has the key of this name was given.
pub(super) async fn completions(stage: &Stage, key: &str) -> Result<usize> {
    let audit = audit(stage, Subject::model(NS, BRAIN)).await?;
    let given = |line: &&Value| {
        line["key"] == key
            && line["model"] == BRAIN
            && line["status"] == 200
            && line["outcome"] == "ok"
    };
    Ok(audit.iter().filter(given).count())
}
