//! The API keys: files of a mounted Secret, read again and again, since the kubelet fills them in late.
//!
//! The name of an entry names its key, and a second entry `<name>.expires` may say until when it holds.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::answer::Refusal;
use super::secret_dir::SecretDir;

/// Most keys that are read.
pub const MAX_KEYS: usize = 256;
/// Longest key in bytes.
pub const MAX_KEY: usize = 4096;
/// What an entry's name ends with that says when the key before it ends: RFC 3339.
const EXPIRES: &str = ".expires";

/// The SHA-256 of a key; keys themselves are not kept.
type Hash = [u8; 32];

/// Who may ask.
#[derive(Debug)]
pub struct Keys {
    /// Absent: everybody that the network lets in.
    dir: Option<SecretDir>,
    known: RwLock<Arc<[Key]>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    name: String,
    hash: Hash,
    expires: Option<Timestamp>,
}

/// The name of a key that was accepted, for the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyId(pub String);

impl Keys {
    /// Reads the directory for the first time.
    #[must_use]
    pub fn new(dir: Option<PathBuf>) -> Self {
        let keys = Self {
            dir: dir.map(SecretDir::new),
            known: RwLock::new(Arc::new([])),
        };
        keys.reload();
        keys
    }

    /// Reads the directory again. What cannot be read is no key: with none left, nobody is let in.
    pub fn reload(&self) {
        let Some(dir) = &self.dir else { return };
        let Some(found) = dir.when_changed(read) else {
            return;
        };
        let found: Arc<[Key]> = found.unwrap_or_default().into();
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
        let none = self.known().is_empty();
        none.then(|| format!("SecretMissing: no API key in {}", dir.path().display()))
    }

    /// Checks the bearer token of a request (RFC 6750, section 2.1).
    ///
    /// Its hash is compared with that of every key in constant time.
    ///
    /// # Errors
    /// 401, also when keys are asked for and none is there.
    pub fn check(&self, headers: &HeaderMap) -> Result<Option<KeyId>, Refusal> {
        self.check_at(headers, Timestamp::now())
    }

    fn check_at(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<KeyId>, Refusal> {
        if self.dir.is_none() {
            return Ok(None);
        }
        let refused = |code, message| Err(Refusal::new(StatusCode::UNAUTHORIZED, code, message));
        let known = self.known();
        if known.is_empty() {
            let message = "no API key is configured yet: the Secret is missing";
            return refused("SecretMissing", message);
        }
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let sent = match (fields.next(), fields.next()) {
            (Some(field), None) => bearer(field.as_bytes()).map(hash),
            _ => None,
        };
        // Every key is compared, whichever fits.
        let fits = |key: &&Key| sent.is_some_and(|sent| sent.ct_eq(&key.hash).into());
        let fitting: Vec<&Key> = known.iter().filter(fits).collect();
        let holds = |key: &&&Key| key.expires.is_none_or(|end| now < end);
        match fitting.iter().find(holds) {
            Some(key) => Ok(Some(KeyId(key.name.clone()))),
            None if fitting.is_empty() => {
                refused("invalid_api_key", "send a valid API key as a bearer token")
            }
            None => refused(
                "expired_api_key",
                "this API key has expired: ask for a new one",
            ),
        }
    }

    fn known(&self) -> Arc<[Key]> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known)
    }
}

fn bearer(field: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = field.split_at_checked(7)?;
    (scheme.eq_ignore_ascii_case(b"bearer ") && !key.is_empty()).then(|| key.trim_ascii())
}

fn hash(key: &[u8]) -> Hash {
    Sha256::digest(key).into()
}

