//! The API keys: files of a mounted Secret, read again and again, since the kubelet fills them in late.
//!
//! The name of an entry names its key, and a second entry `<name>.expires` may say until when it holds.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::mounted::{self, Mounted};

/// Most keys that are read: of more, the first ones in the order of their names. Those that have ended count too.
pub const MAX_KEYS: usize = 256;
/// Longest key in bytes.
pub const MAX_KEY: usize = 4096;
/// Most entries of the directory, whatever they are.
const MAX_ENTRIES: usize = 4 * MAX_KEYS;
/// What an entry's name ends with that says when the key before it ends: RFC 3339.
const EXPIRES: &str = ".expires";

/// The SHA-256 of a key; keys themselves are not kept.
type Hash = [u8; 32];

/// The keys that are accepted.
#[derive(Debug)]
pub struct Keys {
    dir: Mounted,
    known: RwLock<Arc<[Key]>>,
    /// How many there were too many, as it was told last.
    surplus: AtomicUsize,
}

/// What a directory holds.
#[derive(Debug, Default)]
struct Found {
    keys: Vec<Key>,
    /// How many keys more there are than are read.
    surplus: usize,
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

/// A key that was accepted, by its name and its hash: an entry of that name may hold another key later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPass {
    name: String,
    hash: Hash,
}

/// Why a key is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// There is none like it.
    Unknown,
    /// Its time is over.
    Expired,
}

impl Keys {
    /// Reads the directory for the first time.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        let keys = Self {
            dir: Mounted::new(dir),
            known: RwLock::new(Arc::new([])),
            surplus: AtomicUsize::new(0),
        };
        keys.reload();
        keys
    }

    /// Reads the directory again. What cannot be read is no key: with none left, nobody is let in.
    pub fn reload(&self) {
        let Some(found) = self.dir.when_changed(read) else {
            return;
        };
        let found = found.unwrap_or_else(|error| {
            let dir = self.dir.path().display();
            tracing::warn!(%error, %dir, "failed to read the API keys: none is accepted");
            Found::default()
        });
        let surplus = found.surplus;
        if self.surplus.swap(surplus, Ordering::Relaxed) != surplus && surplus > 0 {
            let dir = self.dir.path().display();
            tracing::warn!(surplus, most = MAX_KEYS, %dir, "too many API keys: the last ones are not accepted");
        }
        let found: Arc<[Key]> = found.keys.into();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if *known != found {
            tracing::info!(keys = found.len(), "API keys changed");
            *known = found;
        }
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known().is_empty()
    }

    /// Where the keys should be.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Whose key it is. Its hash is compared with that of every key in constant time.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn check(&self, sent: &[u8], now: Timestamp) -> Result<KeyId, Wrong> {
        let sent = hash(sent);
        let known = self.known();
        // Every key is compared, whichever fits.
        let fits = |key: &&Key| sent.ct_eq(&key.hash).into();
        let fitting: Vec<&Key> = known.iter().filter(fits).collect();
        let holds = |key: &&&Key| key.expires.is_none_or(|end| now < end);
        match fitting.iter().find(holds) {
            Some(key) => Ok(KeyId(key.name.clone())),
            None if fitting.is_empty() => Err(Wrong::Unknown),
            None => Err(Wrong::Expired),
        }
    }

    /// What is remembered of a key that was accepted, to ask later whether it still is.
    #[must_use]
    pub fn pass(id: &KeyId, sent: &[u8]) -> KeyPass {
        KeyPass {
            name: id.0.clone(),
            hash: hash(sent),
        }
    }

    /// Whether that key is still there, as the directory was read last, and its time is not over.
    #[must_use]
    pub fn holds(&self, pass: &KeyPass, now: Timestamp) -> bool {
        let same = |key: &&Key| key.name == pass.name && key.hash == pass.hash;
        let known = self.known();
        let key = known.iter().find(same);
        key.is_some_and(|key| key.expires.is_none_or(|end| now < end))
    }

    /// How many keys there are, those too whose time is over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known().len()
    }

    fn known(&self) -> Arc<[Key]> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known)
    }
}

