//! What a server's pod can reach, asked by a process beside the server: the network lock holds it as it does the server,
//! and no kernel lock does.

use anyhow::{Context as _, Result};

use crate::objects::Subject;
use crate::suite::stage::Stage;
use crate::world::name_of;

/// Of each peer, over TCP: `reached`, or the name of Python's error.
pub(super) async fn dialled(
    stage: &Stage,
    (namespace, server): (&str, &str),
    peers: &[(&str, u16)],
) -> Result<Vec<String>> {
    let pods = stage.world.pods_of(Subject::server(namespace, server));
    let pods = pods.await?;
    let pod = pods.first().map(name_of).context("failed to find a pod")?;
    let script = format!(
        "import socket\n\
         for peer in {}:\n\
         \x20   try:\n\
         \x20       socket.create_connection(peer, timeout=2).close()\n\
         \x20       print('reached')\n\
         \x20   except OSError as error:\n\
         \x20       print(type(error).__name__)\n",
        serde_json::to_string(peers)?
    );
    let python = ["/usr/bin/python3", "-"];
    let told = stage
        .world
        .feed(namespace, pod, "server", &python, &script)
        .await?;
    Ok(told.stdout.lines().map(str::to_owned).collect())
}
