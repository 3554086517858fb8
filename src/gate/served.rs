//! The models that are served, by the names that requests carry; pure.

use std::str::FromStr;

use serde_json::{Value, json};

use crate::engine::Mode;
use crate::types::AtLeastOne;

/// A model that is served. As a flag: `name=vectors,digest=sha256:…,mode=Embedding`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// What requests carry as `model`.
    pub name: String,
    /// The artifact's digest, for the audit.
    pub digest: Option<String>,
    /// What it is served for.
    pub mode: Mode,
}

/// Why a flag is no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServedError {
    /// A part is not `word=value` with a known word, or one is written twice.
    #[error("{0:?} is none of name=, digest= and mode=, each at most once")]
    Part(String),
    /// Nothing to ask for it by.
    #[error("name= is missing")]
    Name,
    /// No such mode.
    #[error("mode={0}: write Completion, Embedding or Rerank")]
    Mode(String),
}

impl FromStr for Served {
    type Err = ServedError;

    fn from_str(text: &str) -> Result<Self, ServedError> {
        let [mut name, mut digest, mut mode] = [None, None, None];
        for part in text.split(',') {
            let wrong = || ServedError::Part(part.to_owned());
            let (word, value) = part.split_once('=').ok_or_else(wrong)?;
            let slot = match word {
                "name" => &mut name,
                "digest" => &mut digest,
                "mode" => &mut mode,
                _ => return Err(wrong()),
            };
            if value.is_empty() || slot.replace(value.to_owned()).is_some() {
                return Err(wrong());
            }
        }
        let known = |word: String| {
            let mode = Mode::ALL.iter().find(|mode| mode.as_str() == word);
            mode.copied().ok_or(ServedError::Mode(word))
        };
        Ok(Self {
            name: name.ok_or(ServedError::Name)?,
            digest,
            mode: mode.map(known).transpose()?.unwrap_or_default(),
        })
    }
}

impl Served {
    /// As the OpenAI API shows a model.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"id": self.name, "object": "model", "created": 0, "owned_by": "sealroom"})
    }
}

/// All models of a gate, in the order in which clients see them.
pub type Models = AtLeastOne<Served>;

impl Models {
    /// As the OpenAI API lists them.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let data: Vec<Value> = self.iter().map(Served::to_json).collect();
        json!({"object": "list", "data": data})
    }

    /// The model of exactly that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Served> {
        self.iter().find(|model| model.name == name)
    }

    /// What a client that asked for no model of these reads.
    #[must_use]
    pub fn offered(&self) -> String {
        let names: Vec<&str> = self.iter().map(|model| model.name.as_str()).collect();
        let what = self.only().map_or("models", |_| "model");
        format!("this endpoint serves the {what} {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::name("name=lab/chat:7b", Some(("lab/chat:7b", None, Mode::Completion)))]
    #[case::all("name=v,digest=sha256:00,mode=Embedding", Some(("v", Some("sha256:00"), Mode::Embedding)))]
    #[case::any_order("mode=Rerank,name=v", Some(("v", None, Mode::Rerank)))]
    #[case::no_name("digest=sha256:00", None)]
    #[case::empty_name("name=", None)]
    #[case::twice("name=a,name=b", None)]
    #[case::unknown_word("name=a,url=http://b", None)]
    #[case::unknown_mode("name=a,mode=Chat", None)]
    #[case::no_words("a", None)]
    fn flags_are_read(#[case] flag: &str, #[case] expected: Option<(&str, Option<&str>, Mode)>) {
        let read = flag.parse::<Served>().ok();
        let expected = expected.map(|(name, digest, mode)| Served {
            name: name.to_owned(),
            digest: digest.map(str::to_owned),
            mode,
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn a_model_is_found_by_its_whole_name() {
        let [one, two]: [Served; 2] =
            ["name=chat", "name=vectors"].map(|flag| flag.parse().unwrap());
        let both = Models {
            first: one,
            further: vec![two.clone()],
        };
        assert_eq!(both.only(), None, "nobody is meant where nobody is named");
        assert_eq!(both.named("vectors"), Some(&two));
        for other in ["Vectors", "vector", "vectors:latest", ""] {
            assert_eq!(both.named(other), None, "{other}");
        }
        assert!(both.offered().ends_with("the models chat, vectors"));
    }
}
