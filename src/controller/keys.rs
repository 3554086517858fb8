//! The signing key: read, made once, and its public half published for the canaries.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};

use super::config::SealConfig;
use super::names::{COMPONENT, MANAGED_BY, MANAGER, NAME};
use crate::seal::sign::{SignError, SigningKey, VerifyingKey};

/// The ConfigMap that canaries mount.
pub const CONFIG_MAP: &str = "sealroom-keys";
/// The entry of the signing key in its Secret.
pub const SECRET_ENTRY: &str = "key.pem";

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read.
    #[error("failed to read key {path}: {source}")]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key is none.
    #[error("failed to use key: {0}")]
    Sign(#[from] SignError),
    /// The API server did not take it.
    #[error("failed to write {what}: {source}")]
    Write {
        /// Secret or ConfigMap.
        what: &'static str,
        /// Why.
        source: Box<kube::Error>,
    },
}

/// The keys of this operator.
pub struct Keys {
    /// Signs challenges and orders.
    pub signing: SigningKey,
    /// Its public half, then the further trusted key: PEM.
    pub public: Vec<String>,
}

impl Keys {
    /// Reads the files that the configuration names.
    ///
    /// # Errors
    /// [`KeyError`] names the file.
    pub fn read(config: &SealConfig) -> Result<Self, KeyError> {
        let read = |path: &std::path::PathBuf| {
            std::fs::read_to_string(path).map_err(|source| KeyError::Read {
                path: path.clone(),
                source,
            })
        };
        let signing = SigningKey::from_pem(&read(&config.key_file)?)?;
        let mut public = vec![signing.verifying_key().to_pem()?];
        for path in &config.trusted_key_files {
            public.push(VerifyingKey::from_pem(&read(path)?)?.to_pem()?);
        }
        Ok(Self { signing, public })
    }

    /// Writes the public keys where the canaries read them.
    ///
    /// # Errors
    /// When the API server does not take them.
    pub async fn publish(&self, client: Client, namespace: &str) -> Result<(), KeyError> {
        let names = ["key.pub.pem", "next.pub.pem"].map(str::to_owned);
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(CONFIG_MAP.to_owned()),
                labels: Some(labels()),
                ..ObjectMeta::default()
            },
            data: Some(names.into_iter().zip(self.public.iter().cloned()).collect()),
            ..ConfigMap::default()
        };
        let api: Api<ConfigMap> = Api::namespaced(client, namespace);
        let params = PatchParams::apply(MANAGER).force();
        api.patch(CONFIG_MAP, &params, &Patch::Apply(&map))
            .await
            .map(|_| ())
            .map_err(|source| KeyError::Write {
                what: "ConfigMap sealroom-keys",
                source: Box::new(source),
            })
    }
}

/// Makes the Secret with a new key, unless it is there. Nothing else is asked of the API server.
///
/// # Errors
/// When the API server refuses.
pub async fn generate(client: Client, namespace: &str, secret: &str) -> Result<bool, KeyError> {
    let pem = SigningKey::generate().to_pkcs8_pem()?;
    let wanted = Secret {
        metadata: ObjectMeta {
            name: Some(secret.to_owned()),
            labels: Some(labels()),
            ..ObjectMeta::default()
        },
        string_data: Some(BTreeMap::from([(SECRET_ENTRY.to_owned(), pem)])),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    match Api::<Secret>::namespaced(client, namespace)
        .create(&params, &wanted)
        .await
    {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
        Err(source) => Err(KeyError::Write {
            what: "the key's Secret",
            source: Box::new(source),
        }),
    }
}

fn labels() -> BTreeMap<String, String> {
    [
        (NAME, "sealroom"),
        (COMPONENT, "key"),
        (MANAGED_BY, MANAGER),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}
