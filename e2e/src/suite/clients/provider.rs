//! The OpenID provider of a closed network.

use anyhow::Result;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::{Value, json};

/// The claim `iss` of its tokens. Nobody can be asked there.
pub(super) const ISSUER: &str = "https://sso.lab.internal/realms/lab";
/// The audience of the model that is asked.
pub(super) const AUDIENCE: &str = "private";

/// Who signs tokens, with one key (ES256).
pub(super) struct Provider {
    id: String,
    key: EncodingKey,
}

impl Provider {
    /// A new one, whose key has this id.
    pub fn new(id: &str) -> Result<Self> {
        Ok(Self {
            id: id.to_owned(),
            key: EncodingKey::from_ec_der(&KeyPair::generate()?.serialize_der()),
        })
    }

    /// Its public key.
    pub fn jwk(&self) -> Result<Value> {
        let jwk = Jwk::from_encoding_key(&self.key, Algorithm::ES256)?;
        let mut jwk = serde_json::to_value(jwk)?;
        jwk["kid"] = json!(self.id);
        Ok(jwk)
    }

    /// A token of a person for an audience, good for `seconds` from now.
    pub fn token(&self, person: &str, audience: &str, seconds: i64) -> Result<String> {
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({
            "iss": ISSUER, "aud": audience, "sub": person, "iat": now - 600, "exp": now + seconds,
        });
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.clone());
        Ok(jsonwebtoken::encode(&header, &claims, &self.key)?)
    }
}
