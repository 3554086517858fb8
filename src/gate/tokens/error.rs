//! Why a token is not accepted.

use super::jwt::MAX_TOKEN;

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
