//! What a plan or a pull says at its end.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{PullError, Reason};
use crate::gguf::{ChatFamily, Geometry, Header, Kind, ModelPooling};
use crate::oci::Weights;
use crate::types::{Digest, ImageRef};

/// The kubelet cuts termination messages here (Kubernetes, `MaxContainerTerminationMessageLength`).
const MAX_MESSAGE: usize = 4_096;

/// For which engine a directory is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Layout {
    /// One GGUF file, `model.gguf`.
    #[default]
    #[value(name = "LlamaCpp")]
    LlamaCpp,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The header was read; nothing was kept.
    Planned,
    /// The directory is complete.
    Verified,
    /// See the reason.
    Failed,
}

/// A file of a finished directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Relative to the directory, one component.
    pub path: String,
    /// Length.
    pub bytes: u64,
    /// Of its bytes.
    pub digest: Digest,
}

/// An artifact, planned or pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Of the manifest.
    pub digest: Digest,
    /// What the file is.
    #[serde(default, skip_serializing_if = "Kind::is_model")]
    pub kind: Kind,
    /// `GGUF`.
    pub format: String,
    /// Number of files.
    pub files: u32,
    /// SHA-256 over the lines `<hex>  <bytes> <path>\n` of the files, sorted by path.
    pub files_digest: Digest,
    /// Of all files.
    pub bytes: u64,
    /// Licence identifier: the manifest's, else the file's.
    pub license: Option<String>,
    /// `general.architecture`, such as `llama`.
    pub architecture: String,
    /// Such as `Q4_K_M`.
    pub quantization: Option<String>,
    /// The family of its chat template, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<ChatFamily>,
    /// How it makes a vector of a text; absent from what an older version planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<ModelPooling>,
    /// The file that the engine is given.
    pub entry: String,
    /// From which the memory of a model follows; of another file only its length counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geometry: Option<Geometry>,
}

/// The name of the one file of [`Layout::LlamaCpp`].
pub(super) const ENTRY: &str = "model.gguf";

pub(super) fn files_of(weights: &Weights) -> Vec<FileEntry> {
    vec![FileEntry {
        path: ENTRY.to_owned(),
        bytes: weights.size,
        digest: weights.digest.clone(),
    }]
}

fn files_digest(files: &[FileEntry]) -> Digest {
    let mut hasher = Sha256::new();
    for file in files {
        hasher.update(format!(
            "{}  {} {}\n",
            file.digest.hex(),
            file.bytes,
            file.path
        ));
    }
    Digest::from_bytes(&hasher.finalize().into())
}

impl Artifact {
    /// From a manifest's file and the file's header.
    pub(super) fn new(
        reference: &ImageRef,
        kind: Kind,
        weights: &Weights,
        header: &Header,
    ) -> Result<Self, PullError> {
        header.must_be(kind)?;
        let files = files_of(weights);
        Ok(Self {
            digest: reference.digest().clone(),
            kind,
            format: "GGUF".to_owned(),
            files: 1,
            files_digest: files_digest(&files),
            bytes: weights.size,
            license: weights
                .license
                .clone()
                .or_else(|| header.license().map(str::to_owned)),
            architecture: header.architecture.clone(),
            quantization: header.quantization().map(str::to_owned),
            chat_template: header.chat,
            pooling: kind.is_model().then(|| ModelPooling::of(header)),
            entry: ENTRY.to_owned(),
            geometry: kind
                .is_model()
                .then(|| Geometry::from_header(header))
                .transpose()?,
        })
    }
}

/// The termination message of a plan or pull Job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TerminationMessage {
    /// Version of this message.
    pub v: u8,
    /// How it ended.
    pub result: Outcome,
    /// `Planned`, `Verified` or a [`Reason`].
    pub reason: String,
    /// For a human.
    pub message: String,
    /// Absent after a failure.
    pub artifact: Option<Artifact>,
}

fn word(reason: impl Serialize) -> String {
    match serde_json::to_value(reason) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

impl TerminationMessage {
    /// After a success.
    #[must_use]
    pub fn done(artifact: Artifact, planned: bool) -> Self {
        let result = if planned {
            Outcome::Planned
        } else {
            Outcome::Verified
        };
        Self {
            v: 1,
            result,
            reason: word(result),
            message: format!("{} bytes, {}", artifact.bytes, artifact.architecture),
            artifact: Some(artifact),
        }
    }

    /// After a failure.
    #[must_use]
    pub fn failed(error: &PullError) -> Self {
        Self::ended(error.reason(), error.to_string())
    }

    /// For a reason without an error, such as a signal.
    #[must_use]
    pub fn ended(reason: Reason, message: String) -> Self {
        Self {
            v: 1,
            result: Outcome::Failed,
            reason: word(reason),
            message,
            artifact: None,
        }
    }

    /// As JSON of at most 4,096 bytes: the human text gives way first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut message = self.clone();
        loop {
            let bytes = serde_json::to_vec(&message).unwrap_or_default();
            if bytes.len() <= MAX_MESSAGE {
                return bytes;
            }
            if message.message.is_empty() {
                message.artifact = None;
                continue;
            }
            // Escapes make the JSON longer than the text, never shorter: halving ends soon enough.
            let mut half = message.message.len() / 2;
            while !message.message.is_char_boundary(half) {
                half -= 1;
            }
            message.message.truncate(half);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{LatentAttention, LayerGroup};

    fn artifact() -> Artifact {
        let digest = Digest::from_bytes(&[7; 32]);
        let group = |n: u32| LayerGroup {
            count: 4_096,
            kv_heads: (1 << 24) - n,
            sliding: true,
            recurrent: true,
            bytes: u64::MAX,
        };
        Artifact {
            digest: digest.clone(),
            kind: Kind::Projector,
            format: "GGUF".to_owned(),
            files: 1,
            files_digest: digest,
            bytes: u64::MAX,
            license: Some("x".repeat(64)),
            architecture: "x".repeat(32),
            quantization: Some("MXFP4_MOE".to_owned()),
            chat_template: Some(ChatFamily::DeepSeek),
            pooling: Some(ModelPooling::None),
            entry: ENTRY.to_owned(),
            geometry: Some(Geometry {
                weight_bytes: u64::MAX,
                embedding_bytes: u64::MAX,
                tied: true,
                context_length: 1 << 24,
                vocabulary: 1 << 24,
                key_length: 1 << 24,
                value_length: 1 << 24,
                window: 1 << 24,
                width: 1 << 24,
                activation: 1 << 24,
                state: 1 << 24,
                layers: (0..32).map(group).collect(),
                unordered: true,
                latent: Some(LatentAttention { length: 1 << 24 }),
            }),
        }
    }

    #[test]
    fn the_largest_artifact_fits_whatever_the_text() {
        for text in [
            "",
            &"long ".repeat(2_000),
            &"\u{1}".repeat(5_000),
            &"é".repeat(3_001),
        ] {
            let mut message = TerminationMessage::done(artifact(), true);
            message.message = (*text).to_owned();
            let bytes = message.to_bytes();
            assert!(bytes.len() <= MAX_MESSAGE);
            let read: TerminationMessage = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(read.artifact, Some(artifact()));
            assert_eq!(read.reason, "Planned");
        }
    }

    #[test]
    fn a_short_text_stays_whole() {
        let message = TerminationMessage::ended(Reason::NotGGUF, "no gguf".to_owned());
        let read: TerminationMessage = serde_json::from_slice(&message.to_bytes()).unwrap();
        assert_eq!(
            (read.reason.as_str(), read.message.as_str()),
            ("NotGGUF", "no gguf")
        );
    }
}
