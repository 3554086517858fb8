//! Who may give orders: DSSE envelopes signed with ECDSA P-256.
//!
//! Source: DSSE v1.0.2 (github.com/secure-systems-lab/dsse, protocol.md and envelope.md).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::wire::{Envelope, Signature};

/// The payload type of a [`Challenge`](super::wire::Challenge).
pub const CHALLENGE: &str = "application/vnd.sealroom.challenge.v1+json";
/// The payload type of a [`ControlOrder`](super::wire::ControlOrder).
pub const CONTROL: &str = "application/vnd.sealroom.control.v1+json";

/// Most signatures that are looked at: two keys sign while one replaces the other.
const MAX_SIGNATURES: usize = 4;
/// Most keys that are trusted at once: the old one and the new one of a rotation.
const MAX_KEYS: usize = 2;

/// Why a key or an envelope is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The text is no P-256 private key.
    #[error("failed to read signing key: expected a P-256 key as PKCS#8 or SEC1 PEM")]
    PrivateKey,
    /// The text is no P-256 public key.
    #[error("failed to read public key: expected a P-256 key as SPKI PEM (BEGIN PUBLIC KEY)")]
    PublicKey,
    /// None, or more than two.
    #[error("failed to read trusted keys: expected one or two, found {found}")]
    KeyCount {
        /// How many there were.
        found: usize,
    },
    /// The message cannot be written as JSON, or the key as PEM.
    #[error("failed to encode message")]
    Encode,
    /// A good signature over something else proves nothing here.
    #[error("failed to open envelope: expected payload type {expected}")]
    PayloadType {
        /// The type that the receiver takes.
        expected: &'static str,
    },
    /// Payload or signature is no base64.
    #[error("failed to open envelope: not base64")]
    Base64,
    /// There are more signatures than anybody needs.
    #[error("failed to open envelope: more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// No signature is by a trusted key.
    #[error("failed to open envelope: no signature by a trusted key")]
    Untrusted,
    /// The signed bytes are not the message that was expected.
    #[error("failed to open envelope: the signed message does not parse: {detail}")]
    Payload {
        /// What the JSON parser says, without the message's own text.
        detail: String,
    },
}