/// The keys in the order of their names.
fn read(dir: &Path) -> io::Result<Vec<Key>> {
    let entries = entries(dir)?;
    let mut keys = Vec::new();
    for (name, value) in &entries {
        if name.ends_with(EXPIRES) || keys.len() == MAX_KEYS {
            continue;
        }
        let expires = match entries.get(&format!("{name}{EXPIRES}")) {
            None => None,
            Some(text) => match std::str::from_utf8(text).ok().map(str::parse) {
                Some(Ok(end)) => Some(end),
                _ => {
                    // A key whose end nobody can read does not hold for ever.
                    tracing::warn!(
                        key = name,
                        "its entry .expires is no RFC 3339 time: not accepted"
                    );
                    continue;
                }
            },
        };
        keys.push(Key {
            name: name.clone(),
            hash: hash(value),
            expires,
        });
    }
    Ok(keys)
}

/// Names and trimmed contents; empty and overlong ones are left out.
///
/// A Secret's volume holds links to files below `..data`; names that begin with two dots are the kubelet's.
fn entries(dir: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir)?.take(4 * MAX_KEYS) {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(ToOwned::to_owned) else {
            continue;
        };
        let Ok(true) = fs::metadata(entry.path()).map(|meta| meta.is_file()) else {
            continue;
        };
        if name.starts_with("..") {
            continue;
        }
        let mut text = Vec::new();
        File::open(entry.path())?
            .take(MAX_KEY as u64 + 1)
            .read_to_end(&mut text)?;
        let value = text.trim_ascii();
        if !value.is_empty() && text.len() <= MAX_KEY {
            found.insert(name, value.to_vec());
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
        assert_eq!(
            check(&keys, "bearer one"),
            Ok(Some(KeyId("tools".to_owned())))
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

    #[rstest::rstest]
    #[case::for_ever("a", Ok("a"))]
    #[case::not_yet("b", Ok("b"))]
    #[case::over("c", Err("expired_api_key"))]
    #[case::on_the_second("d", Err("expired_api_key"))]
    #[case::unreadable("e", Err("invalid_api_key"))]
    #[case::the_end_is_no_key("2026-01-01T00:00:00Z", Err("invalid_api_key"))]
    #[case::one_of_two_that_are_equal("twice", Ok("g"))]
    fn keys_end(#[case] key: &str, #[case] expected: Result<&str, &str>) {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ("a", "a"),
            ("b", "b"),
            ("b.expires", "2026-07-01T00:00:01+01:00"),
            ("c", "c"),
            ("c.expires", "2026-01-01T00:00:00Z\n"),
            ("d", "d"),
            ("d.expires", "2026-06-30T23:00:00Z"),
            ("e", "e"),
            ("e.expires", "next summer"),
            ("f", "twice"),
            ("f.expires", "2026-01-01T00:00:00Z"),
            ("g", "twice"),
        ];
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let keys = Keys::new(Some(dir.path().to_owned()));
        let mut headers = HeaderMap::new();
        let field = format!("Bearer {key}").parse().unwrap();
        headers.insert(header::AUTHORIZATION, field);
        let now = "2026-06-30T23:00:00Z".parse().unwrap();
        let checked = keys.check_at(&headers, now);
        let checked = checked
            .map(|id| id.unwrap().0)
            .map_err(|refusal| refusal.code);
        assert_eq!(checked, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn nothing_is_read_while_the_kubelets_link_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let lay = |version: &str, key: &str| {
            fs::create_dir(dir.path().join(version)).unwrap();
            fs::write(dir.path().join(version).join("tools"), key).unwrap();
            let link = dir.path().join("..data");
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(version, link).unwrap();
        };
        lay("..1", "one");
        std::os::unix::fs::symlink("..data/tools", dir.path().join("tools")).unwrap();
        let keys = Keys::new(Some(dir.path().to_owned()));
        assert!(check(&keys, "Bearer one").is_ok());
        lay("..2", "two");
        keys.reload();
        assert!(check(&keys, "Bearer one").is_err());
        assert!(check(&keys, "Bearer two").is_ok());
        // Never so in a Secret's volume: it shows that nothing was read.
        fs::write(dir.path().join("..2/tools"), "three").unwrap();
        keys.reload();
        assert!(check(&keys, "Bearer two").is_ok());
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
