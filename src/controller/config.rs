//! The operator's configuration file: what the platform declares once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use serde::Deserialize;

use crate::engine::Engine;
use crate::types::ImageRef;

mod seal;

pub use seal::{SealConfig, ServiceName};

/// The configuration. Unknown fields are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Our own image, which pods that we make run.
    pub image: String,
    /// Images of the engines that the platform has, by the member that holds the engine's settings.
    pub engines: BTreeMap<String, EngineImage>,
    /// The registries that artifacts may come from: a closed set.
    #[serde(default)]
    pub registries: Vec<Registry>,
    /// How seals are proven.
    #[serde(default)]
    pub seal: SealConfig,
    /// Namespaces in which `seal.mode: Unsealed` is allowed.
    #[serde(default)]
    pub unsealed_namespaces: Vec<String>,
    /// Who may scrape the gates' metrics.
    #[serde(default)]
    pub metrics_from: Vec<NetworkPolicyPeer>,
    /// Names of image pull Secrets that our pods name; they must be in the users' namespaces.
    #[serde(default)]
    pub image_pull_secrets: Vec<String>,
    /// The namespaces to work in; all when empty.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// The StorageClass of claims whose object names none; the cluster's default when absent.
    #[serde(default)]
    pub storage_class_name: Option<String>,
}

/// The image of one engine.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EngineImage {
    /// Reference by digest.
    pub image: String,
}

/// A registry as the platform declares it.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registry {
    /// Host and port as references write them.
    pub host: String,
    /// Addresses that the host resolves to, since sealed pods have no DNS.
    #[serde(default)]
    pub addresses: Vec<std::net::IpAddr>,
    /// Where a NetworkPolicy must let the pulling pods go.
    pub peers: Vec<NetworkPolicyPeer>,
    /// At which ports.
    pub ports: Vec<NetworkPolicyPort>,
    /// The PEM of the certificate authority; empty for the public ones.
    #[serde(default)]
    pub ca: String,
    /// Reserved: another host to ask instead.
    #[serde(default, skip_serializing)]
    pub rewrite: Option<String>,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not what it must be.
    #[error("failed to parse configuration: {0}")]
    Parse(String),
    /// An engine's image is no reference by digest.
    #[error("failed to use engines.{engine}.image: {source}")]
    EngineImage {
        /// Its name there.
        engine: String,
        /// How it is wrong.
        source: crate::types::ImageRefError,
    },
    /// There is no such engine.
    #[error("failed to use engines.{0}: there is no such engine")]
    Engine(String),
    /// A number is zero.
    #[error("failed to use seal.{0}: write a number from 1 on")]
    Zero(&'static str),
    /// Two registries share a host.
    #[error("failed to use registries: host {0} is declared twice")]
    Twice(String),
    /// A registry says nothing about the network.
    #[error("failed to use registry {0}: declare at least one of peers and one of ports")]
    NoEdge(String),
    /// More keys than a gate takes.
    #[error("failed to use seal.trustedKeyFiles: at most one key beside the signing key")]
    Keys,
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`ConfigError`] says what to mend.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Parses and checks the text.
    ///
    /// # Errors
    /// [`ConfigError`] says what to mend.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self =
            serde_saphyr::from_str(text).map_err(|error| ConfigError::Parse(error.to_string()))?;
        for (member, image) in &config.engines {
            if !Engine::ALL.iter().any(|engine| engine.member() == member) {
                return Err(ConfigError::Engine(member.clone()));
            }
            let image: Result<ImageRef, _> = image.image.parse();
            image.map_err(|source| ConfigError::EngineImage {
                engine: member.clone(),
                source,
            })?;
        }
        for (name, number) in [
            ("roundSeconds", config.seal.round_seconds),
            ("validityRounds", config.seal.validity_rounds),
            ("probeSeconds", config.seal.probe_seconds),
            (
                "maxChallengesPerSecond",
                config.seal.max_challenges_per_second,
            ),
        ] {
            if number == 0 {
                return Err(ConfigError::Zero(name));
            }
        }
        if config.seal.trusted_key_files.len() > 1 {
            return Err(ConfigError::Keys);
        }
        let mut hosts = std::collections::BTreeSet::new();
        for registry in &config.registries {
            if !hosts.insert(registry.host.as_str()) {
                return Err(ConfigError::Twice(registry.host.clone()));
            }
            // An empty list of peers would mean everybody in a NetworkPolicy.
            if registry.peers.is_empty() || registry.ports.is_empty() {
                return Err(ConfigError::NoEdge(registry.host.clone()));
            }
        }
        Ok(config)
    }

    /// The platform's image of an engine, where it has one.
    #[must_use]
    pub fn engine_image(&self, engine: Engine) -> Option<&str> {
        let image = self.engines.get(engine.member())?;
        Some(&image.image)
    }

    /// The declared registry of that host.
    #[must_use]
    pub fn registry(&self, host: &str) -> Option<&Registry> {
        self.registries
            .iter()
            .find(|registry| registry.host == host)
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
pub(crate) mod tests;
