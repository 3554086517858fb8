//! The public keys of an OpenID provider: a JWK Set (RFC 7517, section 5); pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse, ThumbprintHash,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

/// Largest key set in bytes.
pub const MAX_FILE: usize = 256 * 1024;
/// Most keys of a set.
pub const MAX_KEYS: usize = 64;
/// Bits of an RSA modulus (RFC 7518, section 3.3, and what the library can take).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The keys that can verify a signature.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
    print: Thumbprint,
}

/// Which key it is, whatever its id is (RFC 7638, with SHA-256).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbprint(String);

/// A file that is no key set.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Its size.
    #[error("more than {MAX_FILE} bytes")]
    TooLarge,
    /// Its keys.
    #[error("more than {MAX_KEYS} keys")]
    TooMany,
    /// Its text.
    #[error("no JWK Set: {0}")]
    Json(#[from] serde_json::Error),
}

/// Why a key of a set is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unfit {
    #[error("no JWK that is known here")]
    Unknown,
    #[error("not made for verifying signatures")]
    Purpose,
    #[error("its kind, curve or algorithm is not accepted")]
    Kind,
    #[error("its size is not accepted: an RSA key has 2048 to 8192 bits")]
    Size,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Reads a key set. A key that cannot verify a signature is left out, as the RFC says, and logged.
    ///
    /// # Errors
    /// [`KeySetError`]; nothing of the file is in it.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        if text.len() > MAX_FILE {
            return Err(KeySetError::TooLarge);
        }
        let document: Document = serde_json::from_slice(text)?;
        if document.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut keys = Vec::new();
        for (index, value) in document.keys.into_iter().enumerate() {
            match Key::read(value) {
                Ok(key) => keys.push(key),
                Err(why) => tracing::warn!(index, %why, "a key of the key set is not used"),
            }
        }
        Ok(Self(keys))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody's signature can be verified.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key for a token of this algorithm: the one of this id, or without an id the only one that fits.
    #[must_use]
    pub fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Option<(&DecodingKey, &Thumbprint)> {
        let fits = |key: &&Key| {
            id.is_none_or(|id| key.id.as_deref() == Some(id)) && key.algorithms.contains(&algorithm)
        };
        let mut fitting = self.0.iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Some((&key.key, &key.print)),
            _ => None,
        }
    }

    /// Whether this key is in it.
    #[must_use]
    pub fn has(&self, print: &Thumbprint) -> bool {
        self.0.iter().any(|key| key.print == *print)
    }
}

impl Key {
    fn read(value: serde_json::Value) -> Result<Self, Unfit> {
        let jwk: Jwk = serde_json::from_value(value).map_err(|_| Unfit::Unknown)?;
        let common = &jwk.common;
        let for_signatures = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
        let verifies = |operations: &Vec<_>| operations.contains(&KeyOperations::Verify);
        if !for_signatures || !common.key_operations.as_ref().is_none_or(verifies) {
            return Err(Unfit::Purpose);
        }
        let declared = |algorithm: &Algorithm| {
            common
                .key_algorithm
                .is_none_or(|declared| declared == (*algorithm).into())
        };
        let algorithms: Vec<Algorithm> = fitting(&jwk.algorithm)?
            .iter()
            .copied()
            .filter(declared)
            .collect();
        if algorithms.is_empty() {
            return Err(Unfit::Kind);
        }
        Ok(Self {
            key: DecodingKey::from_jwk(&jwk).map_err(|_| Unfit::Unknown)?,
            print: jwk
                .thumbprint(ThumbprintHash::SHA256)
                .map(Thumbprint)
                .map_err(|_| Unfit::Unknown)?,
            id: jwk.common.key_id,
            algorithms,
        })
    }
}

/// The algorithms that a key of this kind can verify. A symmetric key (`oct`) is none of a provider's public keys.
fn fitting(parameters: &AlgorithmParameters) -> Result<&'static [Algorithm], Unfit> {
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Unfit::Unknown);
    let sized = |length: usize, parts: &[&String], algorithms: &'static [Algorithm]| {
        let fits = |part: &&String| bytes(part).is_ok_and(|bytes| bytes.len() == length);
        parts
            .iter()
            .all(fits)
            .then_some(algorithms)
            .ok_or(Unfit::Size)
    };
    match parameters {
        AlgorithmParameters::RSA(rsa) => {
            let bits = bits(&bytes(&rsa.n)?);
            RSA_BITS.contains(&bits).then_some(RSA).ok_or(Unfit::Size)
        }
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => sized(32, &[&ec.x, &ec.y], &[Algorithm::ES256]),
            EllipticCurve::P384 => sized(48, &[&ec.x, &ec.y], &[Algorithm::ES384]),
            _ => Err(Unfit::Kind),
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            sized(32, &[&pair.x], &[Algorithm::EdDSA])
        }
        _ => Err(Unfit::Kind),
    }
}

