//! Who asks: everybody that the network lets in, the holder of an API key, or a person with a token.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;

use super::answer::Refusal;
use super::keys::{KeyId, KeyPass, Keys, Wrong};
use super::tokens::{self, Person, TokenError, TokenPass, Tokens};
use crate::seal::wire::TokenKeys;

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody is asked who they are.
    Anyone,
    /// The holder of this key.
    Key(KeyId),
    /// The person that a token names.
    Person(Person),
}

impl Caller {
    /// A short text that is the same for the same caller, and another for every other one: what is counted by caller
    /// is counted by it.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Anyone => "anyone".to_owned(),
            Self::Key(key) => format!("key/{}", key.0),
            Self::Person(person) => format!("person/{}", person.as_str()),
        }
    }
}

/// What a caller has shown, to ask later whether it would still be let in. No key and no token is in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Pass {
    /// Nobody is asked who they are.
    Anyone,
    /// A key.
    Key(KeyPass),
    /// A token.
    Token(TokenPass),
}

/// What has become of a [`Pass`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It is accepted.
    Holds,
    /// The time of the token is over, since so long: whom it names may have a newer one.
    Expired(Duration),
    /// It was withdrawn: the key is gone, is another one or has ended, or nobody vouches for the token any more.
    Withdrawn,
}

/// Who may ask.
#[derive(Debug)]
pub struct Callers {
    keys: Option<Keys>,
    tokens: Option<Tokens>,
}

impl Callers {
    /// With neither, everybody that the network lets in may ask; with both, either is accepted.
    #[must_use]
    pub fn new(keys: Option<PathBuf>, tokens: Option<tokens::Config>) -> Self {
        Self {
            keys: keys.map(Keys::new),
            tokens: tokens.map(Tokens::new),
        }
    }

    /// Reads the mounted files again.
    pub fn reload(&self) {
        self.keys.iter().for_each(Keys::reload);
        self.tokens.iter().for_each(Tokens::reload);
    }

    /// Text for the admin port when somebody is asked for what nobody can have: not one is let in.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let keys = self.keys.as_ref().map(|keys| {
            let none = keys.is_empty();
            none.then(|| format!("SecretMissing: no API key in {}", keys.dir().display()))
        });
        let tokens = self.tokens.as_ref().map(|tokens| {
            let none = tokens.keys() == TokenKeys::Missing;
            none.then(|| format!("KeySetMissing: no key in {}", tokens.file().display()))
        });
        let asked = [keys, tokens].into_iter().flatten();
        let missing = asked.collect::<Option<Vec<String>>>()?;
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    /// What the operator is told about the keys of tokens.
    #[must_use]
    pub fn token_keys(&self) -> TokenKeys {
        let tokens = self.tokens.as_ref();
        tokens.map_or(TokenKeys::Good, Tokens::keys)
    }

    /// Checks the bearer token of a request (RFC 6750, section 2.1), which is an API key or a JWT.
    ///
    /// # Errors
    /// 401, also when nobody can have what is asked for.
    pub fn check(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        self.admit(headers).map(|(caller, _)| caller)
    }

    /// The same, with what to ask [`Self::validity`] about as long as the caller stays.
    ///
    /// # Errors
    /// Those of [`Self::check`].
    pub fn admit(&self, headers: &HeaderMap) -> Result<(Caller, Pass), Refusal> {
        self.check_at(headers, Timestamp::now())
    }

    /// What has become of a pass, by the files that were read last.
    #[must_use]
    pub fn validity(&self, pass: &Pass, now: Timestamp) -> Validity {
        let holds = match pass {
            Pass::Anyone => true,
            Pass::Key(key) => self.keys.as_ref().is_some_and(|keys| keys.holds(key, now)),
            Pass::Token(token) => {
                let tokens = self.tokens.as_ref();
                let known = tokens.is_some_and(|tokens| tokens.knows_signer(token));
                if let Some(since) = token.expired(now).filter(|_| known) {
                    return Validity::Expired(since);
                }
                known
            }
        };
        if holds {
            Validity::Holds
        } else {
            Validity::Withdrawn
        }
    }

    /// Whether there can be several callers that are told apart.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.tokens.is_some() || self.keys.as_ref().is_some_and(|keys| keys.len() > 1)
    }

    fn check_at(&self, headers: &HeaderMap, now: Timestamp) -> Result<(Caller, Pass), Refusal> {
        if self.keys.is_none() && self.tokens.is_none() {
            return Ok((Caller::Anyone, Pass::Anyone));
        }
        let unauthorized =
            |code, message: &str| Refusal::new(StatusCode::UNAUTHORIZED, code, message);
        if self.missing().is_some() {
            return Err(match self.keys {
                Some(_) => unauthorized(
                    "SecretMissing",
                    "no API key is configured yet: the Secret is missing",
                ),
                None => unauthorized(
                    TokenError::KeySetMissing.code(),
                    &TokenError::KeySetMissing.to_string(),
                ),
            });
        }
        let (code, message) = match (&self.keys, &self.tokens) {
            (Some(_), None) => ("invalid_api_key", "send a valid API key as a bearer token"),
            (Some(_), Some(_)) => (
                "invalid_api_key",
                "send a valid API key or the provider's token as a bearer token",
            ),
            (None, _) => (
                "invalid_token",
                "send the provider's token as a bearer token",
            ),
        };
        // Without the field nothing is wrong with it yet (RFC 6750, section 3.1).
        if !headers.contains_key(header::AUTHORIZATION) {
            return Err(unauthorized(code, message));
        }
        let refused = |code, message: &str| Err(unauthorized(code, message).invalid_token());
        let Some(sent) = bearer(headers) else {
            return refused(code, message);
        };
        match self.keys.as_ref().map(|keys| keys.check(sent, now)) {
            Some(Ok(key)) => {
                let pass = Pass::Key(Keys::pass(&key, sent));
                return Ok((Caller::Key(key), pass));
            }
            Some(Err(Wrong::Expired)) => {
                let message = "this API key has expired: ask for a new one";
                return refused("expired_api_key", message);
            }
            Some(Err(Wrong::Unknown)) | None => {}
        }
        match &self.tokens {
            Some(tokens) if self.keys.is_none() || tokens::is_jwt(sent) => {
                let person = tokens.check(sent, now);
                person
                    .map(|(person, pass)| (Caller::Person(person), Pass::Token(pass)))
                    .or_else(|error| refused(error.code(), &error.to_string()))
            }
            _ => refused(code, message),
        }
    }
}

/// What follows the scheme in the only field of that name.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let (scheme, token) = field.as_bytes().split_at_checked(7)?;
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then(|| token.trim_ascii())
}

#[cfg(test)]
#[path = "callers_tests.rs"]
mod tests;
