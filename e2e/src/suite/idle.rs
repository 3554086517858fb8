//! What the operator asks of the API server.

use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Case, Needs, Stage};

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "idle/two_minutes_are_only_watches_and_the_lease",
        needs: Needs::BothLocks,
        run: |s| Box::pin(idle(s)),
    }]
}

/// How the operator's user agent begins.
const AGENT: &str = "sealroom-operator/";

/// One request in the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `get`, `patch` …
    pub verb: String,
    /// `group/resource/subresource` as far as there are any.
    pub resource: String,
    /// The object's namespace, where it has one.
    pub namespace: String,
    /// The object's name, where one is named.
    pub name: String,
}

impl Request {
    /// True for what an operator does that has nothing to do.
    #[must_use]
    pub fn is_steady(&self) -> bool {
        let lease = self.resource == "leases" && self.name == "sealroom-operator";
        self.verb == "watch" || (self.verb == "update" && lease)
    }
}

/// What the operator asks for from now on, for `time`.
///
/// # Errors
/// When there is no audit log.
pub async fn requests_of_the_operator(stage: &Stage, time: Duration) -> Result<Vec<Request>> {
    let path = stage
        .world
        .environment
        .audit_log
        .clone()
        .context("failed to find the audit log")?;
    let mut log = std::fs::File::open(path)?;
    log.seek(SeekFrom::End(0))?;
    let begun = jiff::Timestamp::now();
    tokio::time::sleep(time).await;
    // The log is written a moment after the answer.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let end = begun.checked_add(jiff::SignedDuration::try_from(time)?)?;
    let mut requests = vec![];
    for line in BufReader::new(log).lines() {
        let line = line?;
        // Most lines are somebody else's, and tests that wait read beside each other.
        if !line.contains(AGENT) {
            continue;
        }
        let Ok(event) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let ours = event["userAgent"]
            .as_str()
            .is_some_and(|agent| agent.starts_with(AGENT));
        let at = event["requestReceivedTimestamp"]
            .as_str()
            .and_then(|at| at.parse::<jiff::Timestamp>().ok());
        if !ours || at.is_none_or(|at| at < begun || at > end) {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let object = &event["objectRef"];
        let mut resource = text(&object["resource"]);
        if let Some(sub) = object["subresource"].as_str() {
            resource = format!("{resource}/{sub}");
        }
        requests.push(Request {
            verb: text(&event["verb"]),
            resource,
            namespace: text(&object["namespace"]),
            name: text(&object["name"]),
        });
    }
    Ok(requests)
}

/// How often [`quiet`] looks at most: with what the log needs, for a minute.
const LOOKS: usize = 5;
const LOOK: Duration = Duration::from_secs(10);

/// Waits until the operator has asked for nothing out of the ordinary for ten seconds, in this namespace where one is
/// named: a late write may still echo. For a minute at most, since counting is for who never stops.
///
/// # Errors
/// When there is no audit log.
pub(super) async fn quiet(stage: &Stage, namespace: Option<&str>) -> Result<()> {
    for _ in 0..LOOKS {
        let requests = requests_of_the_operator(stage, LOOK).await?;
        let echoes = requests.iter().any(|request| {
            !request.is_steady() && namespace.is_none_or(|name| request.namespace == name)
        });
        if !echoes {
            break;
        }
    }
    Ok(())
}

async fn idle(stage: &Stage) -> Result<()> {
    stage.settled().await?;
    quiet(stage, None).await?;
    let requests = requests_of_the_operator(stage, Duration::from_secs(120)).await?;
    let others: Vec<_> = requests
        .iter()
        .filter(|request| !request.is_steady())
        .collect();
    ensure!(
        others.is_empty(),
        "expected watches and lease renewals only, got {others:?}"
    );
    ensure!(
        !requests.is_empty(),
        "expected at least the lease to be renewed: is the user agent right?"
    );
    Ok(())
}
