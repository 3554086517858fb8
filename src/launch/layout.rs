//! Lays an engine's store out, before anything of the engine runs: `launch --install DIR --lay-out STORE`.
//!
//! It runs in the init container, which alone may write the store; the engine's container mounts it read-only.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::engine::{Engine, Entry, LayoutError, Settings, Weights};
use crate::gguf::{GgufError, Header, Limits};
use crate::pull::{RecordError, verified_file};

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The weights' directory is not one that a pull finished.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The weights cannot be read.
    #[error("failed to read {path}: {source}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// Why.
        source: GgufError,
    },
    /// The engine cannot serve them.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The store cannot be written.
    #[error("failed to write {path}: {source}")]
    Write {
        /// What of it.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl StoreError {
    /// Whether the same files will be refused again.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Layout(_))
    }
}

/// Lays out the store of `engine` in `store`, over what an earlier attempt left: one model after the other.
///
/// # Errors
/// [`StoreError`].
pub fn lay_out(engine: Engine, models: &[Settings], store: &Path) -> Result<(), StoreError> {
    models
        .iter()
        .try_for_each(|model| one(engine, model, store))
}

fn one(engine: Engine, settings: &Settings, store: &Path) -> Result<(), StoreError> {
    let path = PathBuf::from(&settings.model);
    let file = verified_file(&path)?;
    let weights = |source| StoreError::Weights {
        path: path.clone(),
        source,
    };
    let source = File::open(&path).map_err(|error| weights(GgufError::Io(error)))?;
    let header =
        Header::read(BufReader::new(source), file.bytes, Limits::default()).map_err(weights)?;
    let described = Weights {
        digest: &file.digest,
        bytes: file.bytes,
        header: &header,
    };
    for entry in engine.particulars().layout(&described, settings)? {
        let (Entry::File { path, .. } | Entry::Link { path, .. }) = &entry;
        let path = store.join(path);
        write(&entry, &path).map_err(|source| StoreError::Write { path, source })?;
    }
    Ok(())
}

fn write(entry: &Entry, path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    match entry {
        Entry::File { bytes, .. } => fs::write(path, bytes),
        Entry::Link { to, .. } => symlink(to, path),
    }
}
