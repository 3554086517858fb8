//! What servers dial to get out, and what a server's pod can reach.

use anyhow::{Context as _, Result};

use crate::objects::Subject;
use crate::outside;
use crate::suite::stage::Stage;
use crate::world::name_of;

/// A port outside that an application of the kernel's could have chosen for itself, and one where something answers.
const PORTS: [u16; 2] = [40_000, 9_000];

/// Addresses outside and their ports.
pub(super) fn outside() -> Vec<(&'static str, u16)> {
    let addresses = outside::ADDRESSES.iter();
    let each = addresses.flat_map(|address| PORTS.map(|port| (*address, port)));
    each.collect()
}

/// What a server that calls home dials, as its variable has it.
pub(super) fn home() -> String {
    let peers = outside().into_iter();
    let words: Vec<_> = peers
        .map(|(address, port)| format!("{address}:{port}"))
        .collect();
    words.join(" ")
}

/// Of each peer, over TCP: `reached`, or the name of Python's error. A process beside the server asks: the network lock
/// holds it as it does the server, and no kernel lock does.
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
