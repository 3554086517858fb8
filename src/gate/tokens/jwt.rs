//! The form of a token, its algorithm and its signature; pure.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, crypto};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny};

use super::claims::{Expected, Person, check};
use super::error::TokenError;
use crate::gate::jwks::{KeySet, Thumbprint};

/// Largest token in bytes.
pub(super) const MAX_TOKEN: usize = 16 * 1024;

/// Signatures that anybody can verify and only the provider can make. Never `none`, never a shared secret.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// A token that was accepted, without its text: who signed it, and until when it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenPass {
    pub(super) signer: Thumbprint,
    /// `exp`: seconds since 1970 (RFC 7519, section 2).
    expires: f64,
}

impl TokenPass {
    /// For how long it has expired; `None` while it holds.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> Option<Duration> {
        let past = now.as_duration().as_secs_f64() - self.expires;
        (past >= 0.0).then(|| Duration::try_from_secs_f64(past).unwrap_or(Duration::MAX))
    }
}

/// The members of a JOSE header that decide (RFC 7515, section 4.1). One that is there twice is an error.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default, deserialize_with = "there")]
    crit: bool,
}

fn there<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

/// Verifies a token at the time `now`.
///
/// # Errors
/// [`TokenError`]. The claims are looked at only when the signature is right.
pub(super) fn verify(
    token: &[u8],
    keys: &KeySet,
    expected: &Expected,
    now: Timestamp,
) -> Result<(Person, TokenPass), TokenError> {
    let (signed, header, claims, signature) = split(token).ok_or(TokenError::Form)?;
    let header: Header = decoded(header)?;
    if header.crit {
        return Err(TokenError::Critical);
    }
    let accepted = ALGORITHMS.iter().find(|(name, _)| *name == header.alg);
    let (_, algorithm) = accepted.ok_or(TokenError::Algorithm)?;
    // What is made for other purposes, such as a logout token, says so (RFC 8725, section 3.11).
    if !header.typ.as_deref().is_none_or(bears_access) {
        return Err(TokenError::Type);
    }
    let key = keys.find(header.kid.as_deref(), *algorithm);
    let (key, signer) = key.ok_or(TokenError::Key)?;
    match crypto::verify(signature, signed.as_bytes(), key, *algorithm) {
        Ok(true) => {
            let (person, expires) = check(&decoded(claims)?, expected, now)?;
            let signer = signer.clone();
            Ok((person, TokenPass { signer, expires }))
        }
        Ok(false) | Err(_) => Err(TokenError::Signature),
    }
}

/// The signed part, and the three parts of the compact form (RFC 7515, section 7.1).
fn split(token: &[u8]) -> Option<(&str, &str, &str, &str)> {
    let token = std::str::from_utf8(token).ok()?;
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    (token.len() <= MAX_TOKEN && !claims.contains('.'))
        .then_some((signed, header, claims, signature))
}

/// Whether it looks like a token rather than an API key.
#[must_use]
pub fn is_jwt(text: &[u8]) -> bool {
    split(text).is_some_and(|(_, header, ..)| decoded::<Header>(header).is_ok())
}

fn decoded<T: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let text = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Form)?;
    serde_json::from_slice(&text).map_err(|_| TokenError::Form)
}

fn bears_access(typ: &str) -> bool {
    let short = typ.to_ascii_lowercase();
    ["jwt", "at+jwt"].contains(&short.strip_prefix("application/").unwrap_or(&short))
}
