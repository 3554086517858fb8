//! Where the trusted keys come from.

use std::path::PathBuf;

use tokio::io::AsyncReadExt as _;

use crate::seal::sign::{SignError, TrustedKeys};

/// Longest key file that is read, in bytes.
const MAX_FILE: u64 = 16 * 1024;

/// Whose orders are obeyed.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Files that are read again for every order, so that a rotation needs no restart. One that is absent is
    /// left out: its volume may be mounted before the object is there.
    Files(Vec<PathBuf>),
    /// Keys that do not change.
    Fixed(TrustedKeys),
}

/// Why no key can be used now.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read.
    #[error("failed to read keys from {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// What was read are no keys.
    #[error(transparent)]
    Keys(#[from] SignError),
}

impl KeySource {
    /// The keys as of now.
    ///
    /// # Errors
    /// [`KeysError`]; nothing is obeyed then.
    pub async fn load(&self) -> Result<TrustedKeys, KeysError> {
        let paths = match self {
            Self::Fixed(keys) => return Ok(keys.clone()),
            Self::Files(paths) => paths,
        };
        let mut text = String::new();
        for path in paths {
            let read = async {
                let file = tokio::fs::File::open(path).await?;
                file.take(MAX_FILE).read_to_string(&mut text).await
            };
            match read.await {
                Ok(_) => text.push('\n'),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => {
                    let path = path.clone();
                    return Err(KeysError::Read { path, source });
                }
            }
        }
        Ok(TrustedKeys::from_text(&text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::sign::SigningKey;

    #[tokio::test]
    async fn files_are_read_anew_and_may_be_absent() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old.pem"), dir.path().join("new.pem"));
        let source = KeySource::Files(vec![old.clone(), new.clone()]);
        assert!(matches!(
            source.load().await,
            Err(KeysError::Keys(SignError::KeyCount { found: 0 }))
        ));
        let [first, second] = [(); 2].map(|()| SigningKey::generate().verifying_key().to_pem());
        let (first, second) = (first.unwrap(), second.unwrap());
        std::fs::write(&old, first.trim_end()).unwrap();
        let one = TrustedKeys::from_pems(&[&first]).unwrap();
        assert_eq!(source.load().await.unwrap(), one);
        std::fs::write(&new, &second).unwrap();
        let both = TrustedKeys::from_pems(&[&first, &second]).unwrap();
        assert_eq!(source.load().await.unwrap(), both);
        std::fs::write(&new, "-----BEGIN PUBLIC KEY-----").unwrap();
        assert!(source.load().await.is_err(), "half a key is none");
    }
}
