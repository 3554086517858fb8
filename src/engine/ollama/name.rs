//! Names of models, as Ollama reads them (`types/model/name.go`).
//!
//! The model is laid out under the name that requests carry, because Ollama repeats that name in its answers. A name
//! that Ollama would read as something else is refused before any pod is made.

use std::path::PathBuf;
use std::str::FromStr;

const HOST: &str = "registry.ollama.ai";
const NAMESPACE: &str = "library";
const TAG: &str = "latest";
/// Of one part.
const MAX_PART: usize = 80;

/// `[[host/]namespace/]model[:tag]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    host: String,
    namespace: String,
    model: String,
    tag: String,
}

/// The text is no such name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    /// A part is empty, too long, or has a character that it must not.
    #[error(
        "Ollama reads {0} as [[host/]namespace/]model[:tag] with parts of at most 80 letters, digits, _, - and . (none in a namespace), each beginning with a letter, a digit or _"
    )]
    Shape(String),
    /// It would mean a model in Ollama's cloud.
    #[error("Ollama takes names that end in cloud for models in its cloud")]
    Cloud,
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let shape = || NameError::Shape(text.to_owned());
        // A colon before the last slash belongs to the host.
        let (path, tag) = match text.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, tag),
            _ => (text, TAG),
        };
        let parts: Vec<&str> = path.rsplitn(3, '/').collect();
        let (host, namespace, model) = match parts[..] {
            [model] => (HOST, NAMESPACE, model),
            [model, namespace] => (HOST, namespace, model),
            [model, namespace, host] => (host, namespace, model),
            _ => return Err(shape()),
        };
        let fits = is_part(host, ".:", 350)
            && is_part(namespace, "", MAX_PART)
            && is_part(model, ".", MAX_PART)
            && is_part(tag, ".", MAX_PART);
        if !fits {
            return Err(shape());
        }
        if tag == "cloud" || tag.ends_with("-cloud") || model.ends_with("-cloud") {
            return Err(NameError::Cloud);
        }
        let [host, namespace, model, tag] = [host, namespace, model, tag].map(str::to_owned);
        Ok(Self {
            host,
            namespace,
            model,
            tag,
        })
    }
}

impl Name {
    /// Where its manifest lies in the store.
    pub(super) fn manifest(&self) -> PathBuf {
        [
            "manifests",
            &self.host,
            &self.namespace,
            &self.model,
            &self.tag,
        ]
        .iter()
        .collect()
    }
}

/// Letters, digits, `_`, `-` and what `more` has; the first a letter, a digit or `_`.
fn is_part(part: &str, more: &str, limit: usize) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=limit).contains(&part.len())
        && part.starts_with(word)
        && part
            .chars()
            .all(|c| word(c) || c == '-' || more.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("assistant", "registry.ollama.ai/library/assistant/latest")]
    #[case("chat:7b", "registry.ollama.ai/library/chat/7b")]
    #[case("chat/7b", "registry.ollama.ai/chat/7b/latest")]
    #[case("Lab/Chat_7B.v2:Q4_K_M", "registry.ollama.ai/Lab/Chat_7B.v2/Q4_K_M")]
    #[case("models.lab:5000/chat/7b", "models.lab:5000/chat/7b/latest")]
    #[case("models.lab:5000/chat/7b:q8", "models.lab:5000/chat/7b/q8")]
    fn names_have_a_place(#[case] name: &str, #[case] place: &str) {
        let name: Name = name.parse().unwrap();
        assert_eq!(name.manifest(), PathBuf::from("manifests").join(place));
    }

    #[rstest::rstest]
    #[case::empty("")]
    #[case::two_tags("a:b:c")]
    #[case::four_parts("a/b/c/d")]
    #[case::no_model("a/")]
    #[case::no_tag("a:")]
    #[case::two_slashes("a//b")]
    #[case::dots_in_a_namespace("a.b/c")]
    #[case::dots("../a")]
    #[case::dash_first("a/-b")]
    #[case::digest("a@sha256:b")]
    fn other_names_are_refused(#[case] name: &str) {
        assert!(matches!(name.parse::<Name>(), Err(NameError::Shape(_))));
    }

    #[test]
    fn a_part_has_at_most_80_characters() {
        assert!("a".repeat(80).parse::<Name>().is_ok());
        assert!("a".repeat(81).parse::<Name>().is_err());
    }

    #[rstest::rstest]
    #[case("gpt:cloud")]
    #[case("gpt:20b-cloud")]
    #[case("gpt-cloud")]
    fn the_cloud_is_nowhere(#[case] name: &str) {
        assert_eq!(name.parse::<Name>(), Err(NameError::Cloud));
    }
}
