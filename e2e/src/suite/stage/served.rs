//! A model that serves, and what is asked of it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{HOME, Stage};
use crate::asking::{GLANCE, PATIENCE};
use crate::kube::wait;
use crate::objects::{Subject, condition_of};
use crate::world::name_of;

/// A model that serves.
#[derive(Clone, Debug)]
pub struct Served {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its base URL without `/v1`.
    pub url: String,
    /// The namespace of the pod `client` that asks it.
    pub client: String,
}

impl Served {
    /// The model of that name, at the address of its Service, asked by the client of all tests.
    #[must_use]
    pub fn of(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            url: format!("http://{name}.{namespace}.svc.cluster.local:8080"),
            client: HOME.to_owned(),
        }
    }

    /// The same, asked by the client of its own namespace.
    #[must_use]
    pub fn asked_nearby(self) -> Self {
        let client = self.namespace.clone();
        Self { client, ..self }
    }
}

impl Stage {
    /// The assistant, once nothing is left of its start: the last is that the runtime has shown its lock.
    ///
    /// # Errors
    /// When it does not become ready or shows no lock.
    pub async fn settled(&self) -> Result<Served> {
        let model = self.assistant().await?;
        let locked = async || {
            let object = self.object(&model).await?;
            let locks = object["status"]["seal"]["locks"].as_array().cloned();
            let shown = locks.unwrap_or_default().contains(&"Kernel".into());
            let ready = condition_of(&object, "Ready").status == "True";
            Ok((shown && ready).then_some(()))
        };
        wait(
            Duration::from_secs(120),
            "a ready model that shows its lock",
            locked,
        )
        .await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(model)
    }

    /// The model's object as it is.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn object(&self, model: &Served) -> Result<Value> {
        let Served {
            namespace, name, ..
        } = model;
        let object = self.world.model(namespace, name).await?;
        object.with_context(|| format!("failed to find {namespace}/{name}"))
    }

    /// Sends a request from the model's client: status and body.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn ask(
        &self,
        model: &Served,
        path: &str,
        data: Option<&str>,
    ) -> Result<(u16, String)> {
        let url = format!("{}{path}", model.url);
        self.world
            .fetch(&model.client, &url, data, None, PATIENCE)
            .await
    }

    /// The status of a GET; `None` when no answer comes within half a minute.
    pub async fn get_status(&self, model: &Served, path: &str) -> Option<u16> {
        let url = format!("{}{path}", model.url);
        let client = &model.client;
        let asked = self.world.fetch(client, &url, None, None, GLANCE).await;
        asked.ok().map(|(status, _)| status)
    }

    /// Waits until a model that is ready answers: the Service leads to it a moment later. A pod that goes may refuse until
    /// then, which is told.
    ///
    /// # Errors
    /// When nobody answers in time, or it does not serve: says what it answers instead.
    pub async fn answers(&self, model: &Served) -> Result<()> {
        let (world, name) = (&self.world, &model.name);
        let of = Subject::model(&model.namespace, name);
        let url = format!("{}/v1/models", model.url);
        let ((status, body), refused) = world
            .first_answer(of, async || {
                world.fetch(&model.client, &url, None, None, GLANCE).await
            })
            .await?;
        if refused > 0 {
            println!(
                "e2e note   {name} answers; before, a pod of it that goes refused {refused} times"
            );
        }
        ensure!(
            status == 200,
            "expected it to serve, it said {status} {body}"
        );
        Ok(())
    }

    /// How many tokens the runtime has generated, by its own counter, as the gate passes it on.
    ///
    /// # Errors
    /// When the counter cannot be read.
    pub async fn generated_tokens(&self, model: &Served) -> Result<f64> {
        let pods = self.world.pods(&model.namespace, &model.name).await?;
        let pod = pods.first().map(name_of).context("failed to find a pod")?;
        self.world.tokens(&model.namespace, pod, "generated").await
    }
}
