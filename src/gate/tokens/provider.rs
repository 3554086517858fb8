//! A provider that signs tokens for tests.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
};
use serde_json::{Value, json};

use super::Expected;

pub(crate) const NOW: i64 = 1_800_000_000;

/// A provider with a key of each kind.
pub(crate) struct Provider {
    keys: [(Algorithm, EncodingKey); 4],
    /// The library makes no JWK of a key in the form that holds its public half.
    ed: Value,
}

pub(crate) static PROVIDER: LazyLock<Provider> = LazyLock::new(Provider::new);

impl Provider {
    pub(super) fn new() -> Self {
        let der = |kind| KeyPair::generate_for(kind).unwrap().serialize_der();
        // Behind the head of PKCS #8 is the PKCS #1 key that the library takes.
        let rsa = EncodingKey::from_rsa_der(&der(&PKCS_RSA_SHA256)[26..]);
        let p256 = EncodingKey::from_ec_der(&der(&PKCS_ECDSA_P256_SHA256));
        let p384 = EncodingKey::from_ec_der(&der(&PKCS_ECDSA_P384_SHA384));
        let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let ed = EncodingKey::from_ed_der(pair.serialized_der());
        let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
        Self {
            keys: [
                (Algorithm::RS256, rsa),
                (Algorithm::ES256, p256),
                (Algorithm::ES384, p384),
                (Algorithm::EdDSA, ed),
            ],
            ed: json!({ "kty": "OKP", "crv": "Ed25519", "x": x }),
        }
    }

    /// The public keys, each with its algorithm's name as its id.
    pub(crate) fn jwks(&self) -> Value {
        let jwk = |(algorithm, key): &(Algorithm, EncodingKey)| {
            let mut jwk = match algorithm {
                Algorithm::EdDSA => self.ed.clone(),
                _ => {
                    serde_json::to_value(Jwk::from_encoding_key(key, *algorithm).unwrap()).unwrap()
                }
            };
            jwk["kid"] = json!(format!("{algorithm:?}"));
            jwk.as_object_mut().unwrap().remove("alg");
            jwk
        };
        json!({ "keys": self.keys.iter().map(jwk).collect::<Vec<_>>() })
    }

    pub(super) fn sign(&self, header: &str, claims: &str, algorithm: Algorithm) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", encode(header), encode(claims));
        let of_kind = |(own, _): &&(Algorithm, EncodingKey)| {
            *own == algorithm
                || (*own == Algorithm::RS256 && format!("{algorithm:?}").ends_with("S512"))
        };
        let (_, key) = self.keys.iter().find(of_kind).unwrap();
        let signature = crypto::sign(signed.as_bytes(), key, algorithm).unwrap();
        format!("{signed}.{signature}")
    }

    /// A good token with these changes; null takes a claim away.
    pub(crate) fn token(&self, changes: &Value) -> String {
        self.sign(
            r#"{"alg":"RS256","kid":"RS256"}"#,
            &claims(changes),
            Algorithm::RS256,
        )
    }
}

/// Good claims with these changes; null takes one away.
pub(super) fn claims(changes: &Value) -> String {
    let mut claims = json!({
        "iss": "https://sso", "aud": "assistant", "exp": NOW + 300, "iat": NOW, "sub": "ada",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    claims.to_string()
}

pub(crate) fn expected() -> Expected {
    Expected {
        issuer: "https://sso".to_owned(),
        audiences: vec!["other".to_owned(), "assistant".to_owned()],
        user_claim: "sub".to_owned(),
    }
}
