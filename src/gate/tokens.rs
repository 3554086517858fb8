//! Tokens of an OpenID provider: signed JWTs (RFC 7519), checked as RFC 8725 says, without asking anybody.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, crypto};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::jwks::{KeySet, MAX_FILE, Thumbprint};
use super::mounted::{self, Mounted};
use crate::seal::wire::TokenKeys;

/// Largest token in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;
/// Longest name of a person in bytes.
pub const MAX_PERSON: usize = 256;
/// Seconds by which the provider's clock may be ahead, for `nbf` and `iat`. `exp` holds to the second.
pub const LEEWAY: f64 = 30.0;

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

/// Whom a token names, for the audit: not empty, bounded, and of characters that show as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person(String);

/// A token that was accepted, without its text: who signed it, and until when it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenPass {
    signer: Thumbprint,
    /// `exp`: seconds since 1970 (RFC 7519, section 2).
    expires: f64,
}

/// What a token must say.
#[derive(Clone, Debug)]
pub struct Expected {
    /// `iss`, exactly.
    pub issuer: String,
    /// `aud` is or holds one of these.
    pub audiences: Vec<String>,
    /// The claim that names the person.
    pub user_claim: String,
}

/// Where the keys are, and what tokens must say.
#[derive(Clone, Debug)]
pub struct Config {
    /// A JWK Set in a mounted ConfigMap.
    pub file: PathBuf,
    /// The claims.
    pub expected: Expected,
}

/// Why a token is not accepted. Nothing of the token is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nobody's token can be checked.
    #[error("no token can be checked yet: the key set is missing")]
    KeySetMissing,
    /// Its form.
    #[error("the token is no signed JWT of at most {MAX_TOKEN} bytes")]
    Form,
    /// `alg`.
    #[error("the token is signed with an algorithm that is not accepted")]
    Algorithm,
    /// `crit`: extensions that must be understood, and none is.
    #[error("the token has critical extensions")]
    Critical,
    /// `typ`.
    #[error("the token is no access or ID token")]
    Type,
    /// `kid`, or several keys fit.
    #[error("no key of the key set is the one of the token")]
    Key,
    /// The signature.
    #[error("the signature of the token is wrong")]
    Signature,
    /// `iss`.
    #[error("the token is of another issuer")]
    Issuer,
    /// `aud`.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` is past.
    #[error("the token has expired: get a new one")]
    Expired,
    /// `exp` is not there, or a time is no number.
    #[error("the token has no time at which it expires, or a time that is no number")]
    Times,
    /// `nbf` or `iat` is to come.
    #[error("the token is not valid yet")]
    NotYet,
    /// The user's claim.
    #[error("the claim that names the user is missing or cannot be used")]
    Person,
}

impl TokenError {
    /// The error's `code` in the answer.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::KeySetMissing => "KeySetMissing",
            Self::Expired => "expired_token",
            _ => "invalid_token",
        }
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
pub fn verify(
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

fn decoded<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let text = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Form)?;
    serde_json::from_slice(&text).map_err(|_| TokenError::Form)
}

fn bears_access(typ: &str) -> bool {
    let short = typ.to_ascii_lowercase();
    ["jwt", "at+jwt"].contains(&short.strip_prefix("application/").unwrap_or(&short))
}

fn check(
    claims: &Map<String, Value>,
    expected: &Expected,
    now: Timestamp,
) -> Result<(Person, f64), TokenError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(&expected.issuer) {
        return Err(TokenError::Issuer);
    }
    let wanted = |one: &Value| {
        one.as_str()
            .is_some_and(|one| expected.audiences.iter().any(|a| a == one))
    };
    let for_us = match claims.get("aud") {
        Some(Value::Array(several)) => several.iter().any(wanted),
        Some(one) => wanted(one),
        None => false,
    };
    if !for_us {
        return Err(TokenError::Audience);
    }
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(TokenError::Times),
    };
    let now = now.as_duration().as_secs_f64();
    let expires = time("exp")?.ok_or(TokenError::Times)?;
    if now >= expires {
        return Err(TokenError::Expired);
    }
    for name in ["nbf", "iat"] {
        if time(name)?.is_some_and(|begin| begin > now + LEEWAY) {
            return Err(TokenError::NotYet);
        }
    }
    // An address that nobody has verified is whatever the user wrote.
    let unverified = claims
        .get("email_verified")
        .is_some_and(|verified| *verified != Value::Bool(true));
    if expected.user_claim == "email" && unverified {
        return Err(TokenError::Person);
    }
    text(&expected.user_claim)
        .and_then(Person::parse)
        .map(|person| (person, expires))
        .ok_or(TokenError::Person)
}

