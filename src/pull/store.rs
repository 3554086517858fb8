//! The directory: what is finished in it, and how it becomes so.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::partial::{Partial, write_atomically};
use super::report::{ENTRY, FileEntry, Layout, files_of};
use super::{Artifact, Progress, PullError, Timing, fetch};
use crate::gguf::{Header, Kind, Limits};
use crate::oci::{Registry, Weights};
use crate::types::{Digest, ImageRef};

const RECORD: &str = "sealroom.json";
const PARTIAL: &str = ".partial";
const LOCK: &str = "lock";
const MAX_RECORD: u64 = 1 << 20;

/// `sealroom.json`: written last, so that a directory with it is complete.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    v: u8,
    reference: ImageRef,
    layout: Layout,
    artifact: Artifact,
    files: Vec<FileEntry>,
}

/// Why a file is not known to be verified.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The record cannot be read.
    #[error("failed to read the record of {path}: {source}")]
    Read {
        /// The file that was asked for.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The record does not list the file, or with another length.
    #[error("failed to find {0} in the record of its directory: it was not pulled to the end")]
    Unknown(PathBuf),
}

/// What the finished directory around `path` says of that file. Its bytes were compared with the digest when they
/// were pulled, and are not read again.
///
/// # Errors
/// There is no record, or it does not list the file as it is.
pub fn verified_file(path: &Path) -> Result<FileEntry, RecordError> {
    let read = |source| RecordError::Read {
        path: path.to_owned(),
        source,
    };
    let record = File::open(path.with_file_name(RECORD)).map_err(read)?;
    let record: Record =
        serde_json::from_reader(record.take(MAX_RECORD)).map_err(|error| read(error.into()))?;
    let length = fs::metadata(path).map_err(read)?.len();
    let name = path.file_name().and_then(|name| name.to_str());
    record
        .files
        .into_iter()
        .find(|entry| Some(entry.path.as_str()) == name && entry.bytes == length)
        .ok_or_else(|| RecordError::Unknown(path.to_owned()))
}

/// The directory of one artifact.
#[derive(Clone)]
pub(super) struct Store {
    dir: PathBuf,
    reference: ImageRef,
    layout: Layout,
    kind: Kind,
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PullError> + Send + 'static,
) -> Result<T, PullError> {
    spawn_blocking(work)
        .await
        .map_err(|error| PullError::io("work on the volume")(error.into()))?
}

impl Store {
    pub(super) fn open(dir: PathBuf, reference: ImageRef, layout: Layout, kind: Kind) -> Self {
        Self {
            dir,
            reference,
            layout,
            kind,
        }
    }

    /// What a complete directory holds; `None` where something is missing or was altered.
    pub(super) async fn finished(&self, reverify: bool) -> Result<Option<Artifact>, PullError> {
        let store = self.clone();
        blocking(move || store.finished_now(reverify)).await
    }

