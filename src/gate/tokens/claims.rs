//! What a token says, and whom it names; pure.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::error::TokenError;

/// Longest name of a person in bytes.
const MAX_PERSON: usize = 256;
/// Seconds by which the provider's clock may be ahead, for `nbf` and `iat`. `exp` holds to the second.
const LEEWAY: f64 = 30.0;

/// Whom a token names, for the audit: not empty, bounded, and of characters that show as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person(String);

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

/// Whom these claims name, and until when, where they are as they must be at the time `now`.
///
/// # Errors
/// [`TokenError`].
pub(super) fn check(
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
