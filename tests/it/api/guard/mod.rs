//! The tenant guard of the chart, tried by users with the rights of the built-in role `edit` and by those who have more.
//!
//! Every attempt is a dry run: admission decides, and nothing changes. What must be refused is tried again without the
//! guard, where it must succeed: so it was the guard that refused it, and not a missing right or a bad request.

mod allowed;
mod attempt;
mod refused;
mod world;

use std::time::Duration;

use kube::Client;

use self::attempt::Attempt;
use self::world::World;
use super::{chart, server};

/// Policies take effect some moments after they were written: half a second between two rounds, and no clock, because a
/// busy machine may take a minute for one.
const ROUNDS: usize = 120;

#[tokio::test]
async fn tenants_are_refused_and_the_cluster_goes_on() {
    let Some(server) = server::with_rights().await else {
        return;
    };
    let client = server.client().await;
    let world = World::make(&client).await;
    let refused = refused::table(&world);
    let allowed = allowed::table(&world);
    let guard = chart::guard();

    // Nothing answers behind the API server's proxy, and that is not to be waited for.
    let asking = server.client_without_retries().await;
    chart::apply(&client, &guard).await;
    until_none(
        &asking,
        &refused,
        "was not refused as it should be",
        |attempt, answer| match answer {
            Err(said) => {
                let by_guard = said.contains("ValidatingAdmissionPolicy 'sealroom-");
                (!by_guard || !said.contains(attempt.says)).then(|| said.clone())
            }
            Ok(()) => Some("it succeeded".to_owned()),
        },
    )
    .await;
    for attempt in &allowed {
        let answer = attempt.send(&asking).await;
        assert!(
            succeeded(attempt, &answer).is_none(),
            "{attempt}: {answer:?}"
        );
    }

    chart::remove(&client, &guard).await;
    until_none(&asking, &refused, "fails without the guard", succeeded).await;
}

/// Why an attempt did not succeed. Nothing runs here that an exec could lead into, so to have come past rights and
/// admission is success enough for a connection.
fn succeeded(attempt: &Attempt, answer: &Result<(), String>) -> Option<String> {
    match answer {
        Ok(()) => None,
        Err(said) if attempt.connects() && !said.contains("forbidden") => None,
        Err(said) => Some(said.clone()),
    }
}

/// Tries what is left again and again until nothing is, or says what is.
async fn until_none(
    client: &Client,
    attempts: &[Attempt],
    what: &str,
    wrong: impl Fn(&Attempt, &Result<(), String>) -> Option<String>,
) {
    let mut left: Vec<&Attempt> = attempts.iter().collect();
    for round in 1.. {
        let mut still = Vec::new();
        for attempt in left {
            if let Some(why) = wrong(attempt, &attempt.send(client).await) {
                still.push((attempt, format!("{attempt} {what}: {why}")));
            }
        }
        if still.is_empty() {
            return;
        }
        let texts: Vec<&String> = still.iter().map(|(_, text)| text).collect();
        assert!(round < ROUNDS, "{texts:#?}");
        left = still.into_iter().map(|(attempt, _)| attempt).collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