/// Bits of a number, big end first.
fn bits(number: &[u8]) -> usize {
    let mut rest = number.iter().skip_while(|byte| **byte == 0);
    rest.next().map_or(0, |first| {
        let leading = usize::try_from(first.leading_zeros()).unwrap_or_default();
        8 * (rest.count() + 1) - leading
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn number(bytes: usize) -> String {
        URL_SAFE_NO_PAD.encode(vec![0xc1; bytes])
    }

    fn rsa(bytes: usize, more: serde_json::Value) -> serde_json::Value {
        let mut key = json!({ "kty": "RSA", "n": number(bytes), "e": "AQAB" });
        key.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        key
    }

    fn ec(curve: &str, bytes: usize) -> serde_json::Value {
        json!({ "kty": "EC", "crv": curve, "x": number(bytes), "y": number(bytes) })
    }

    #[rstest::rstest]
    #[case::rsa(rsa(256, json!({})), Ok(6))]
    #[case::for_signatures(rsa(256, json!({ "use": "sig", "alg": "RS256", "x5c": ["MIIC"] })), Ok(1))]
    #[case::to_verify(rsa(256, json!({ "key_ops": ["verify"], "alg": "PS512" })), Ok(1))]
    #[case::for_encryption(rsa(256, json!({ "use": "enc" })), Err(Unfit::Purpose))]
    #[case::for_something(rsa(256, json!({ "use": "tls" })), Err(Unfit::Purpose))]
    #[case::to_wrap(rsa(256, json!({ "key_ops": ["wrapKey"] })), Err(Unfit::Purpose))]
    #[case::encrypts(rsa(256, json!({ "alg": "RSA-OAEP" })), Err(Unfit::Kind))]
    #[case::algorithm_of_another_kind(rsa(256, json!({ "alg": "ES256" })), Err(Unfit::Kind))]
    #[case::symmetric_algorithm(rsa(256, json!({ "alg": "HS256" })), Err(Unfit::Kind))]
    #[case::unknown_algorithm(rsa(256, json!({ "alg": "RS1" })), Err(Unfit::Kind))]
    #[case::rsa_1024(rsa(128, json!({})), Err(Unfit::Size))]
    #[case::rsa_2040(rsa(255, json!({})), Err(Unfit::Size))]
    #[case::rsa_zeros(rsa(255, json!({ "n": "A".repeat(342) })), Err(Unfit::Size))]
    #[case::rsa_16384(rsa(2048, json!({})), Err(Unfit::Size))]
    #[case::rsa_in_plain_base64(rsa(256, json!({ "n": "+/==" })), Err(Unfit::Unknown))]
    #[case::p256(ec("P-256", 32), Ok(1))]
    #[case::p384(ec("P-384", 48), Ok(1))]
    #[case::p256_short(ec("P-256", 31), Err(Unfit::Size))]
    #[case::p521(ec("P-521", 66), Err(Unfit::Kind))]
    #[case::koblitz(ec("secp256k1", 32), Err(Unfit::Kind))]
    #[case::ed25519(json!({ "kty": "OKP", "crv": "Ed25519", "x": number(32) }), Ok(1))]
    #[case::ed448(json!({ "kty": "OKP", "crv": "Ed448", "x": number(57) }), Err(Unfit::Kind))]
    #[case::symmetric(json!({ "kty": "oct", "k": number(32) }), Err(Unfit::Kind))]
    #[case::new(json!({ "kty": "AKP", "pub": number(32) }), Err(Unfit::Kind))]
    #[case::no_key(json!("key"), Err(Unfit::Unknown))]
    fn keys(#[case] key: serde_json::Value, #[case] algorithms: Result<usize, Unfit>) {
        let read = Key::read(key.clone()).map(|key| key.algorithms.len());
        assert_eq!(read, algorithms);
        let set = KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
        assert_eq!(set.len(), usize::from(algorithms.is_ok()), "left out alone");
    }

    #[rstest::rstest]
    #[case::empty("")]
    #[case::text("not json")]
    #[case::list("[]")]
    #[case::no_keys(r#"{"issuer":"x"}"#)]
    #[case::one_key(r#"{"kty":"oct","k":"AA"}"#)]
    #[case::too_many(&format!(r#"{{"keys":[{}0]}}"#, "0,".repeat(MAX_KEYS)))]
    #[case::too_large(&format!(r#"{{"keys":[]{}}}"#, " ".repeat(MAX_FILE)))]
    fn other_files_are_no_key_sets(#[case] text: &str) {
        assert!(KeySet::parse(text.as_bytes()).is_err());
    }

    #[test]
    fn an_id_selects_and_without_one_a_single_key_must_fit() {
        let key = |kid: &str, alg: &str| rsa(256, json!({ "kid": kid, "alg": alg }));
        let twins = json!({ "keys": [key("a", "RS256"), key("b", "RS256"), key("b", "PS256")] });
        let set = KeySet::parse(twins.to_string().as_bytes()).unwrap();
        let found = |id, algorithm| set.find(id, algorithm).is_some();
        assert!(found(Some("a"), Algorithm::RS256));
        assert!(
            found(Some("b"), Algorithm::PS256),
            "the algorithm tells them apart"
        );
        assert!(!found(Some("a"), Algorithm::PS256));
        assert!(!found(Some("c"), Algorithm::RS256));
        assert!(found(None, Algorithm::PS256));
        assert!(!found(None, Algorithm::RS256), "two fit");
        assert!(!found(None, Algorithm::ES256));
    }
}
