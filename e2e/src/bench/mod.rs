//! What is measured and not tested: no time is asserted, since machines differ.

mod gate;
mod holes;
mod objects;
mod pairs;
mod processes;

use std::path::Path;

use anyhow::Result;

use crate::cluster::{Cluster, Shape};
use crate::suite::prepared;

pub use gate::gate;

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
