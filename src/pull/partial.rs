//! A file that is not complete yet, and the hash of what is there.
//!
//! `DIR/.partial/sha256-<hex>` holds the bytes, `….state` how many of them are on the disk for sure. Bytes past that
//! point survive a killed process, but not a node that lost power; so they are cut off where the node has rebooted.
//! Whoever goes on hashes what is there once more: it may have been altered since it came.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::{Progress, PullError, space};
use crate::oci::Weights;
use crate::types::Digest;

/// Bytes between two points from which a pull can go on after a power loss.
const CHECKPOINT: u64 = 64 << 20;
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[derive(Serialize, Deserialize)]
struct State {
    v: u8,
    digest: Digest,
    size: u64,
    /// Bytes that are on the disk.
    offset: u64,
    /// The boot under which the file was written.
    boot: String,
}

/// A partial file, open for appending.
pub(super) struct Partial {
    path: PathBuf,
    state_path: PathBuf,
    dir: PathBuf,
    file: File,
    hasher: Sha256,
    digest: Digest,
    size: u64,
    written: u64,
    synced: u64,
    resumed: bool,
    boot: String,
    progress: Arc<Progress>,
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
}

/// Writes `bytes` under a name that is complete or absent, also after a power loss.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Makes a rename or removal in the parent directory durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

impl Partial {
    /// Opens or creates the partial file of `weights` in `dir`, and reserves its space.
    pub(super) fn open(
        dir: &Path,
        weights: &Weights,
        progress: Arc<Progress>,
    ) -> Result<Self, PullError> {
        let name = format!("sha256-{}", weights.digest.hex());
        let path = dir.join(&name);
        let state_path = dir.join(format!("{name}.state"));
        let boot = fs::read_to_string(BOOT_ID)
            .unwrap_or_default()
            .trim()
            .to_owned();
        let file = open(&path).map_err(PullError::io("open the partial file"))?;
        let mut partial = Self {
            path,
            state_path,
            dir: dir.to_owned(),
            file,
            hasher: Sha256::new(),
            digest: weights.digest.clone(),
            size: weights.size,
            written: 0,
            synced: 0,
            resumed: false,
            boot,
            progress,
        };
        partial.progress.pulling(0, partial.size);
        match partial.stored() {
            Some(state) => partial.resume(&state)?,
            None => partial.restart()?,
        }
        space::reserve(&partial.dir, &partial.file, partial.size)?;
        partial.progress.pulling(partial.written, partial.size);
        Ok(partial)
    }

    fn stored(&self) -> Option<State> {
        let state: State = serde_json::from_slice(&fs::read(&self.state_path).ok()?).ok()?;
        let ours = state.v == 2 && state.digest == self.digest && state.size == self.size;
        let length = self.file.metadata().ok()?.len();
        (ours && state.offset <= length && length <= self.size).then_some(state)
    }

    fn resume(&mut self, state: &State) -> Result<(), PullError> {
        let failed = PullError::io("go on with the partial file");
        if self.boot.is_empty() || state.boot != self.boot {
            self.file.set_len(state.offset).map_err(&failed)?;
        }
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = self.file.read(&mut buffer).map_err(&failed)?;
            if read == 0 {
                break;
            }
            self.hasher.update(&buffer[..read]);
            self.written += read as u64;
            self.progress.written(self.written);
        }
        self.resumed = self.written > 0;
        self.checkpoint()
    }

    /// Forgets everything that is there.
    pub(super) fn restart(&mut self) -> Result<(), PullError> {
        let failed = PullError::io("begin the partial file");
        self.file.set_len(0).map_err(&failed)?;
        self.file.seek(SeekFrom::Start(0)).map_err(&failed)?;
        self.hasher = Sha256::new();
        (self.written, self.synced, self.resumed) = (0, 0, false);
        self.checkpoint()
    }

    /// Bytes that are there and hashed.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether some of the bytes were written by an earlier process.
    pub(super) fn resumed(&self) -> bool {
        self.resumed
    }

    fn checkpoint(&mut self) -> Result<(), PullError> {
        let failed = PullError::io("save the state of the partial file");
        self.file.sync_data().map_err(&failed)?;
        let state = State {
            v: 2,
            digest: self.digest.clone(),
            size: self.size,
            offset: self.written,
            boot: self.boot.clone(),
        };
        let bytes = serde_json::to_vec(&state).map_err(|error| failed(error.into()))?;
        write_atomically(&self.state_path, &bytes).map_err(&failed)?;
        self.synced = self.written;
        Ok(())
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), PullError> {
        let failed = PullError::io("write the partial file");
        if self.written.saturating_add(chunk.len() as u64) > self.size {
            return Err(failed(io::Error::other(
                "more bytes than the manifest names",
            )));
        }
        self.file.write_all(chunk).map_err(&failed)?;
        self.hasher.update(chunk);
        self.written += chunk.len() as u64;
        self.progress.written(self.written);
        if self.written - self.synced >= CHECKPOINT {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Hashes and writes what comes until the sender is gone; whatever ended it, the state is saved.
    pub(super) fn drain(&mut self, mut chunks: mpsc::Receiver<Bytes>) -> Result<(), PullError> {
        let mut result = Ok(());
        while let Some(chunk) = chunks.blocking_recv() {
            result = self.write(&chunk);
            if result.is_err() {
                break;
            }
        }
        if result.is_err() {
            // A write that failed half-way left bytes that are not hashed. Where they cannot be cut
            // off, the state on the disk stays the older one, and the next run sees their hash.
            let cut = self.file.set_len(self.written);
            if cut
                .and(self.file.seek(SeekFrom::Start(self.written)))
                .is_err()
            {
                return result;
            }
        }
        let saved = self.checkpoint();
        result.and(saved)
    }

    /// Whether the complete file has its digest. Puts it on the disk either way.
    pub(super) fn is_right(&mut self) -> Result<bool, PullError> {
        self.file
            .sync_all()
            .map_err(PullError::io("sync the partial file"))?;
        let digest = Digest::from_bytes(&self.hasher.clone().finalize().into());
        Ok(self.written == self.size && digest == self.digest)
    }

    /// The file from its start, for reading.
    pub(super) fn reader(&self) -> Result<File, PullError> {
        File::open(&self.path).map_err(PullError::io("read the partial file"))
    }

    /// Gives the file its final name.
    pub(super) fn keep(self, path: &Path) -> Result<(), PullError> {
        let failed = PullError::io("name the finished file");
        fs::rename(&self.path, path).map_err(&failed)?;
        sync_parent(path).map_err(&failed)?;
        fs::remove_file(&self.state_path).map_err(&failed)
    }

    /// Frees the space.
    pub(super) fn discard(self) -> Result<(), PullError> {
        let failed = PullError::io("remove the partial file");
        fs::remove_file(&self.state_path).map_err(&failed)?;
        fs::remove_file(&self.path).map_err(&failed)
    }
}

#[cfg(test)]
#[path = "partial_tests.rs"]
mod tests;