impl TokenPass {
    /// For how long it has expired; `None` while it holds.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> Option<Duration> {
        let past = now.as_duration().as_secs_f64() - self.expires;
        (past >= 0.0).then(|| Duration::try_from_secs_f64(past).unwrap_or(Duration::MAX))
    }
}

impl Person {
    /// A name. One that is too long is refused and not cut, so that no two persons become one.
    fn parse(name: &str) -> Option<Self> {
        let shows = |c: char| !c.is_control() && !HIDDEN.iter().any(|range| range.contains(&c));
        let fits = (1..=MAX_PERSON).contains(&name.len()) && name.chars().all(shows);
        fits.then(|| Self(name.to_owned()))
    }

    /// As the token has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that show as nothing or turn the line around: two names could look the same.
const HIDDEN: [std::ops::RangeInclusive<char>; 5] = [
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{e0000}'..='\u{e007f}',
];

/// The provider's keys, read again and again, since the platform replaces them while the gate runs.
#[derive(Debug)]
pub struct Tokens {
    dir: Mounted,
    file: PathBuf,
    expected: Expected,
    known: RwLock<Known>,
    /// Of the file that was read last.
    hash: Mutex<Option<[u8; 32]>>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    keys: Arc<KeySet>,
    /// The newest file is no key set: these keys are of the one before.
    outdated: bool,
}

impl Tokens {
    /// Reads the keys for the first time.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let dir = config.file.parent().unwrap_or(Path::new("/")).to_owned();
        let tokens = Self {
            dir: Mounted::new(dir),
            file: config.file,
            expected: config.expected,
            known: RwLock::default(),
            hash: Mutex::default(),
        };
        tokens.reload();
        tokens
    }

    /// Reads the file again. Without it there is no key; one that is no key set leaves the keys as they are.
    pub fn reload(&self) {
        let name = self.file.file_name().unwrap_or_default();
        let read = |dir: &Path| mounted::read(&dir.join(name), MAX_FILE);
        let Some(read) = self.dir.when_changed(read) else {
            return;
        };
        let text = read
            .inspect_err(|error| {
                let file = self.file.display();
                tracing::warn!(%error, %file, "failed to read the key set: no token is accepted");
            })
            .ok();
        let new = text.as_ref().map(|text| Sha256::digest(text).into());
        let mut hash = self.hash.lock().unwrap_or_else(PoisonError::into_inner);
        if *hash == new {
            return;
        }
        *hash = new;
        let keys = text
            .as_deref()
            .map_or_else(|| Ok(KeySet::default()), KeySet::parse);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match keys {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "the key set of tokens changed");
                *known = Known {
                    keys: Arc::new(keys),
                    outdated: false,
                };
            }
            Err(error) => {
                tracing::error!(%error, "failed to read the key set: the one before holds");
                known.outdated = true;
            }
        }
    }

    /// What is to be said about the keys.
    #[must_use]
    pub fn keys(&self) -> TokenKeys {
        let known = self.known();
        match (known.keys.is_empty(), known.outdated) {
            (true, _) => TokenKeys::Missing,
            (false, true) => TokenKeys::Outdated,
            (false, false) => TokenKeys::Good,
        }
    }

    /// Where the keys should be.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whom the token names, and what is remembered of it.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn check(&self, token: &[u8], now: Timestamp) -> Result<(Person, TokenPass), TokenError> {
        let keys = self.known().keys;
        if keys.is_empty() {
            return Err(TokenError::KeySetMissing);
        }
        verify(token, &keys, &self.expected, now)
    }

    /// Whether the key that signed a token is still in the key set, as it was read last.
    #[must_use]
    pub fn knows_signer(&self, pass: &TokenPass) -> bool {
        self.known().keys.has(&pass.signer)
    }

    fn known(&self) -> Known {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
pub(super) mod tests;