    fn finished_now(&self, reverify: bool) -> Result<Option<Artifact>, PullError> {
        let path = self.dir.join(RECORD);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(PullError::io("read sealroom.json"))?,
        };
        let Ok(record) = serde_json::from_reader::<_, Record>(file.take(MAX_RECORD)) else {
            tracing::warn!("sealroom.json is unreadable: pulling again");
            return Ok(None);
        };
        let other = record.layout != self.layout || record.artifact.kind != self.kind;
        if other || record.reference.digest() != self.reference.digest() {
            let found = record.reference.digest().to_string();
            return Err(PullError::OtherArtifact { found });
        }
        for entry in &record.files {
            if !is_intact(&self.dir, entry, reverify)? {
                tracing::warn!(
                    file = entry.path,
                    "a finished file was altered: pulling again"
                );
                fs::remove_file(&path).map_err(PullError::io("remove sealroom.json"))?;
                return Ok(None);
            }
        }
        Ok(Some(record.artifact))
    }

    /// Pulls to the end under the directory's lock.
    pub(super) async fn pull(
        &self,
        registry: &Registry,
        weights: &Weights,
        timing: &Timing,
        progress: &Arc<Progress>,
    ) -> Result<Artifact, PullError> {
        let store = self.clone();
        let _lock = blocking(move || store.lock()).await?;
        if let Some(artifact) = self.finished(false).await? {
            return Ok(artifact);
        }
        // A model without a record is nobody's word, and takes the space of the one that comes.
        let model = self.dir.join(ENTRY);
        match fs::remove_file(&model) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(PullError::io("remove an unfinished file"))?,
        }
        let mut partial = self.partial(weights, progress).await?;
        loop {
            let resumed = partial.resumed();
            partial = fetch::fill(registry, weights, partial, timing).await?;
            let (back, right) = blocking(move || {
                let right = partial.is_right()?;
                Ok((partial, right))
            })
            .await?;
            if right {
                partial = back;
                break;
            }
            back.discard()?;
            // What an earlier process left may have been the wrong part; a whole download is not.
            if !resumed {
                let digest = weights.digest.to_string();
                return Err(PullError::DigestMismatch { digest });
            }
            tracing::warn!("the resumed file has another digest: starting over");
            partial = self.partial(weights, progress).await?;
        }
        let (store, weights) = (self.clone(), weights.clone());
        blocking(move || store.finish(partial, &weights)).await
    }

    async fn partial(
        &self,
        weights: &Weights,
        progress: &Arc<Progress>,
    ) -> Result<Partial, PullError> {
        let (dir, weights, progress) = (self.dir.join(PARTIAL), weights.clone(), progress.clone());
        blocking(move || Partial::open(&dir, &weights, progress)).await
    }

    fn lock(&self) -> Result<File, PullError> {
        let failed = PullError::io("lock the directory");
        let dir = self.dir.join(PARTIAL);
        fs::create_dir_all(&dir).map_err(&failed)?;
        let lock = File::create(dir.join(LOCK)).map_err(&failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(fs::TryLockError::WouldBlock) => Err(PullError::Busy),
            Err(fs::TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn finish(&self, partial: Partial, weights: &Weights) -> Result<Artifact, PullError> {
        let source = BufReader::new(partial.reader()?);
        let artifact = Header::read(source, weights.size, Limits::default())
            .map_err(PullError::from)
            .and_then(|header| Artifact::new(&self.reference, self.kind, weights, &header));
        let artifact = match artifact {
            Ok(artifact) => artifact,
            // Right bytes of the wrong kind: no retry makes them useful.
            Err(error) => {
                partial.discard()?;
                return Err(error);
            }
        };
        partial.keep(&self.dir.join(ENTRY))?;
        let record = Record {
            v: 1,
            reference: self.reference.clone(),
            layout: self.layout,
            artifact: artifact.clone(),
            files: files_of(weights),
        };
        let failed = PullError::io("write sealroom.json");
        let bytes = serde_json::to_vec_pretty(&record).map_err(|error| failed(error.into()))?;
        write_atomically(&self.dir.join(RECORD), &bytes).map_err(&failed)?;
        // Leftovers of nothing: the directory is complete with or without them.
        let _ = fs::remove_dir_all(self.dir.join(PARTIAL));
        Ok(artifact)
    }
}

fn is_intact(dir: &Path, entry: &FileEntry, reverify: bool) -> Result<bool, PullError> {
    let failed = PullError::io("read a finished file");
    // The record lies on the volume: its names are not taken on trust.
    if entry.path != ENTRY {
        return Ok(false);
    }
    let path = dir.join(&entry.path);
    let found = fs::symlink_metadata(&path);
    if !found.is_ok_and(|meta| meta.is_file() && meta.len() == entry.bytes) {
        return Ok(false);
    }
    if !reverify {
        return Ok(true);
    }
    let mut file = File::open(&path).map_err(&failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(&failed)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(Digest::from_bytes(&hasher.finalize().into()) == entry.digest)
}
