//! What a GGUF file is: a model, or something that is read beside one.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GgufError, Header};

/// Which kind of file is asked for.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
#[value(rename_all = "PascalCase")]
pub enum Kind {
    /// A whole model.
    #[default]
    Model,
    /// A LoRA adapter.
    Adapter,
    /// A multimodal projector.
    Projector,
}

impl Kind {
    /// As the object and the flags write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "Model",
            Self::Adapter => "Adapter",
            Self::Projector => "Projector",
        }
    }

    /// In words, with its article.
    fn words(self) -> &'static str {
        match self {
            Self::Model => "a model",
            Self::Adapter => "a LoRA adapter",
            Self::Projector => "a multimodal projector",
        }
    }

    /// Whether it is what holds where nothing is written.
    #[must_use]
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub fn is_model(&self) -> bool {
        *self == Self::Model
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl Header {
    /// Refuses a file of another kind, and what no engine can read by itself: shards.
    ///
    /// What decides is `general.type` and `adapter.type` (llama.cpp, `llama_adapter_lora_init_impl`), and for
    /// projectors the architecture `clip`, because older ones say nothing of their type.
    ///
    /// # Errors
    /// [`GgufError::WrongKind`].
    pub fn must_be(&self, wanted: Kind) -> Result<(), GgufError> {
        let found = self.found();
        if found == Ok(wanted) {
            return Ok(());
        }
        let found = match found {
            Ok(Kind::Model) => "a whole model",
            Ok(kind) => kind.words(),
            Err(other) => other,
        };
        Err(GgufError::WrongKind { wanted, found })
    }

    fn found(&self) -> Result<Kind, &'static str> {
        if self.int("split.count").is_some_and(|count| count > 1) {
            return Err("one shard of several");
        }
        match self.text("general.type") {
            Some("adapter") if self.text("adapter.type") == Some("lora") => Ok(Kind::Adapter),
            Some("adapter") => Err("an adapter of another kind than LoRA"),
            Some("mmproj" | "projector") if self.architecture == "clip" => Ok(Kind::Projector),
            Some("mmproj" | "projector") => Err("a projector of another architecture than clip"),
            Some("imatrix") => Err("an importance matrix"),
            _ if self.architecture == "clip" => Ok(Kind::Projector),
            _ => Ok(Kind::Model),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::Limits;
    use super::super::sample::Sample;
    use super::*;

    fn file(architecture: &str, kind: &str) -> Sample {
        let sample = Sample::default().text("general.architecture", architecture);
        if kind.is_empty() {
            sample
        } else {
            sample.text("general.type", kind)
        }
    }

    #[rstest::rstest]
    #[case::model(file("llama", "model"), Ok(Kind::Model))]
    #[case::says_nothing(file("llama", ""), Ok(Kind::Model))]
    #[case::adapter(file("llama", "adapter").text("adapter.type", "lora"), Ok(Kind::Adapter))]
    #[case::no_lora(file("llama", "adapter").text("adapter.type", "ia3"), Err("than LoRA"))]
    #[case::no_type(file("llama", "adapter"), Err("than LoRA"))]
    #[case::projector(file("clip", "mmproj"), Ok(Kind::Projector))]
    #[case::old_projector(file("clip", ""), Ok(Kind::Projector))]
    #[case::projector_of_what(file("llama", "mmproj"), Err("than clip"))]
    #[case::matrix(file("llama", "imatrix"), Err("an importance matrix"))]
    #[case::shard(file("llama", "model").int("split.count", 3), Err("one shard"))]
    #[case::shard_of_an_adapter(file("llama", "adapter").text("adapter.type", "lora").int("split.count", 2), Err("one shard"))]
    fn a_file_is_of_one_kind(#[case] sample: Sample, #[case] is: Result<Kind, &str>) {
        let bytes = Cursor::new(sample.bytes());
        let header = Header::read(bytes, 1 << 40, Limits::default()).unwrap();
        for wanted in [Kind::Model, Kind::Adapter, Kind::Projector] {
            let result = header.must_be(wanted);
            assert_eq!(result.is_ok(), is == Ok(wanted), "{result:?}");
            if let Err(error) = result {
                let text = error.to_string();
                assert!(text.contains(&format!("as {wanted}")), "{text}");
                assert!(text.contains(is.err().unwrap_or(" it is ")), "{text}");
            }
        }
    }

    #[test]
    fn words_are_those_of_the_api() {
        for kind in [Kind::Model, Kind::Adapter, Kind::Projector] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
