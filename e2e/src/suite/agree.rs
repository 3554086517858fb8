//! The policy evaluator against packets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use sealroom::policy::sample::{Scene, generate};
use sealroom::policy::{
    BlockScope, Direction, NamedPort, Pod, Policy, Protocol, Remote, World as Policies,
};
use serde_json::json;

use super::{Case, Needs, PROGRAM, Stage};
use crate::dial::{Attempt as Reached, Protocol as Dialled};
use crate::kube::wait;
use crate::world::name_of;

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "agree/evaluator_and_packets_on_generated_policies",
        needs: Needs::BothLocks,
        run: |s| Box::pin(agree(s)),
    }]
}

const PORTS: [u16; 3] = [8080, 8081, 9000];
const OUTSIDE_PORTS: [u16; 2] = [9000, 9001];
const SEED: u64 = 20_261_101;
/// So many in `make test`; `make soak` sets more by the variable of this name.
const SAMPLE: usize = 12;

/// One attempt: who dials whom, and what the policies say.
struct Attempt {
    from: &'static str,
    peer: (SocketAddr, Dialled),
    expected: bool,
}

type Open = Vec<(&'static str, (SocketAddr, Dialled))>;

async fn agree(stage: &Stage) -> Result<()> {
    let count = std::env::var("POLICY_SAMPLES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(SAMPLE);
    let (here, there) = (stage.room("agree-a").await?, stage.room("agree-b").await?);
    let result = compare(stage, count).await;
    here.leave().await?;
    there.leave().await?;
    let attempts = result?;
    println!("e2e note   {count} policies, {attempts} attempts, no disagreement");
    Ok(())
}

async fn compare(stage: &Stage, count: usize) -> Result<usize> {
    let scene = scene(stage).await?;
    let namespaces: BTreeMap<_, _> = scene.namespaces.iter().cloned().collect();
    let mut attempts = 0;
    // Cilium carries rules out whose direction policyTypes leave out, against the API's text: there packets
    // cannot agree, and the closure counts such rules as widening.
    let comparable = |policy: &NetworkPolicy| Policy::parse(policy).unlisted.is_empty();
    for policy in generate(SEED, count * 2, &scene)
        .into_iter()
        .filter(comparable)
        .take(count)
    {
        let yaml = serde_json::to_string(&policy)?;
        stage.world.apply(&yaml).await?;
        // A policy takes effect within 0.3 s here; UDP and new identities get a little longer.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let parsed = [Policy::parse(&policy)];
        let policies = Policies {
            policies: &parsed,
            namespaces: &namespaces,
            pods: &scene.pods,
            blocks: BlockScope::Outside,
        };
        let expected = expectations(&policies, &scene)?;
        let disagreements = disagreements(stage, &expected).await?;
        ensure!(
            disagreements.is_empty(),
            "expected packets to agree, {}\n{}",
            disagreements.join("; "),
            pretty(&policy)
        );
        attempts += expected.len();
        let name = policy.metadata.name.unwrap_or_default();
        stage
            .world
            .kubectl(&["delete", "networkpolicy", "-n", "agree-a", &name])
            .await?;
    }
    Ok(attempts)
}

fn pretty(policy: &NetworkPolicy) -> String {
    serde_json::to_string_pretty(policy).unwrap_or_default()
}

/// Three pods that listen, two of them where the policies are made.
async fn scene(stage: &Stage) -> Result<Scene> {
    let mut pods = vec![];
    for (namespace, name, labels) in [
        ("agree-a", "red", json!({"app": "red", "tier": "front"})),
        ("agree-a", "blue", json!({"app": "blue"})),
        ("agree-b", "green", json!({"app": "green", "tier": "front"})),
    ] {
        let mut pod: serde_json::Value = serde_json::from_str(&super::fixtures::tool_pod(
            namespace,
            name,
            &stage.images.tool,
            name,
            &[],
        ))?;
        pod["metadata"]["labels"] = labels;
        let container = &mut pod["spec"]["containers"][0];
        container["args"] = json!(["tool", "listen", "8080", "8081", "9000"]);
        container["ports"] = json!([
            {"name": "web", "containerPort": 8080, "protocol": "TCP"},
            {"name": "dns-ish", "containerPort": 9000, "protocol": "UDP"},
        ]);
        stage.world.apply(&pod.to_string()).await?;
    }
    for namespace in ["agree-a", "agree-b"] {
        pods.extend(
            wait(
                Duration::from_secs(60),
                "three listening pods",
                async || {
                    let found = stage
                        .world
                        .list(&format!("/api/v1/namespaces/{namespace}/pods"))
                        .await?;
                    let ready = found
                        .iter()
                        .all(|pod| crate::objects::condition_of(pod, "Ready").status == "True");
                    Ok(ready.then_some(found))
                },
            )
            .await?,
        );
    }
    let pods = pods.iter().map(pod).collect::<Result<Vec<_>>>()?;
    let mut namespaces = vec![];
    for namespace in ["agree-a", "agree-b"] {
        let object = stage
            .world
            .get(&format!("/api/v1/namespaces/{namespace}"))
            .await?
            .unwrap_or_default();
        namespaces.push((
            namespace.to_owned(),
            serde_json::from_value(object["metadata"]["labels"].clone())?,
        ));
    }
    Ok(Scene {
        namespace: "agree-a".to_owned(),
        namespaces,
        pods,
        addresses: vec!["172.31.9.10".parse()?, "fd31:9::10".parse()?],
        ports: PORTS.to_vec(),
    })
}

fn pod(object: &serde_json::Value) -> Result<Pod> {
    let addresses = object["status"]["podIPs"]
        .as_array()
        .context("failed to find a pod's addresses")?;
    Ok(Pod {
        namespace: object["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        name: name_of(object).to_owned(),
        labels: serde_json::from_value(object["metadata"]["labels"].clone())?,
        addresses: addresses
            .iter()
            .filter_map(|ip| ip["ip"].as_str()?.parse().ok())
            .collect(),
        ports: vec![
            NamedPort {
                name: "web".to_owned(),
                protocol: Protocol::Tcp,
                port: 8080,
            },
            NamedPort {
                name: "dns-ish".to_owned(),
                protocol: Protocol::Udp,
                port: 9000,
            },
        ],
    })
}

fn peer(protocol: Protocol, address: IpAddr, port: u16) -> (SocketAddr, Dialled) {
    let over = if protocol == Protocol::Udp {
        Dialled::Udp
    } else {
        Dialled::Tcp
    };
    (SocketAddr::new(address, port), over)
}

/// Everything that is tried under one policy: red out to everybody, everybody in to red.
fn expectations(policies: &Policies<'_>, scene: &Scene) -> Result<Vec<Attempt>> {
    let named = |name: &str| {
        scene
            .pods
            .iter()
            .find(|pod| pod.name == name)
            .context("failed to find a pod")
    };
    let (red, blue, green) = (named("red")?, named("blue")?, named("green")?);
    let mut attempts = vec![];
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for (who, from, to) in [
            ("red", red, blue),
            ("red", red, green),
            ("green", green, red),
            ("blue", blue, red),
        ] {
            for address in &to.addresses {
                for port in PORTS {
                    let expected = policies.connects(from, to, *address, port, protocol);
                    attempts.push(Attempt {
                        from: who,
                        peer: peer(protocol, *address, port),
                        expected,
                    });
                }
            }
        }
        for address in &scene.addresses {
            for port in OUTSIDE_PORTS {
                let expected =
                    policies.permits(Direction::Egress, red, Remote::Ip(*address), port, protocol);
                attempts.push(Attempt {
                    from: "red",
                    peer: peer(protocol, *address, port),
                    expected,
                });
            }
            let target = red
                .addresses
                .iter()
                .find(|own| own.is_ipv4() == address.is_ipv4());
            for port in PORTS.iter().filter(|_| target.is_some()) {
                let expected = policies.permits(
                    Direction::Ingress,
                    red,
                    Remote::Ip(*address),
                    *port,
                    protocol,
                );
                let own = target.copied().unwrap_or(*address);
                attempts.push(Attempt {
                    from: "outside",
                    peer: peer(protocol, own, *port),
                    expected,
                });
            }
        }
    }
    Ok(attempts)
}

/// Tries everything; what differs from the expectation is tried again, since packets may be lost and a policy
/// may take its time on a busy machine.
async fn disagreements(stage: &Stage, attempts: &[Attempt]) -> Result<Vec<String>> {
    let mut left: Vec<&Attempt> = attempts.iter().collect();
    for patience in [800, 1500, 3000] {
        let open = dial_all(stage, &left, patience).await?;
        left.retain(|attempt| open.contains(&(attempt.from, attempt.peer)) != attempt.expected);
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let told = left.into_iter().map(|attempt| {
        let (to, over) = attempt.peer;
        let should = if attempt.expected { "open" } else { "closed" };
        format!("{} to {to} over {over:?} should be {should}", attempt.from)
    });
    Ok(told.collect())
}

/// Dials every peer from where it is to be dialled from, waiting `patience` milliseconds for each.
async fn dial_all(stage: &Stage, attempts: &[&Attempt], patience: u32) -> Result<Open> {
    let patience = patience.to_string();
    let mut by_source: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for attempt in attempts {
        by_source
            .entry(attempt.from)
            .or_default()
            .insert(attempt.peer.0.to_string());
    }
    let runs = by_source.into_iter().map(async |(from, peers)| {
        let mut command = vec![
            "dial",
            "--rounds",
            "1",
            "--pause",
            "0",
            "--patience",
            &patience,
        ];
        command.extend(peers.iter().flat_map(|peer| ["--to", peer.as_str()]));
        let output = if from == "outside" {
            let program = std::env::current_exe()?.to_string_lossy().into_owned();
            let whole: Vec<_> = std::iter::once(program.as_str()).chain(command).collect();
            stage.cluster().outside(&whole).await?
        } else {
            let whole: Vec<_> = std::iter::once(PROGRAM).chain(command).collect();
            let namespace = if from == "green" {
                "agree-b"
            } else {
                "agree-a"
            };
            stage.world.exec(namespace, from, "tool", &whole).await?
        };
        let reached = output
            .stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<Reached>(line).ok());
        let reached = reached.filter(|attempt| attempt.reached);
        anyhow::Ok(
            reached
                .map(|attempt| (from, (attempt.to, attempt.protocol)))
                .collect::<Vec<_>>(),
        )
    });
    Ok(futures::future::try_join_all(runs)
        .await?
        .into_iter()
        .flatten()
        .collect())
}
