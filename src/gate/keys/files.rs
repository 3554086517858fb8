//! What a mounted Secret's files say: which keys there are, and until when each holds.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::{Key, hash};
use crate::gate::mounted;

/// Most keys that are read: of more, the first ones in the order of their names. Those that have ended count too.
pub(super) const MAX_KEYS: usize = 256;
/// Longest key in bytes.
pub(super) const MAX_KEY: usize = 4096;
/// Most entries of the directory, whatever they are.
pub(super) const MAX_ENTRIES: usize = 4 * MAX_KEYS;
/// What an entry's name ends with that says when the key before it ends: RFC 3339.
const EXPIRES: &str = ".expires";

/// What a directory holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) keys: Vec<Key>,
    /// How many keys more there are than are read.
    pub(super) surplus: usize,
}

/// The keys in the order of their names.
pub(super) fn read(dir: &Path) -> io::Result<Found> {
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
