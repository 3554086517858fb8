//! A model behind TLS that asks for a key or a person's token, and new ones of each while it serves.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::place::{CLIENT, NS, Place, ready};
use super::provider::{AUDIENCE, ISSUER, Provider};
use crate::kube::wait;
use crate::suite::fixtures::{Model, random, secret};
use crate::suite::languages::{self, Language};
use crate::suite::stage::Stage;

/// The model, and the Secrets and the ConfigMap that it names.
const NAME: &str = "private";
const KEYS: &str = "private-keys";
const CERTIFICATE: &str = "private-tls";
const KEY_SET: &str = "private-key-set";

/// The kubelet's time for a changed Secret, and what a busy machine adds.
const LONG: Duration = Duration::from_secs(180);

/// What a client of Python saw.
#[derive(Debug)]
struct Seen {
    /// By credential: `200`, or the status and the code of the error.
    told: BTreeMap<String, String>,
    /// The serial number of the certificate.
    serial: String,
}

impl Seen {
    fn of(&self, credential: &str) -> &str {
        self.told.get(credential).map_or("nothing", String::as_str)
    }
}

const ACCEPTED: &str = "200";

pub(super) async fn changes(stage: &Stage) -> Result<()> {
    let place = stage.clients().await?;
    let (old, new) = (random(), random());
    let (first, second) = (Provider::new("first")?, Provider::new("second")?);
    put(stage, place, &json!({"app": old}), &[&first]).await?;
    let peer = json!({"podSelector": {"matchLabels": {"app": "client"}}});
    let access = json!({
        "from": [peer],
        "apiKeys": {"secretRef": {"name": KEYS}},
        "tls": {"secretRef": {"name": CERTIFICATE}},
        "jwt": {
            "issuer": ISSUER, "audiences": [AUDIENCE],
            "jwks": {"configMapRef": {"name": KEY_SET}},
        },
    });
    let model = Model::new(NS, NAME, stage.artifact()).set("/access", access);
    stage.world.apply(&model.yaml()).await?;
    ready(stage, NAME).await?;

    let credentials = json!({
        "old key": old, "new key": new, "none": "none",
        "ada": first.token("ada", AUDIENCE, 3600)?,
        "bob": second.token("bob", AUDIENCE, 3600)?,
        "for another service": first.token("ada", "payroll", 3600)?,
        "expired": first.token("ada", AUDIENCE, -300)?,
    });
    let before = ask(stage, &credentials).await?;
    for (credential, told) in [
        ("old key", ACCEPTED),
        ("ada", ACCEPTED),
        ("new key", "401 invalid_api_key"),
        ("none", "401 invalid_api_key"),
        ("bob", "401 invalid_token"),
        ("for another service", "401 invalid_token"),
        ("expired", "401 expired_token"),
    ] {
        ensure!(
            before.of(credential) == told,
            "expected {told} with {credential}, got {before:?}"
        );
    }

    // Old and new beside each other, as a rotation needs it.
    let both = json!({"app": old, "next": new});
    put(stage, place, &both, &[&first, &second]).await?;
    let begun = |seen: &Seen| {
        let taken = ["new key", "bob"].iter().all(|c| seen.of(c) == ACCEPTED);
        taken && seen.serial != before.serial
    };
    until(stage, &credentials, ["old key", "ada"], begun).await?;

    put(stage, place, &json!({"next": new}), &[&second]).await?;
    // What stringData leaves out stays in a Secret.
    let remove = r#"[{"op":"remove","path":"/data/app"}]"#;
    let patch = [
        "patch",
        "secret",
        "-n",
        NS,
        KEYS,
        "--type=json",
        "-p",
        remove,
    ];
    stage.world.kubectl(&patch).await?;
    let ended = |seen: &Seen| {
        ["old key", "ada"]
            .iter()
            .all(|c| seen.of(c).starts_with("401 "))
    };
    until(stage, &credentials, ["new key", "bob"], ended).await?;
    one_pod_served(stage).await?;
    audited(stage).await?;
    let gone = ["delete", "-n", NS, "modeldeployment", NAME, "--wait=false"];
    stage.world.kubectl(&gone).await?;
    Ok(())
}

