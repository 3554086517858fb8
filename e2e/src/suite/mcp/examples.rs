//! The examples of MCP servers as they are applied: one reads the files of a claim, one asks a database.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::dialled::{dialled, outside};
use super::place::{CLIENT, ERAS, expect};
use crate::install;
use crate::kube::wait;
use crate::objects::Subject;
use crate::suite::fixtures::{random, secret};
use crate::suite::languages::{self, CONTAINER};
use crate::suite::stage::Stage;

mod own;

pub(super) use own::answers;

/// The namespace of the examples.
const NS: &str = "team-a";
/// The pod that the examples let in.
const SEARCHER: &str = "searcher";
/// The claim of one, and the database of the other.
const HANDBOOK: &str = "handbook";
const DATABASE: &str = "records-db";

pub(super) async fn hold(stage: &Stage) -> Result<()> {
    let room = stage.room(NS).await?;
    let done = inside(stage).await;
    room.leave_silent(done).await
}

async fn inside(stage: &Stage) -> Result<()> {
    let nodes = stage.cluster().nodes().await?;
    let node = nodes.last().context("failed to find a node")?;
    let image = stage.languages().await?;
    let phrase = random();
    let mut searcher = languages::pod(NS, SEARCHER, image, node);
    searcher["metadata"]["labels"] = json!({"search-client": "true"});
    // It writes the handbook, too.
    searcher["spec"]["securityContext"]["fsGroup"] = json!(65532);
    let spec = &mut searcher["spec"];
    let claim = json!({"name": "data", "persistentVolumeClaim": {"claimName": HANDBOOK}});
    spec["volumes"]
        .as_array_mut()
        .context("no volumes")?
        .push(claim);
    let mounts = spec["containers"][0]["volumeMounts"].as_array_mut();
    mounts
        .context("no mounts")?
        .push(json!({"name": "data", "mountPath": "/data"}));
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": HANDBOOK, "namespace": NS},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
    });
    let database = install::postgres(stage.cluster()).await?;
    let key = random();
    let mut objects = vec![
        claim,
        searcher,
        secret(NS, "records-keys", &json!({SEARCHER: key})),
    ];
    objects.extend(database_of(&database));
    stage.apply(&objects).await?;
    stage.world.pods_ready(NS, &[SEARCHER, DATABASE]).await?;
    let write = format!("open('/data/handbook.txt', 'w').write('{phrase}')\n");
    let python = ["/usr/bin/python3", "-"];
    let world = &stage.world;
    world.feed(NS, SEARCHER, CONTAINER, &python, &write).await?;

    let path = format!("/api/v1/namespaces/{NS}/services/{DATABASE}");
    let service = world.get(&path).await?.unwrap_or_default();
    let address = service["spec"]["clusterIP"].as_str().unwrap_or_default();
    let places = [("SERVER_IMAGE", image), ("RECORDS_DB_ADDRESS", address)];
    for file in ["20-files.yaml", "30-records.yaml"] {
        let example = install::example(&format!("mcp-servers/{file}"), &places)?;
        world.apply(&example).await?;
    }
    let files = told(stage, "files").await?;
    expect(&files, "Sealed", "True", "NoEgress")?;
    let locks = files["status"]["seal"]["locks"].to_string();
    ensure!(locks.contains("\"Kernel\""), "expected Kernel, got {locks}");
    let records = told(stage, "records").await?;
    expect(&records, "Sealed", "True", "DeclaredEgressOnly")?;
    let exits = records["status"]["seal"]["exits"].to_string();
    ensure!(exits.contains("out 5432/TCP to "), "got {exits}");

    for era in ERAS {
        for (name, check) in [("files", "files"), ("records", "records")] {
            let config = json!({
                "url": format!("http://{name}.{NS}.svc:8080/mcp"), "key": key, "era": era, "phrase": phrase,
            });
            let checks = [check];
            languages::run(stage, (NS, SEARCHER), CLIENT, &config, &checks).await?;
        }
    }
    ways(stage, address).await
}

/// The server's object, once it serves and says which tools there are.
async fn told(stage: &Stage, name: &str) -> Result<Value> {
    let server = Subject::server(NS, name);
    let long = Duration::from_secs(180);
    stage
        .world
        .wait_for(server, "Ready", "True", "", long)
        .await?;
    wait(
        Duration::from_secs(60),
        "the tools in the status",
        async || {
            let object = stage.world.object(Subject::server(NS, name)).await?;
            Ok(object.filter(|object| object["status"]["tools"].is_object()))
        },
    )
    .await
}

/// What the server of records can reach: the database, and neither anything outside nor the API server.
async fn ways(stage: &Stage, database: &str) -> Result<()> {
    let api = "/api/v1/namespaces/default/services/kubernetes";
    let api = stage.world.get(api).await?.unwrap_or_default();
    let api = api["spec"]["clusterIP"].as_str().unwrap_or_default();
    let mut peers = vec![(database, 5432), (api, 443)];
    peers.extend(outside());
    let told = dialled(stage, (NS, "records"), &peers).await?;
    let mut expected = vec!["TimeoutError"; peers.len()];
    expected[0] = "reached";
    ensure!(
        told == expected,
        "expected to reach the database and nothing else of {peers:?}, got {told:?}"
    );
    Ok(())
}

/// PostgreSQL in a pod under `restricted`, its password and its Service.
fn database_of(image: &str) -> [Value; 3] {
    let security = json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
    });
    let mounts = json!([
        {"name": "data", "mountPath": "/var/lib/postgresql"},
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "password", "mountPath": "/password"},
    ]);
    let data = "/var/lib/postgresql/data";
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": DATABASE, "namespace": NS, "labels": {"app": DATABASE}},
        "spec": {
            "terminationGracePeriodSeconds": 2,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "imagePullSecrets": [{"name": "registry"}],
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "initContainers": [{
                "name": "initdb", "image": image, "securityContext": security, "volumeMounts": mounts,
                "command": [
                    "initdb", "--pgdata", data, "--username=records", "--pwfile=/password/password",
                    "--auth=scram-sha-256", "--locale=C", "--encoding=UTF8",
                ],
            }],
            "containers": [{
                "name": "postgres", "image": image, "securityContext": security, "volumeMounts": mounts,
                "env": [{"name": "PGDATA", "value": data}],
                "readinessProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 2},
            }],
            "volumes": [
                {"name": "data", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "password", "secret": {"secretName": DATABASE}},
            ],
        },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": DATABASE, "namespace": NS},
        "spec": {"selector": {"app": DATABASE}, "ports": [{"port": 5432}]},
    });
    [
        secret(NS, DATABASE, &json!({"password": random()})),
        pod,
        service,
    ]
}
