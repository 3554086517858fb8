//! How seals are proven, as the platform says it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// How seals are proven. The defaults are the contract's.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SealConfig {
    /// Seconds between two rounds of one pod.
    pub round_seconds: u64,
    /// How many rounds a proof is valid.
    pub validity_rounds: u64,
    /// Seconds between a gate's own probes.
    pub probe_seconds: u64,
    /// Seconds that a stale gate goes on under `whenStale: Refuse`.
    pub grace_seconds: u64,
    /// Challenges a second at most, over all pods.
    pub max_challenges_per_second: u64,
    /// The signing key, PKCS#8 PEM.
    pub key_file: PathBuf,
    /// Further public keys that gates and canaries shall trust, for rotation: at most one.
    pub trusted_key_files: Vec<PathBuf>,
    /// Labels of the canaries' pods, in the operator's namespace.
    pub canary_selector: BTreeMap<String, String>,
    /// The canaries' Service.
    pub canary_service: String,
    /// The cluster's DNS Service.
    pub dns_service: ServiceName,
}

/// A Service by name.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ServiceName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Default for SealConfig {
    fn default() -> Self {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Self {
            round_seconds: 30,
            validity_rounds: 3,
            probe_seconds: 5,
            grace_seconds: 30,
            max_challenges_per_second: 200,
            key_file: "/etc/sealroom/key/key.pem".into(),
            trusted_key_files: Vec::new(),
            canary_selector: BTreeMap::from([
                label("app.kubernetes.io/name", "sealroom"),
                label("app.kubernetes.io/component", "canary"),
            ]),
            canary_service: "sealroom-canary".to_owned(),
            dns_service: ServiceName {
                namespace: "kube-system".to_owned(),
                name: "kube-dns".to_owned(),
            },
        }
    }
}