/// Asks until this is so; meanwhile these credentials are good.
async fn until(
    stage: &Stage,
    credentials: &Value,
    good: [&str; 2],
    is_so: impl Fn(&Seen) -> bool,
) -> Result<()> {
    let broken = |seen: &Seen| good.iter().any(|c| seen.of(c) != ACCEPTED);
    let seen = wait(LONG, "the change of credentials", async || {
        let seen = ask(stage, credentials).await?;
        Ok((broken(&seen) || is_so(&seen)).then_some(seen))
    });
    let seen = seen.await?;
    ensure!(
        !broken(&seen),
        "expected {good:?} to stay good, got {seen:?}"
    );
    Ok(())
}

/// Applies the keys, the key set of these providers, and a new certificate.
async fn put(stage: &Stage, place: &Place, keys: &Value, providers: &[&Provider]) -> Result<()> {
    let pair = place.authority.sign(&format!("{NAME}.{NS}.svc"))?;
    let jwks: Result<Vec<_>> = providers.iter().map(|provider| provider.jwk()).collect();
    let key_set = json!({"keys": jwks?}).to_string();
    let mut certificate = secret(
        NS,
        CERTIFICATE,
        &json!({"tls.crt": pair.certificate, "tls.key": pair.key}),
    );
    certificate["type"] = json!("kubernetes.io/tls");
    let objects = [
        secret(NS, KEYS, keys),
        certificate,
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": KEY_SET, "namespace": NS},
            "data": {"jwks.json": key_set},
        }),
    ];
    stage.apply(&objects).await
}

/// Asks with each of these at the address that the status tells, and without trust in the authority.
async fn ask(stage: &Stage, credentials: &Value) -> Result<Seen> {
    let object = stage.world.model(NS, NAME).await?.unwrap_or_default();
    let base = object["status"]["url"].as_str().unwrap_or_default();
    ensure!(base.starts_with("https://"), "expected TLS at {base:?}");
    let config = json!({"base": base, "model": NAME, "credentials": credentials});
    let script = (Language::Python, "private_client.py");
    let lines = languages::lines(stage, (NS, CLIENT), script, &config).await?;
    let mut told: BTreeMap<_, _> = lines
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, told)| (name.to_owned(), told.to_owned()))
        .collect();
    let serial = told.remove("serial").context("failed to read the serial")?;
    let untrusted = told.remove("without trust");
    ensure!(
        untrusted.as_deref() == Some("no connection"),
        "expected no connection without trust, got {untrusted:?}"
    );
    Ok(Seen { told, serial })
}

/// None of the changes was a restart.
async fn one_pod_served(stage: &Stage) -> Result<()> {
    let pods = stage.world.pods(NS, NAME).await?;
    let restarts = |pod: &Value| -> u64 {
        let all = ["initContainerStatuses", "containerStatuses"].map(|kind| {
            let statuses = pod["status"][kind].as_array().cloned().unwrap_or_default();
            let counts = statuses.iter().filter_map(|s| s["restartCount"].as_u64());
            counts.sum::<u64>()
        });
        all.iter().sum()
    };
    ensure!(
        pods.len() == 1 && restarts(&pods[0]) == 0,
        "expected one pod without a restart, got {}",
        pods.len()
    );
    Ok(())
}

/// The audit has names and persons, and neither keys nor tokens.
async fn audited(stage: &Stage) -> Result<()> {
    let target = format!("deployment/{NAME}");
    let logs = ["logs", "-n", NS, &target, "-c", "gate"];
    let log = stage.world.kubectl(&logs).await?.stdout;
    for told in [
        r#""key":"app""#,
        r#""key":"next""#,
        r#""person":"ada""#,
        r#""person":"bob""#,
    ] {
        ensure!(log.contains(told), "expected {told} in the audit");
    }
    ensure!(!log.contains("eyJ"), "expected no token in the audit");
    Ok(())
}
