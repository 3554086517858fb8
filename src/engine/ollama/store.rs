//! Ollama's store: `manifests/<host>/<namespace>/<model>/<tag>` and `blobs/sha256-<hex>`.
//!
//! The weights are a link to the verified file, which stays where it is: Ollama follows it, and never reads the bytes
//! again to check them. `ollama create` would make other bytes with another digest.

use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::name::{Name, NameError};
use super::template;
use crate::engine::{Entry, LayoutError, Mode, Settings, Weights};
use crate::types::Digest;

impl From<NameError> for LayoutError {
    fn from(error: NameError) -> Self {
        Self::Name(error.to_string())
    }
}

/// Everything that the store holds.
pub(super) fn layout(
    weights: &Weights<'_>,
    settings: &Settings,
) -> Result<Vec<Entry>, LayoutError> {
    let name: Name = settings.name.parse()?;
    let header = weights.header;
    let known = header.chat.map(template::of);
    let text = match (&settings.task.template, known) {
        (Some(given), _) => Some(given.as_str()),
        (None, Some((text, _))) => Some(text),
        // Whoever makes vectors reads texts as they are.
        (None, None) if settings.task.mode == Mode::Embedding => None,
        (None, None) => {
            return Err(LayoutError::Template(
                "the model has none of a known family: give one in runtime.ollama.template",
            ));
        }
    };
    // A template that was given may mark its turns otherwise: then only what was given ends an answer.
    let stop: Vec<&str> = known
        .filter(|_| settings.task.template.is_none())
        .map_or(&[][..], |(_, stop)| stop)
        .iter()
        .copied()
        .chain(settings.task.stop.iter().map(String::as_str))
        .collect();
    let mut params =
        json!({"num_ctx": settings.tuning.context, "num_thread": settings.tuning.threads});
    if !stop.is_empty() {
        params["stop"] = json!(stop);
    }
    for (name, number) in [
        ("num_batch", settings.tuning.batch),
        ("num_gpu", settings.tuning.gpu_layers),
    ] {
        if let Some(number) = number {
            params[name] = json!(number);
        }
    }
    let config = json!({
        "model_format": "gguf",
        "model_family": header.architecture,
        "model_families": [header.architecture],
        "model_type": "unknown",
        "file_type": header.quantization().unwrap_or("unknown"),
    });

    let model = json!({
        "mediaType": "application/vnd.ollama.image.model",
        "digest": weights.digest.as_str(),
        "size": weights.bytes,
    });
    let mut entries = vec![Entry::Link {
        path: blob(weights.digest),
        to: PathBuf::from(&settings.model),
    }];
    let mut add = |kind: &str, bytes: Vec<u8>| -> Value {
        let digest = Digest::from_bytes(&Sha256::digest(&bytes).into());
        let layer = json!({"mediaType": kind, "digest": digest.as_str(), "size": bytes.len()});
        let path = blob(&digest);
        entries.push(Entry::File { path, bytes });
        layer
    };
    let config = add(
        "application/vnd.docker.container.image.v1+json",
        written(&config)?,
    );
    let mut layers = vec![model];
    layers.extend(text.map(|text| {
        add(
            "application/vnd.ollama.image.template",
            text.as_bytes().to_vec(),
        )
    }));
    layers.push(add(
        "application/vnd.ollama.image.params",
        written(&params)?,
    ));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": config,
        "layers": layers,
    });
    entries.push(Entry::File {
        path: name.manifest(),
        bytes: written(&manifest)?,
    });
    Ok(entries)
}

fn blob(digest: &Digest) -> PathBuf {
    PathBuf::from("blobs").join(format!("sha256-{}", digest.hex()))
}

fn written(value: &Value) -> Result<Vec<u8>, LayoutError> {
    serde_json::to_vec(value).map_err(|error| LayoutError::Json(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{ChatFamily, Header};

    fn lay_out(chat: Option<ChatFamily>, settings: &Settings) -> Result<Vec<Entry>, LayoutError> {
        let weights = Weights {
            digest: &Digest::from_bytes(&[7; 32]),
            bytes: 98_362_432,
            header: &Header::sample(chat),
        };
        layout(&weights, settings)
    }

    fn file<'a>(entries: &'a [Entry], at: &str) -> &'a [u8] {
        let found = entries.iter().find_map(|entry| match entry {
            Entry::File { path, bytes } if path.ends_with(at) => Some(bytes),
            _ => None,
        });
        found.unwrap()
    }

    fn layer<'a>(entries: &'a [Entry], kind: &str) -> &'a [u8] {
        let manifest: Value = serde_json::from_slice(file(entries, "assistant/latest")).unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        let found = layers
            .iter()
            .find(|layer| layer["mediaType"].as_str().unwrap().ends_with(kind));
        let found = found.unwrap();
        let name = found["digest"].as_str().unwrap().replace(':', "-");
        let bytes = file(entries, &name);
        assert_eq!(found["size"], bytes.len());
        bytes
    }

    #[test]
    fn the_weights_stay_where_they_are() {
        let entries = lay_out(Some(ChatFamily::ChatML), &Settings::sample()).unwrap();
        let link = Entry::Link {
            path: format!("blobs/sha256-{}", "07".repeat(32)).into(),
            to: "/models/model.gguf".into(),
        };
        assert_eq!(entries[0], link);
        assert_eq!(entries.len(), 5);
        let manifest: Value = serde_json::from_slice(file(&entries, "assistant/latest")).unwrap();
        assert_eq!(manifest["layers"][0]["size"], 98_362_432);
        assert!(manifest["config"]["digest"].is_string());
        for entry in &entries {
            let (Entry::File { path, .. } | Entry::Link { path, .. }) = entry;
            assert!(path.is_relative());
        }
    }

    #[test]
    fn template_and_stops_follow_the_family() {
        let entries = lay_out(Some(ChatFamily::ChatML), &Settings::sample()).unwrap();
        let text = String::from_utf8_lossy(layer(&entries, "template")).into_owned();
        assert!(text.contains("<|im_start|>{{ .Role }}\n"), "{text}");
        let params: Value = serde_json::from_slice(layer(&entries, "params")).unwrap();
        assert_eq!(
            params,
            json!({"num_ctx": 2048, "num_thread": 3, "stop": ["<|im_start|>", "<|im_end|>"]})
        );
    }

    #[test]
    fn a_template_that_is_given_goes_before() {
        let mut settings = Settings::sample();
        settings.task.template = Some("{{ .Prompt }}!".to_owned());
        settings.task.stop = vec!["!".to_owned()];
        for family in [Some(ChatFamily::ChatML), None] {
            let entries = lay_out(family, &settings).unwrap();
            assert_eq!(layer(&entries, "template"), b"{{ .Prompt }}!");
            let params: Value = serde_json::from_slice(layer(&entries, "params")).unwrap();
            assert_eq!(params["stop"], json!(["!"]));
        }
    }

    #[test]
    fn without_a_template_there_is_no_store() {
        let error = lay_out(None, &Settings::sample()).unwrap_err();
        assert!(error.to_string().contains("runtime.ollama.template"));
        let settings = Settings {
            name: "a:b:c".to_owned(),
            ..Settings::sample()
        };
        let error = lay_out(Some(ChatFamily::ChatML), &settings).unwrap_err();
        assert!(matches!(error, LayoutError::Name(_)));
    }
}
