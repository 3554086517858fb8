//! What is measured and not tested: no time is asserted, since machines differ.

mod gate;
mod holes;
mod mcp;
mod objects;
mod pairs;
mod process;
mod processes;

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cluster::{Cluster, Shape};
use crate::suite::prepared;

pub use gate::gate;
pub use mcp::mcp;

/// Everything that needs a cluster, on one that is taken down afterwards unless it is to be kept.
///
/// # Errors
/// When the model does not serve, does not shut or does not come back.
pub async fn cluster(shape: &Shape, operator: &Path, keep: bool) -> Result<()> {
    let work = async {
        let stage = prepared(shape, operator, false).await?;
        stage.assistant().await?;
        objects::memory();
        objects::writes(&stage).await?;
        holes::holes(&stage).await
    };
    Cluster::new(shape)?.during(keep, work).await
}

/// How many processors there are and how busy they are.
fn machine() -> Result<String> {
    let cores = std::thread::available_parallelism().context("failed to count the processors")?;
    let load =
        std::fs::read_to_string("/proc/loadavg").context("failed to read the machine's load")?;
    let load = load.split(' ').next().unwrap_or_default();
    Ok(format!("{cores} cores, load of the last minute {load}"))
}
