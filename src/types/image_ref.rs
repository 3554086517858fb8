//! References to what a registry holds, always by digest.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Digest, DigestError};

/// `host[:port]/repository@sha256:…`, without a tag (OCI distribution spec, "Pulling manifests").
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    /// Host and, where one is given, port.
    registry: String,
    /// Slash-separated, lower case.
    repository: String,
    digest: Digest,
}

/// Why a text is no [`ImageRef`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageRefError {
    /// There is no `@sha256:…`.
    #[error(
        "failed to parse reference: name the artifact by digest, host/repository@sha256:…, not by tag"
    )]
    NoDigest,
    /// The digest is none.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A tag stands before the digest.
    #[error("failed to parse reference: leave out the tag, the digest alone selects the artifact")]
    Tag,
    /// The first part is no host.
    #[error(
        "failed to parse reference: begin with the registry's host, such as registry.internal:5000/"
    )]
    Registry,
    /// The repository has characters that OCI does not allow.
    #[error("failed to parse reference: the repository may hold a-z, 0-9 and . _ - / between them")]
    Repository,
}

impl ImageRef {
    /// Host and port as written.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository's path.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The digest of the manifest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

fn is_component(part: &str) -> bool {
    let bytes = part.as_bytes();
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes
            .iter()
            .all(|b| alphanumeric(b) || matches!(b, b'.' | b'_' | b'-'))
        && !part.contains("..")
}

fn is_host(host: &str) -> bool {
    let (name, port) = host
        .rsplit_once(':')
        .map_or((host, None), |(name, port)| (name, Some(port)));
    let looks_like_host = name == "localhost" || name.contains('.') || port.is_some();
    looks_like_host
        && is_component(name)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
}

impl FromStr for ImageRef {
    type Err = ImageRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digest) = text.split_once('@').ok_or(ImageRefError::NoDigest)?;
        let digest = digest.parse()?;
        let (registry, repository) = name.split_once('/').ok_or(ImageRefError::Registry)?;
        if !is_host(registry) {
            return Err(ImageRefError::Registry);
        }
        if repository.contains(':') {
            return Err(ImageRefError::Tag);
        }
        if repository.len() > 255 || !repository.split('/').all(is_component) {
            return Err(ImageRefError::Repository);
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            digest,
        })
    }
}

impl TryFrom<String> for ImageRef {
    type Error = ImageRefError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(reference: ImageRef) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.registry, self.repository, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

    #[rstest::rstest]
    #[case::tag("registry.internal:5000/models/m:latest", ImageRefError::NoDigest)]
    #[case::tag_and_digest("registry.internal:5000/models/m:v1@D", ImageRefError::Tag)]
    #[case::no_host("models/m@D", ImageRefError::Registry)]
    #[case::port("registry.internal:99999/m@D", ImageRefError::Registry)]
    #[case::path_up("registry.internal/../m@D", ImageRefError::Repository)]
    #[case::upper_case("registry.internal/M@D", ImageRefError::Repository)]
    #[case::empty_part("registry.internal/a//m@D", ImageRefError::Repository)]
    fn refuses(#[case] text: &str, #[case] error: ImageRefError) {
        assert_eq!(
            text.replace("@D", &format!("@{DIGEST}"))
                .parse::<ImageRef>(),
            Err(error)
        );
    }

    #[test]
    fn parts_and_text_agree() {
        let text = format!("registry.internal:5000/models/smollm2@{DIGEST}");
        let reference: ImageRef = text.parse().unwrap();
        assert_eq!(reference.registry(), "registry.internal:5000");
        assert_eq!(reference.repository(), "models/smollm2");
        assert_eq!(reference.digest().as_str(), DIGEST);
        assert_eq!(reference.to_string(), text);
    }
}
