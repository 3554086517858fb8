//! The demo: a model answers from a sealed pod, somebody opens a hole, the model shuts, and opens again.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::install::example;
use crate::objects::{Condition, Subject};
use crate::suite::fixtures::capital_of_france;
use crate::world::{World, name_of};

mod answer;
mod circle;
mod hole;
mod seal;
mod show;
mod start;
mod whole;

pub use show::{Record, Show};
pub use whole::whole;

/// Namespace and name that the examples use.
const NAMESPACE: &str = "team-a";
const NAME: &str = "assistant";
const CLIENT: &str = "client";

/// For something to be ready: what goes first may take all of its grace period, and Cilium looks at everything again
/// every two minutes.
const READY: Duration = Duration::from_secs(300);
/// For an opening to be seen, or what was applied.
const SEEN: Duration = Duration::from_secs(120);
/// How many seconds an answer may take where it is asked whether there is anybody.
const GLANCE: u32 = 2;

/// What the demo needs beside a cluster with the operator in it.
#[derive(Clone, Debug)]
pub struct Props {
    /// The model's reference by digest.
    pub model: String,
    /// The image of the client.
    pub tool: String,
}

/// Applies the examples and shows what happens.
///
/// # Errors
/// The first thing that did not happen.
pub async fn run(world: &World, props: &Props, show: &mut Show) -> Result<Record> {
    let demo = Demo { world, props };
    demo.apply(show).await?;
    demo.pulled(show).await?;
    demo.closed(show).await?;
    demo.opened(show).await?;
    let answer = demo.answer(show).await?;
    demo.counters(show).await?;
    demo.print_seal(show).await?;
    demo.circle(show).await?;
    demo.hole(show, "hole", "one-address.yaml", "PolicyWidens")
        .await?;
    demo.hole(show, "wide", "wide.yaml", "EgressOpen").await?;
    let object = demo.object().await?;
    Ok(Record {
        answer,
        digest: props.model.split('@').nth(1).unwrap_or_default().to_owned(),
        stages: show.stages.clone(),
        conditions: object["status"]["conditions"].clone(),
    })
}

struct Demo<'a> {
    world: &'a World,
    props: &'a Props,
}

impl Demo<'_> {
    async fn object(&self) -> Result<Value> {
        let object = self.world.model(NAMESPACE, NAME).await?;
        Ok(object.unwrap_or_default())
    }

    fn example(&self, file: &str) -> Result<String> {
        example(file, &[("MODEL_REF", &self.props.model)])
    }

    async fn pod(&self) -> Result<String> {
        let pods = self.world.pods(NAMESPACE, NAME).await?;
        let standing = pods
            .iter()
            .find(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        standing
            .map(|pod| name_of(pod).to_owned())
            .context("failed to find the model's pod")
    }

    async fn ready(&self) -> Result<Condition> {
        self.world
            .wait_condition(NAMESPACE, NAME, "Ready", "True", "", READY)
            .await
    }

    /// What the pods' own addresses say, past the Service; `None` while nobody answers there.
    async fn ask_pods(&self) -> Result<Option<u16>> {
        let of = Subject::model(NAMESPACE, NAME);
        let said = self.world.ask_pods(NAMESPACE, of, GLANCE).await?;
        Ok(said.map(|(_, status)| status))
    }

    /// The base URL of the model's API.
    async fn base(&self) -> Result<String> {
        let object = self.object().await?;
        let url = object["status"]["url"].as_str().unwrap_or_default();
        let url = url.trim_end_matches('/');
        Ok(if url.ends_with("/v1") {
            url.to_owned()
        } else {
            format!("{url}/v1")
        })
    }

    /// One chat completion through the Service, as an application asks: status and body.
    async fn ask(&self, order: &str) -> Result<(u16, String)> {
        let url = format!("{}/chat/completions", self.base().await?);
        let order = Some(order);
        self.world.fetch(NAMESPACE, &url, order, None, 50).await
    }

    /// The same: the model's message.
    async fn complete(&self, order: &str) -> Result<Value> {
        message(&self.ask(order).await?)
    }

    /// What the model says to the question.
    async fn chat(&self, nonce: &str) -> Result<String> {
        let message = self.complete(&capital_of_france(NAME, nonce)).await?;
        Ok(text(&message))
    }

    /// What it says to the question as soon as its Service leads to it. A pod that goes may refuse until then.
    async fn first_chat(&self, show: &Show) -> Result<String> {
        let order = capital_of_france(NAME, "");
        let of = Subject::model(NAMESPACE, NAME);
        let asked = self.world.first_answer(of, async || self.ask(&order).await);
        let (answer, refused) = asked.await?;
        if refused > 0 {
            show.say(&format!("  refused {refused} times by a pod that goes"));
        }
        Ok(text(&message(&answer)?))
    }
}

/// The message in a completion.
fn message((status, body): &(u16, String)) -> Result<Value> {
    ensure!(*status == 200, "expected an answer, got {status} {body}");
    let completion: Value = serde_json::from_str(body)?;
    Ok(completion["choices"][0]["message"].clone())
}

fn text(message: &Value) -> String {
    let text = message["content"].as_str().unwrap_or_default();
    text.trim().to_owned()
}