fn hash(key: &[u8]) -> Hash {
    Sha256::digest(key).into()
}

/// The keys in the order of their names.
fn read(dir: &Path) -> io::Result<Found> {
    let entries = entries(dir)?;
    let (mut keys, mut surplus) = (Vec::new(), 0);
    for (name, value) in &entries {
        if name.ends_with(EXPIRES) {
            continue;
        }
        if keys.len() == MAX_KEYS {
            surplus += 1;
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
    Ok(Found { keys, surplus })
}

/// Names and what the files hold; of files that hold nothing usable, only the names that say when a key ends.
///
/// A Secret's volume holds links to files below `..data`; names that begin with two dots are the kubelet's.
fn entries(dir: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for (count, entry) in fs::read_dir(dir)?.enumerate() {
        if count == MAX_ENTRIES {
            // In a part of them, a key could stand without its end.
            let message = format!("more than {MAX_ENTRIES} entries");
            return Err(io::Error::other(message));
        }
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(ToOwned::to_owned) else {
            continue;
        };
        if name.starts_with("..") {
            continue;
        }
        // An end that cannot be read is one all the same: its text is no time then.
        let unreadable = || name.ends_with(EXPIRES).then(Vec::new);
        if let Some(value) = value(&entry.path())?.or_else(unreadable) {
            found.insert(name, value);
        }
    }
    Ok(found)
}

/// What a file holds, trimmed; nothing where it is no file, empty or too long.
fn value(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let Ok(true) = fs::metadata(file).map(|meta| meta.is_file()) else {
        return Ok(None);
    };
    let text = mounted::read(file, MAX_KEY)?;
    let value = text.trim_ascii();
    let usable = !value.is_empty() && text.len() <= MAX_KEY;
    Ok(usable.then(|| value.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::super::mounted::tests::lay;
    use super::*;

    fn check(keys: &Keys, sent: &str) -> Result<String, Wrong> {
        let now = "2026-06-30T23:00:00Z".parse().unwrap();
        keys.check(sent.as_bytes(), now).map(|key| key.0)
    }

    #[test]
    fn keys_come_and_go_with_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::new(dir.path().join("keys"));
        assert!(keys.is_empty());

        // As the kubelet lays it down.
        let data = dir.path().join("keys/..data");
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("tools"), "one\n").unwrap();
        fs::write(data.join("blank"), "\n").unwrap();
        std::os::unix::fs::symlink("..data/tools", dir.path().join("keys/tools")).unwrap();
        std::os::unix::fs::symlink("..data/blank", dir.path().join("keys/blank")).unwrap();
        keys.reload();
        assert_eq!(check(&keys, "one"), Ok("tools".to_owned()));
        for wrong in ["two", "", "one two"] {
            assert_eq!(check(&keys, wrong), Err(Wrong::Unknown), "{wrong}");
        }

        fs::remove_file(dir.path().join("keys/tools")).unwrap();
        keys.reload();
        assert_eq!(check(&keys, "one"), Err(Wrong::Unknown));
    }

    #[rstest::rstest]
    #[case::for_ever("a", Ok("a"))]
    #[case::not_yet("b", Ok("b"))]
    #[case::over("c", Err(Wrong::Expired))]
    #[case::on_the_second("d", Err(Wrong::Expired))]
    #[case::no_time("e", Err(Wrong::Unknown))]
    #[case::empty("h", Err(Wrong::Unknown))]
    #[case::blank("i", Err(Wrong::Unknown))]
    #[case::too_long("j", Err(Wrong::Unknown))]
    #[case::no_file("k", Err(Wrong::Unknown))]
    #[case::the_end_is_no_key("2026-01-01T00:00:00Z", Err(Wrong::Unknown))]
    #[case::one_of_two_that_are_equal("twice", Ok("g"))]
    fn keys_end(#[case] key: &str, #[case] expected: Result<&str, Wrong>) {
        let dir = tempfile::tempdir().unwrap();
        let long = format!("2027-01-01T00:00:00Z{}", " ".repeat(MAX_KEY));
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
            ("h", "h"),
            ("h.expires", ""),
            ("i", "i"),
            ("i.expires", " \n"),
            ("j", "j"),
            ("j.expires", long.as_str()),
            ("k", "k"),
        ];
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("nowhere", dir.path().join("k.expires")).unwrap();
        let keys = Keys::new(dir.path().to_owned());
        assert_eq!(check(&keys, key), expected.map(str::to_owned));
    }

    #[test]
    fn of_too_many_entries_none_is_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "a").unwrap();
        for number in 1..MAX_ENTRIES {
            fs::write(dir.path().join(format!("x{number}.expires")), "").unwrap();
        }
        let keys = Keys::new(dir.path().to_owned());
        assert!(check(&keys, "a").is_ok());
        fs::write(dir.path().join("a.expires"), "2000-01-01T00:00:00Z").unwrap();
        keys.reload();
        assert!(keys.is_empty());
    }

    #[test]
    fn beyond_the_most_keys_the_first_ones_hold_and_the_others_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..MAX_KEYS + 3 {
            fs::write(
                dir.path().join(format!("k{number:03}")),
                format!("v{number}"),
            )
            .unwrap();
        }
        fs::write(dir.path().join("k000.expires"), "2000-01-01T00:00:00Z").unwrap();
        let keys = Keys::new(dir.path().to_owned());
        assert_eq!(check(&keys, "v0"), Err(Wrong::Expired));
        assert_eq!(check(&keys, "v255"), Ok("k255".to_owned()));
        assert_eq!(check(&keys, "v256"), Err(Wrong::Unknown));
        assert_eq!(keys.surplus.load(Ordering::Relaxed), 3);
        fs::remove_file(dir.path().join("k000")).unwrap();
        fs::remove_file(dir.path().join("k000.expires")).unwrap();
        keys.reload();
        assert_eq!(check(&keys, "v256"), Ok("k256".to_owned()));
        assert_eq!(keys.surplus.load(Ordering::Relaxed), 2);
    }

    /// The kubelet swaps the link and takes the old directory away, whoever reads it.
    #[test]
    fn keys_that_stay_are_accepted_while_the_kubelet_swaps_their_directory() {
        let dir = tempfile::tempdir().unwrap();
        let version = |number: usize| format!("..{number}");
        let lay = |number: usize| {
            let data = dir.path().join(version(number));
            fs::create_dir(&data).unwrap();
            for name in ["a", "b", "c", "d"] {
                fs::write(data.join(name), name).unwrap();
            }
            let next = dir.path().join("..data_tmp");
            std::os::unix::fs::symlink(version(number), &next).unwrap();
            fs::rename(next, dir.path().join("..data")).unwrap();
        };
        lay(0);
        let keys = Keys::new(dir.path().to_owned());
        std::thread::scope(|threads| {
            let kubelet = threads.spawn(|| {
                for number in 1..400 {
                    lay(number);
                    fs::remove_dir_all(dir.path().join(version(number - 1))).unwrap();
                }
            });
            while !kubelet.is_finished() {
                keys.reload();
                for key in ["a", "b", "c", "d"] {
                    assert_eq!(check(&keys, key), Ok(key.to_owned()));
                }
            }
        });
    }

    #[test]
    fn nothing_is_read_while_the_kubelets_link_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), "..1", "tools", "one");
        let keys = Keys::new(dir.path().to_owned());
        assert!(check(&keys, "one").is_ok());
        lay(dir.path(), "..2", "tools", "two");
        keys.reload();
        assert!(check(&keys, "one").is_err());
        assert!(check(&keys, "two").is_ok());
        // Never so in a Secret's volume: it shows that nothing was read.
        fs::write(dir.path().join("..2/tools"), "three").unwrap();
        keys.reload();
        assert!(check(&keys, "two").is_ok());
    }
}
