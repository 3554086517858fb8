//! The model: fetched, and pushed to the cluster's registry.

use anyhow::{Context as _, Result, bail};

use crate::artifact;
use crate::cluster::{Cluster, Shape, cache};
use crate::progress::Stage;
use crate::registry::Registry;

/// Fetches it into the cache, and prints where it is.
pub(super) async fn fetch() -> Result<()> {
    let file = artifact::model(&cache()).await?;
    anstream::println!("{}", file.display());
    Ok(())
}

/// Pushes it in both layouts, prints its references by digest, and notes them in the cluster's directory.
pub(super) async fn push(shape: &Shape) -> Result<()> {
    let environment = Cluster::new(shape)?.environment()?;
    let stage = Stage::begin("model");
    let file = artifact::model(&cache()).await?;
    let registry = Registry::new(&environment)?;
    registry.wait().await?;
    let pushed = artifact::push(&registry, &file).await?;
    let Some(directory) = environment.bed_dir else {
        bail!("failed to note the model: the cluster has no directory")
    };
    for (name, reference) in [
        ("model-ref", &pushed.oras),
        ("model-ref-docker", &pushed.docker),
    ] {
        std::fs::write(directory.join(name), format!("{reference}\n"))
            .context("failed to note the model")?;
    }
    stage.end("pushed");
    anstream::println!("{}\n{}", pushed.oras, pushed.docker);
    Ok(())
}
