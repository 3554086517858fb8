//! What a pod sees that was not let in.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, bail, ensure};

use super::stage::Served;
use super::{PROGRAM, Stage};
use crate::tool::nobody_answered;

/// A pod of the tool image gets no connection, neither by the Service nor at the address of the model's pod.
pub(super) async fn no_connection(
    stage: &Stage,
    model: &Served,
    namespace: &str,
    pod: &str,
) -> Result<()> {
    let pods = stage.world.pods(&model.namespace, &model.name).await?;
    let address = pods.first().and_then(|pod| pod["status"]["podIP"].as_str());
    let address: IpAddr = address.context("failed to find a pod's address")?.parse()?;
    let past = format!("http://{}", SocketAddr::new(address, 8080));
    for base in [&model.url, &past] {
        let url = format!("{base}/v1/models");
        let fetch = [PROGRAM, "tool", "fetch", "--timeout-seconds", "3", &url];
        match stage.world.exec(namespace, pod, "tool", &fetch).await {
            Ok(output) => bail!("expected no answer to {namespace}/{pod}, got {output:?}"),
            Err(error) => ensure!(
                nobody_answered(&error.to_string()),
                "expected no connection from {namespace}/{pod} to {url}, got {error}"
            ),
        }
    }
    Ok(())
}