/// DSSE's pre-authentication encoding: `DSSEv1 <len> <type> <len> <body>`, lengths in decimal bytes.
#[must_use]
pub fn pae(payload_type: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

/// The private half: only the operator has one. Its `Debug` and its errors show nothing of it.
#[derive(Clone, Debug)]
pub struct SigningKey(p256::ecdsa::SigningKey);

impl SigningKey {
    /// A new key from the kernel's random numbers.
    #[must_use]
    pub fn generate() -> Self {
        Self(p256::ecdsa::SigningKey::generate_from_rng(&mut rand::rng()))
    }

    /// From PEM, PKCS#8 (`BEGIN PRIVATE KEY`) or SEC1 (`BEGIN EC PRIVATE KEY`).
    ///
    /// # Errors
    /// [`SignError::PrivateKey`] for anything else, other curves too.
    pub fn from_pem(pem: &str) -> Result<Self, SignError> {
        p256::SecretKey::from_pem(pem.trim())
            .map(|secret| Self(secret.into()))
            .map_err(|_| SignError::PrivateKey)
    }

    /// As PKCS#8 PEM, lines end with `\n`.
    ///
    /// # Errors
    /// [`SignError::Encode`] should the encoder fail.
    pub fn to_pkcs8_pem(&self) -> Result<String, SignError> {
        // The Zeroizing copy goes with this call; the caller's text goes into a Secret.
        self.0
            .to_pkcs8_pem(LineEnding::LF)
            .map(|pem| pem.as_str().to_owned())
            .map_err(|_| SignError::Encode)
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(*self.0.verifying_key())
    }

    /// `message` as JSON in a signed envelope.
    ///
    /// # Errors
    /// [`SignError::Encode`] when `message` cannot be JSON or a key cannot be encoded.
    pub fn sign(
        &self,
        payload_type: &str,
        message: &impl Serialize,
    ) -> Result<Envelope, SignError> {
        let body = serde_json::to_vec(message).map_err(|_| SignError::Encode)?;
        let signature: p256::ecdsa::Signature = self
            .0
            .try_sign(&pae(payload_type, &body))
            .map_err(|_| SignError::Encode)?;
        Ok(Envelope {
            payload_type: payload_type.to_owned(),
            payload: STANDARD.encode(&body),
            signatures: vec![Signature {
                keyid: self.verifying_key().key_id()?,
                sig: STANDARD.encode(signature.to_bytes()),
            }],
        })
    }
}

/// The public half of a [`SigningKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyingKey(p256::ecdsa::VerifyingKey);

impl VerifyingKey {
    /// From SPKI PEM (`BEGIN PUBLIC KEY`).
    ///
    /// # Errors
    /// [`SignError::PublicKey`] for anything else, other curves too.
    pub fn from_pem(pem: &str) -> Result<Self, SignError> {
        p256::ecdsa::VerifyingKey::from_public_key_pem(pem.trim())
            .map(Self)
            .map_err(|_| SignError::PublicKey)
    }

    /// As SPKI PEM, lines end with `\n`.
    ///
    /// # Errors
    /// [`SignError::Encode`] should the encoder fail.
    pub fn to_pem(&self) -> Result<String, SignError> {
        self.0
            .to_public_key_pem(LineEnding::LF)
            .map_err(|_| SignError::Encode)
    }

    /// The first 16 hex digits of the SHA-256 of the SPKI DER.
    ///
    /// # Errors
    /// [`SignError::Encode`] should the encoder fail.
    pub fn key_id(&self) -> Result<String, SignError> {
        let der = self.0.to_public_key_der().map_err(|_| SignError::Encode)?;
        let hash = Sha256::digest(der.as_bytes());
        Ok(hash[..8].iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// The one or two keys whose orders are obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKeys(Vec<VerifyingKey>);

impl TrustedKeys {
    /// From one or two PEM texts with one key each.
    ///
    /// # Errors
    /// [`SignError::KeyCount`] or [`SignError::PublicKey`].
    pub fn from_pems<S: AsRef<str>>(pems: &[S]) -> Result<Self, SignError> {
        if pems.is_empty() || pems.len() > MAX_KEYS {
            return Err(SignError::KeyCount { found: pems.len() });
        }
        pems.iter()
            .map(|pem| VerifyingKey::from_pem(pem.as_ref()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// From one text that holds one or two PEM blocks, one after the other.
    ///
    /// # Errors
    /// [`SignError::KeyCount`] or [`SignError::PublicKey`]; text outside the blocks is refused too.
    pub fn from_text(text: &str) -> Result<Self, SignError> {
        const END: &str = "-----END PUBLIC KEY-----";
        let blocks: Vec<&str> = text
            .split_inclusive(END)
            .map(str::trim)
            .filter(|block| !block.is_empty())
            .collect();
        Self::from_pems(&blocks)
    }

    /// The message in `envelope`, once a trusted key is seen to have signed exactly these bytes as this type.
    ///
    /// Nothing of the payload is parsed before that.
    ///
    /// # Errors
    /// The last five of [`SignError`].
    pub fn open<T: DeserializeOwned>(
        &self,
        payload_type: &'static str,
        envelope: &Envelope,
    ) -> Result<T, SignError> {
        if envelope.payload_type != payload_type {
            return Err(SignError::PayloadType {
                expected: payload_type,
            });
        }
        if envelope.signatures.len() > MAX_SIGNATURES {
            return Err(SignError::TooManySignatures);
        }
        let body = decode(&envelope.payload)?;
        let signed = pae(payload_type, &body);
        let mut trusted = false;
        for signature in &envelope.signatures {
            let bytes = decode(&signature.sig)?;
            // A signature by a key that we do not know, of whatever algorithm, is no error (DSSE protocol.md).
            let Ok(signature) = p256::ecdsa::Signature::from_slice(&bytes) else {
                continue;
            };
            trusted |= self
                .0
                .iter()
                .any(|key| key.0.verify(&signed, &signature).is_ok());
        }
        if !trusted {
            return Err(SignError::Untrusted);
        }
        serde_json::from_slice(&body).map_err(|error| SignError::Payload {
            detail: format!("line {} column {}", error.line(), error.column()),
        })
    }
}

/// DSSE lets a sender use either alphabet.
fn decode(text: &str) -> Result<Vec<u8>, SignError> {
    STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE.decode(text))
        .map_err(|_| SignError::Base64)
}

#[cfg(test)]
mod tests;
