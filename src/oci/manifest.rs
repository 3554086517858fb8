//! Which layer of a manifest holds the model.

use oci_spec::image::{Descriptor, ImageManifest};

use crate::gguf::Kind;
use crate::types::Digest;

/// The blob that holds the weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Of the blob's bytes.
    pub digest: Digest,
    /// Length in bytes, as the descriptor says.
    pub size: u64,
    /// `org.opencontainers.image.licenses`, where it is a plain identifier.
    pub license: Option<String>,
}

/// Why a manifest holds nothing that we pull.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is no image manifest at all, or a digest in it is none.
    #[error("failed to read manifest: {0}")]
    Invalid(&'static str),
    /// A format that we know and cannot pull, or do not know.
    #[error("failed to use manifest: {0}")]
    Unsupported(String),
}

/// What the layers of a media type are to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A GGUF file as it is.
    Gguf,
    /// Any file; its title decides.
    Raw,
    /// Nothing that serving needs.
    Ignored,
    /// Known, and not supported, by this name.
    Known(&'static str),
}

/// Media types by prefix; the first that fits counts, and any other type is [`Role::Raw`].
/// A new format is a line here and its reader.
const ROLES: [(&str, Role); 13] = [
    (
        "application/vnd.docker.ai.gguf.v3.mmproj",
        Role::Known("a Docker model with a multimodal projector"),
    ),
    (
        "application/vnd.docker.ai.gguf.v3.lora",
        Role::Known("a Docker model with an adapter"),
    ),
    ("application/vnd.docker.ai.gguf.v3", Role::Gguf),
    ("application/vnd.docker.ai.license", Role::Ignored),
    (
        "application/vnd.docker.ai.chat.template",
        Role::Known("a Docker model with a chat template of its own"),
    ),
    (
        "application/vnd.docker.ai.mmproj",
        Role::Known("a Docker model with a multimodal projector"),
    ),
    (
        "application/vnd.docker.ai.",
        Role::Known("a Docker model that is no GGUF file"),
    ),
    (
        "application/vnd.cncf.model.",
        Role::Known("a CNCF ModelPack"),
    ),
    (
        "application/vnd.cnai.model.",
        Role::Known("a CNCF ModelPack"),
    ),
    (
        "application/vnd.kitops.modelkit.",
        Role::Known("a KitOps ModelKit"),
    ),
    (
        "application/vnd.ollama.image.",
        Role::Known("an Ollama model"),
    ),
    (
        "application/vnd.docker.image.rootfs.",
        Role::Known("a container image"),
    ),
    (
        "application/vnd.oci.image.layer.v1.tar+",
        Role::Known("a container image"),
    ),
];

const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

const TITLE: &str = "org.opencontainers.image.title";
const FILE_PATHS: [&str; 3] = [TITLE, "org.cncf.model.filepath", "org.cnai.model.filepath"];
const LICENSES: &str = "org.opencontainers.image.licenses";

/// The first part of the media types of files that are read beside a model.
fn beside(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Model => &[],
        Kind::Adapter => &["application/vnd.docker.ai.gguf.v3.lora"],
        Kind::Projector => &[
            "application/vnd.docker.ai.gguf.v3.mmproj",
            "application/vnd.docker.ai.mmproj",
        ],
    }
}

fn role(media_type: &str, kind: Kind) -> Role {
    let mut own = beside(kind).iter();
    if own.any(|prefix| media_type.starts_with(prefix)) {
        return Role::Gguf;
    }
    ROLES
        .iter()
        .find(|(prefix, _)| media_type.starts_with(prefix))
        .map_or(Role::Raw, |(_, role)| *role)
}

/// A file name that stays where it is put: one component, no control characters.
fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= 255
        && !name
            .chars()
            .any(|c| c.is_control() || matches!(c, '/' | '\\'))
}

fn file_name(layer: &Descriptor) -> Result<Option<&str>, ManifestError> {
    let annotations = layer.annotations().as_ref();
    let mut found = None;
    for key in FILE_PATHS {
        let Some(name) = annotations.and_then(|all| all.get(key)) else {
            continue;
        };
        if !is_file_name(name) {
            return Err(ManifestError::Invalid(
                "the title of a layer is no plain file name",
            ));
        }
        found = found.or(Some(name.as_str()));
    }
    Ok(found)
}

fn is_weights(layer: &Descriptor, kind: Kind) -> Result<bool, ManifestError> {
    let name = file_name(layer)?;
    match role(layer.media_type().as_ref(), kind) {
        Role::Gguf => Ok(true),
        Role::Raw => Ok(name.is_some_and(|name| name.to_ascii_lowercase().ends_with(".gguf"))),
        Role::Ignored => Ok(false),
        Role::Known(what) => Err(ManifestError::Unsupported(format!("this is {what}"))),
    }
}

/// The one layer that holds a model, or what else is asked for, in the layouts of ORAS (`org.opencontainers.image.title` ends in
/// `.gguf`) and of Docker (`application/vnd.docker.ai.gguf.v3`).
///
/// `urls` of a descriptor are never followed: the blob comes from the registry, by its digest.
///
/// # Errors
/// [`ManifestError`]; formats that are known and not supported are named.
pub fn weights_of(bytes: &[u8], kind: Kind) -> Result<Weights, ManifestError> {
    let plain: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|_| ManifestError::Invalid("it is no JSON"))?;
    let media_type = plain.get("mediaType").and_then(serde_json::Value::as_str);
    if media_type.is_some_and(|text| INDEXES.contains(&text)) || plain.get("manifests").is_some() {
        return Err(ManifestError::Unsupported(
            "this is an index of several manifests; name the digest of one of them".to_owned(),
        ));
    }
    let manifest: ImageManifest = serde_json::from_slice(bytes)
        .map_err(|_| ManifestError::Invalid("it is no OCI image manifest"))?;
    let mut weights = None;
    for layer in manifest.layers() {
        if !is_weights(layer, kind)? {
            continue;
        }
        if weights.replace(layer).is_some() {
            return Err(ManifestError::Unsupported(
                "this is a model in several files; merge them into one GGUF file".to_owned(),
            ));
        }
    }
    let layer = weights.ok_or_else(|| {
        ManifestError::Unsupported("no layer is a GGUF file by its media type or title".to_owned())
    })?;
    if layer.size() == 0 {
        return Err(ManifestError::Invalid("the model's layer is empty"));
    }
    let license = manifest
        .annotations()
        .as_ref()
        .and_then(|all| all.get(LICENSES));
    Ok(Weights {
        digest: layer
            .digest()
            .to_string()
            .parse()
            .map_err(|_| ManifestError::Invalid("the digest of a layer is no SHA-256 digest"))?,
        size: layer.size(),
        license: license.filter(|text| is_license(text)).cloned(),
    })
}

/// An SPDX expression, as far as its characters go.
fn is_license(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+' | b' ' | b'(' | b')')
        })
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
