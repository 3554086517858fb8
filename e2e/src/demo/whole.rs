//! The demo with its cluster.

use std::path::Path;

use anyhow::Result;

use super::{Record, Show, run};
use crate::cluster::{Cluster, Shape, cache};
use crate::install;
use crate::world::World;

/// The whole of it, from an empty machine to a cluster that is gone again, unless it is to be kept.
///
/// # Errors
/// The first thing that did not happen.
pub async fn whole(shape: &Shape, operator: &Path, keep: bool) -> Result<()> {
    let mut show = Show::new();
    Record::forget(&cache())?;
    let cluster = Cluster::new(shape)?;
    cluster.up().await?;
    let environment = cluster.environment()?;
    show.done(
        "cluster",
        format!(
            "Kubernetes is up with {} node(s)",
            cluster.nodes().await?.len()
        ),
    );
    let result = async {
        let world = World::new(environment.clone()).await?;
        let shown = async {
            let pushed = install::push(&cluster, operator, false).await?;
            show.done(
                "registry",
                format!("images and model pushed, model {}", pushed.model.oras),
            );
            install::install(&world, &pushed).await?;
            show.done(
                "operator",
                "installed by its chart with helm, two canaries beside it",
            );
            run(&world, &install::props(&pushed), &mut show).await
        }
        .await;
        if shown.is_err() {
            show.end();
            world.describe().await;
        }
        shown
    }
    .await;
    show.end();
    if let Ok(record) = &result {
        record.write(&cache())?;
    }
    let stays = keep || matches!(cluster, Cluster::Kubeconfig(_));
    if stays {
        let kubeconfig = environment.kubeconfig.display();
        show.done("look", "it is still up; look around with");
        show.say(&format!("  export KUBECONFIG={kubeconfig}"));
        show.say("  kubectl get sealroom -A -o wide; kubectl -n team-a describe modeldeployment assistant");
        let away = match cluster {
            Cluster::Kubeconfig(_) => "take the demo away with: kubectl delete namespace team-a",
            _ => "take everything down with: make bed-down",
        };
        show.done("end", away);
    } else {
        cluster.down().await?;
        let text = "everything is taken down; KEEP=1 make demo leaves it up to look around";
        show.done("end", text);
    }
    result.map(drop)
}
