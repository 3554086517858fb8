//! The API keys: files of a mounted Secret, read again and again, since the kubelet fills them in late.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use http::{HeaderMap, StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::answer::Refusal;

/// Most keys that are read.
pub const MAX_KEYS: usize = 256;
/// Longest key in bytes.
pub const MAX_KEY: usize = 4096;

/// The SHA-256 of a key; keys themselves are not kept.
type Hash = [u8; 32];

/// Who may ask.
#[derive(Debug)]
pub struct Keys {
    /// Absent: everybody that the network lets in.
    dir: Option<PathBuf>,
    known: RwLock<HashSet<Hash>>,
}

/// A key that was accepted, for the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyId(pub String);

impl Keys {
    /// Reads the directory for the first time.
    #[must_use]
    pub fn new(dir: Option<PathBuf>) -> Self {
        let keys = Self {
            dir,
            known: RwLock::default(),
        };
        keys.reload();
        keys
    }

    /// Reads the directory again. What cannot be read is no key: with none left, nobody is let in.
    pub fn reload(&self) {
        let Some(dir) = &self.dir else { return };
        let found = read(dir).unwrap_or_default();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if *known != found {
            tracing::info!(keys = found.len(), "API keys changed");
            *known = found;
        }
    }

    /// Text for the admin port when keys are asked for and there is none.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let dir = self.dir.as_ref()?;
        let empty = self
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty();
        empty.then(|| format!("SecretMissing: no API key in {}", dir.display()))
    }

    /// Checks the bearer token of a request (RFC 6750, section 2.1).
    ///
    /// Hashes are compared, so the time that it takes says nothing about a key.
    ///
    /// # Errors
    /// 401, also when keys are asked for and none is there.
    pub fn check(&self, headers: &HeaderMap) -> Result<Option<KeyId>, Refusal> {
        if self.dir.is_none() {
            return Ok(None);
        }
        if let Some(missing) = self.missing() {
            tracing::debug!(missing, "request refused");
            let message = "no API key is configured yet: the Secret is missing";
            return Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "SecretMissing",
                message,
            ));
        }
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let key = match (fields.next(), fields.next()) {
            (Some(field), None) => bearer(field.as_bytes()),
            _ => None,
        };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let hash = key.map(hash).filter(|hash| known.contains(hash));
        hash.map(|hash| Some(KeyId(hex(&hash[..4]))))
            .ok_or_else(|| {
                let message = "send a valid API key as a bearer token";
                Refusal::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
            })
    }
}

fn bearer(field: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = field.split_at_checked(7)?;
    (scheme.eq_ignore_ascii_case(b"bearer ") && !key.is_empty()).then(|| key.trim_ascii())
}

fn hash(key: &[u8]) -> Hash {
    Sha256::digest(key).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A Secret's volume holds links to files below `..data`; names that begin with two dots are the kubelet's.
fn read(dir: &Path) -> io::Result<HashSet<Hash>> {
    let mut found = HashSet::new();
    for entry in fs::read_dir(dir)?.take(2 * MAX_KEYS) {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b"..") {
            continue;
        }
        let Ok(true) = fs::metadata(entry.path()).map(|meta| meta.is_file()) else {
            continue;
        };
        let mut text = Vec::new();
        File::open(entry.path())?
            .take(MAX_KEY as u64 + 1)
            .read_to_end(&mut text)?;
        let key = text.trim_ascii();
        if !key.is_empty() && text.len() <= MAX_KEY && found.len() < MAX_KEYS {
            found.insert(hash(key));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &Keys, field: &str) -> Result<Option<KeyId>, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, field.parse().unwrap());
        keys.check(&headers).map_err(|refusal| refusal.code)
    }

    #[test]
    fn keys_come_and_go_with_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::new(Some(dir.path().join("keys")));
        assert_eq!(check(&keys, "Bearer one"), Err("SecretMissing".to_owned()));
        assert!(keys.missing().unwrap().starts_with("SecretMissing"));

        // As the kubelet lays it down.
        let data = dir.path().join("keys/..data");
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("tools"), "one\n").unwrap();
        fs::write(data.join("blank"), "\n").unwrap();
        std::os::unix::fs::symlink("..data/tools", dir.path().join("keys/tools")).unwrap();
        std::os::unix::fs::symlink("..data/blank", dir.path().join("keys/blank")).unwrap();
        keys.reload();
        // printf one | sha256sum
        assert_eq!(
            check(&keys, "bearer one"),
            Ok(Some(KeyId("7692c3ad".to_owned())))
        );
        for wrong in [
            "Bearer two",
            "Bearer ",
            "Bearer",
            "Basic one",
            "one",
            "Bearer one two",
        ] {
            assert_eq!(
                check(&keys, wrong),
                Err("invalid_api_key".to_owned()),
                "{wrong}"
            );
        }

        fs::remove_file(dir.path().join("keys/tools")).unwrap();
        keys.reload();
        assert_eq!(check(&keys, "Bearer one"), Err("SecretMissing".to_owned()));
    }

    #[test]
    fn two_fields_are_one_too_many() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "one").unwrap();
        let keys = Keys::new(Some(dir.path().to_owned()));
        let mut headers = HeaderMap::new();
        headers.append(header::AUTHORIZATION, "Bearer one".parse().unwrap());
        assert!(keys.check(&headers).is_ok());
        headers.append(header::AUTHORIZATION, "Bearer one".parse().unwrap());
        assert!(keys.check(&headers).is_err());
    }

    #[test]
    fn without_a_directory_nobody_is_asked() {
        assert_eq!(Keys::new(None).check(&HeaderMap::new()), Ok(None));
    }
}
