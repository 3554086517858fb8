//! User names and passwords out of pull secrets.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// A user name and a password. Neither is ever printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

/// The bytes are no `dockerconfigjson`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read credentials: not a dockerconfigjson with auths by host")]
pub struct CredentialsError;

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    username: Option<String>,
    password: Option<String>,
    auth: Option<String>,
}

impl Entry {
    fn credentials(self) -> Result<Option<Credentials>, CredentialsError> {
        if let (Some(user), Some(password)) = (self.username, self.password) {
            return Ok(Some(Credentials { user, password }));
        }
        let Some(auth) = self.auth.filter(|auth| !auth.is_empty()) else {
            return Ok(None);
        };
        let bytes = STANDARD.decode(auth.trim()).map_err(|_| CredentialsError)?;
        let text = String::from_utf8(bytes).map_err(|_| CredentialsError)?;
        let (user, password) = text.split_once(':').ok_or(CredentialsError)?;
        Ok(Some(Credentials {
            user: user.to_owned(),
            password: password.to_owned(),
        }))
    }
}

impl Credentials {
    /// The entry of a `.dockerconfigjson` for a repository: the longest key that is the registry's
    /// host or a path below it (Kubernetes, "Images", "Interpretation of config.json"; without globs).
    ///
    /// # Errors
    /// [`CredentialsError`] where the bytes are no such file or the entry is broken.
    pub fn find(
        config: &[u8],
        registry: &str,
        repository: &str,
    ) -> Result<Option<Self>, CredentialsError> {
        let config: DockerConfig = serde_json::from_slice(config).map_err(|_| CredentialsError)?;
        let wanted = format!("{registry}/{repository}/");
        let best = config
            .auths
            .into_iter()
            .filter_map(|(key, entry)| {
                let key = normal(&key);
                wanted
                    .starts_with(&format!("{key}/"))
                    .then_some((key.len(), entry))
            })
            .max_by_key(|(length, _)| *length);
        best.map_or(Ok(None), |(_, entry)| entry.credentials())
    }

    /// The value of an `Authorization` header (RFC 7617).
    #[must_use]
    pub(super) fn basic(&self) -> String {
        format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", self.user, self.password))
        )
    }
}

/// Keys come with a scheme and with the API's path, from the days of Docker Hub's first registry.
fn normal(key: &str) -> String {
    let key = key.strip_prefix("https://").unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key
        .strip_suffix("/v1")
        .or_else(|| key.strip_suffix("/v2"))
        .unwrap_or(key);
    key.to_owned()
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = "registry.internal:5000";

    fn find(config: &serde_json::Value) -> Result<Option<Credentials>, CredentialsError> {
        Credentials::find(config.to_string().as_bytes(), REGISTRY, "models/m")
    }

    fn auth(text: &str) -> serde_json::Value {
        serde_json::json!({ "auth": STANDARD.encode(text) })
    }

    #[rstest::rstest]
    #[case("registry.internal:5000")]
    #[case("https://registry.internal:5000")]
    #[case("https://registry.internal:5000/v2/")]
    #[case("registry.internal:5000/models")]
    fn finds_by_host_and_path(#[case] key: &str) {
        let found = find(&serde_json::json!({"auths": {key: auth("u:p:w")}}))
            .unwrap()
            .unwrap();
        assert_eq!((found.user.as_str(), found.password.as_str()), ("u", "p:w"));
        assert_eq!(format!("{found:?}"), "Credentials(…)");
    }

    #[rstest::rstest]
    #[case("registry.internal")]
    #[case("registry.internal:50001")]
    #[case("evil.registry.internal:5000")]
    #[case("registry.internal:5000/mod")]
    fn leaves_other_hosts_alone(#[case] key: &str) {
        assert_eq!(
            find(&serde_json::json!({"auths": {key: auth("u:p")}})),
            Ok(None)
        );
    }

    #[test]
    fn prefers_the_longest_path() {
        let config = serde_json::json!({"auths": {
            "registry.internal:5000": auth("all:p"),
            "registry.internal:5000/models/m": auth("one:p"),
            "registry.internal:5000/models": auth("some:p"),
        }});
        assert_eq!(find(&config).unwrap().unwrap().user, "one");
    }

    #[test]
    fn takes_plain_fields_too_and_refuses_what_is_broken() {
        let plain = serde_json::json!({"auths": {REGISTRY: {"username": "u", "password": "p"}}});
        assert_eq!(find(&plain).unwrap().unwrap().user, "u");
        assert_eq!(
            find(&serde_json::json!({"auths": {REGISTRY: {"auth": "%"}}})),
            Err(CredentialsError)
        );
        assert_eq!(Credentials::find(b"", REGISTRY, "m"), Err(CredentialsError));
    }
}
