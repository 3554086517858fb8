//! Hosts with ports.

use std::fmt;
use std::str::FromStr;

/// A host and a port, as a declared registry or the target of a redirect.
///
/// The port is 443 where none is given: registries are spoken to by TLS only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    host: String,
    port: u16,
}

/// The text is no [`Authority`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to parse host: expected HOST or HOST:PORT")]
pub struct AuthorityError;

impl Authority {
    /// The host of an `https` address; `None` for every other scheme and for addresses with user info.
    #[must_use]
    pub fn of(url: &url::Url) -> Option<Self> {
        let plain =
            url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
        Some(Self {
            host: url.host_str().filter(|_| plain)?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// The host without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl FromStr for Authority {
    type Err = AuthorityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The URL parser normalises hosts; going through it here makes both sides comparable.
        let url = url::Url::parse(&format!("https://{text}/")).map_err(|_| AuthorityError)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(AuthorityError);
        }
        Self::of(&url).ok_or(AuthorityError)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            443 => f.write_str(&self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("registry.internal", "registry.internal")]
    #[case("registry.internal:443", "registry.internal")]
    #[case("Registry.Internal:5000", "registry.internal:5000")]
    #[case("[fd00::1]:5000", "[fd00::1]:5000")]
    fn normalises(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(text.parse::<Authority>().unwrap().to_string(), expected);
    }

    #[rstest::rstest]
    #[case("")]
    #[case("host/path")]
    #[case("user@host")]
    #[case("host:99999")]
    #[case("host?x")]
    fn refuses(#[case] text: &str) {
        assert_eq!(text.parse::<Authority>(), Err(AuthorityError));
    }

    #[rstest::rstest]
    #[case("http://registry.internal/", None)]
    #[case("https://u:p@registry.internal/", None)]
    #[case("https://registry.internal/v2/", Some("registry.internal"))]
    fn takes_https_only(#[case] url: &str, #[case] expected: Option<&str>) {
        let authority = Authority::of(&url.parse().unwrap());
        assert_eq!(authority, expected.map(|text| text.parse().unwrap()));
    }
}
