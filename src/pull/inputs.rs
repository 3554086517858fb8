//! The mounted files: CA and pull secrets.

use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{Config, PullError};
use crate::oci::Credentials;

/// No Secret or ConfigMap is larger (Kubernetes, `MaxSecretSize`).
const MAX_BYTES: u64 = 1 << 20;

/// What the files hold at one moment.
pub(super) struct Inputs {
    /// Changes whenever a byte of any file does.
    pub fingerprint: [u8; 32],
    ca: Result<Option<Vec<u8>>, String>,
    credentials: Result<Option<Credentials>, Secret>,
}

enum Secret {
    Missing(String),
    Invalid(String),
}

async fn read(path: &Path) -> io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt as _;
    let mut bytes = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(MAX_BYTES).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

impl Inputs {
    pub(super) async fn read(config: &Config) -> Self {
        let mut hasher = Sha256::new();
        let mut note = |bytes: &io::Result<Vec<u8>>| {
            let text = bytes.as_deref().unwrap_or_default();
            hasher.update([u8::from(bytes.is_ok())]);
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        let ca = match &config.ca {
            None => Ok(None),
            Some(path) => {
                let bytes = read(path).await;
                note(&bytes);
                bytes.map(Some).map_err(|_| path.display().to_string())
            }
        };
        let mut credentials = Ok(None);
        let reference = &config.reference;
        for path in &config.auth_files {
            let bytes = read(path).await;
            note(&bytes);
            let name = path.display().to_string();
            let found = match bytes {
                Err(_) => Err(Secret::Missing(name)),
                Ok(bytes) => {
                    Credentials::find(&bytes, reference.registry(), reference.repository())
                        .map_err(|_| Secret::Invalid(name))
                }
            };
            // The first file that names the registry counts, unless one of them cannot be read.
            let undecided = matches!(credentials, Ok(None));
            if undecided || (credentials.is_ok() && found.is_err()) {
                credentials = found;
            }
        }
        Self {
            fingerprint: hasher.finalize().into(),
            ca,
            credentials,
        }
    }

    /// CA and credentials, or what is missing.
    pub(super) fn checked(&self) -> Result<(Option<Vec<u8>>, Option<Credentials>), PullError> {
        let ca = self
            .ca
            .clone()
            .map_err(|file| PullError::CaMissing { file })?;
        match &self.credentials {
            Ok(found) => Ok((ca, found.clone())),
            Err(Secret::Missing(file)) => Err(PullError::SecretMissing { file: file.clone() }),
            Err(Secret::Invalid(file)) => Err(PullError::SecretInvalid { file: file.clone() }),
        }
    }
}
