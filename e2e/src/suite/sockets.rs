//! What others could reach of a model's pod: its ports, and the sockets of its containers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::processes::{all, is_of, text};
use super::stage::Served;
use super::{PROGRAM, Stage};
use crate::dial::Attempt;

/// The gate's port for clients.
pub(super) const API: u16 = 8080;
/// The gate's ports for the operator and for metrics.
const OTHERS: [u16; 2] = [8081, 8082];
/// Where the sockets between the containers lie.
const SOCKETS: &str = "/run/sealroom/";
/// Where the one of an engine without a port lies.
const DIRECTORY: &str = "/run/sealroom/runtime";
/// That one.
const ENGINE: &str = "/run/sealroom/runtime/runtime.sock";

/// Dials these from a pod of the tool image over `tcp`, `udp` or `icmp`: what became of each.
pub(super) async fn dialled(
    stage: &Stage,
    (namespace, pod): (&str, &str),
    protocol: &str,
    to: &[SocketAddr],
) -> Result<Vec<Attempt>> {
    let to: Vec<String> = to.iter().map(SocketAddr::to_string).collect();
    ensure!(!to.is_empty(), "expected something to dial");
    // Whoever speaks HTTP answers, so that a connection is told from silence.
    let text = "GET / HTTP/1.0\r\n\r\n";
    let mut dial = vec![PROGRAM, "dial", "--protocol", protocol, "--text", text];
    dial.extend(["--patience", "5000"]);
    dial.extend(to.iter().flat_map(|to| ["--to", to.as_str()]));
    let told = stage.world.exec(namespace, pod, "tool", &dial).await?;
    let attempts: Vec<Attempt> = told
        .stdout
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(
        attempts.len() == to.len(),
        "expected {} attempts, got {}",
        to.len(),
        told.stdout
    );
    Ok(attempts)
}

/// At every address of the model's pod a pod of the tool image reaches the ports in `open` and no other. `engine` are
/// those of the engine itself.
pub(super) async fn reached(
    stage: &Stage,
    model: &Served,
    from: (&str, &str),
    open: &[u16],
    engine: &[u16],
) -> Result<()> {
    let pods = stage.world.pods(&model.namespace, &model.name).await?;
    let pod = pods.first().context("failed to find a pod")?;
    let addresses = pod["status"]["podIPs"].as_array().into_iter().flatten();
    let addresses = addresses.filter_map(|address| address["ip"].as_str()?.parse().ok());
    let addresses: Vec<IpAddr> = addresses.collect();
    let ports: Vec<u16> = [&[API][..], &OTHERS, engine].concat();
    let to: Vec<SocketAddr> = addresses
        .iter()
        .flat_map(|ip| ports.iter().map(move |port| SocketAddr::new(*ip, *port)))
        .collect();
    for attempt in dialled(stage, from, "tcp", &to).await? {
        ensure!(
            attempt.reached == open.contains(&attempt.to.port()),
            "expected {from:?} to reach {open:?} alone, got {attempt:?}"
        );
    }
    Ok(())
}

/// Whatever policies let in: in the pod's network namespace connections are taken by the gate alone, and the engine's
/// socket lies in a volume that no other pod has. It is the machine that shows both, for an engine that has no port.
pub(super) async fn gate_alone(stage: &Stage, model: &Served) -> Result<()> {
    let pods = stage.world.pods(&model.namespace, &model.name).await?;
    let pod = pods.first().context("failed to find a pod")?;
    let uid = pod["metadata"]["uid"].as_str();
    let uid = uid.context("failed to find the pod's UID")?;
    let volume = format!(
        "/pods/{uid}/volumes/kubernetes.io~empty-dir/{}",
        volume(pod)?
    );
    let mut holders = vec![];
    for process in all()? {
        let mounts = text(&process, "mountinfo");
        // The fourth word is what of a file system is mounted.
        let mut roots = mounts.lines().filter_map(|line| line.split(' ').nth(3));
        if roots.any(|root| root.ends_with(&volume)) {
            // One that has ended in the meantime has no cgroup.
            ensure!(
                is_of(&process, uid) || text(&process, "cgroup").is_empty(),
                "expected {volume} in its own pod alone, {} has it",
                text(&process, "cmdline").replace('\0', " ")
            );
            holders.push(process);
        }
    }
    ensure!(
        holders.len() > 1,
        "expected gate and engine to have {volume}, got {holders:?}"
    );
    let process = holders.first().context("failed to find a process")?;
    let ports = ports(process);
    ensure!(
        ports == BTreeSet::from([API, OTHERS[0], OTHERS[1]]),
        "expected the gate's ports alone to be open, got {ports:?}"
    );
    let sockets = sockets(process);
    ensure!(
        sockets.contains(ENGINE) && sockets.iter().all(|path| path.starts_with(SOCKETS)),
        "expected {ENGINE} among those below {SOCKETS} alone, got {sockets:?}"
    );
    Ok(())
}

/// The name of the volume with the engine's socket: an empty directory of the pod.
fn volume(pod: &Value) -> Result<&str> {
    let spec = &pod["spec"];
    let mounts = spec["containers"][0]["volumeMounts"].as_array();
    let mut mounts = mounts.into_iter().flatten();
    let mount = mounts.find(|mount| mount["mountPath"] == DIRECTORY);
    let name = mount.and_then(|mount| mount["name"].as_str());
    let name = name.with_context(|| format!("failed to find {DIRECTORY} in {spec}"))?;
    let mut volumes = spec["volumes"].as_array().into_iter().flatten();
    ensure!(
        volumes.any(|volume| volume["name"] == name && volume["emptyDir"].is_object()),
        "expected {name} to be an empty directory in {spec}"
    );
    Ok(name)
}

/// The ports where connections are taken in the network namespace of a process.
fn ports(process: &Path) -> BTreeSet<u16> {
    let tables = ["net/tcp", "net/tcp6"].map(|file| text(process, file));
    let lines = tables.iter().flat_map(|table| table.lines());
    let listens = lines.filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, state) = (words.next()?, words.nth(1)?);
        let (_, port) = local.rsplit_once(':').filter(|_| state == "0A")?;
        u16::from_str_radix(port, 16).ok()
    });
    listens.collect()
}

/// The names of the Unix sockets where connections are taken there. One in the abstract namespace begins with `@`.
fn sockets(process: &Path) -> BTreeSet<String> {
    let table = text(process, "net/unix");
    let listens = table.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let listens = words.get(3) == Some(&"00010000");
        listens.then(|| words.get(7).copied().unwrap_or_default().to_owned())
    });
    listens.collect()
}
