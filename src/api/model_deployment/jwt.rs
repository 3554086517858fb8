//! Tokens of an OpenID provider.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::ConfigMapRef;

/// Which tokens are accepted: signed JWTs with `iss`, `aud` and `exp`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Jwt {
    /// The provider, exactly as the claim `iss` of its tokens writes it, such as
    /// `https://sso.internal/realms/lab`. Nothing is fetched from there.
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[!-~]+$"))]
    pub issuer: String,
    /// The claim `aud` must be or hold one of these, at most 16. Name an audience that the provider gives to clients of
    /// this object only: a token for another service is then refused.
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 1, max = 256), regex(pattern = r"^[!-~]+$"))
    )]
    pub audiences: Vec<String>,
    /// The claim that names the person in the audit: a text of 1 to 256 bytes. `sub` by default. With `email` a
    /// token whose `email_verified` is there and not true is refused.
    #[serde(default = "user_claim")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[!-~]+$"))]
    pub user_claim: String,
    /// The provider's public keys.
    pub jwks: Jwks,
}

/// Where the provider's public keys are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Jwks {
    /// A ConfigMap that holds the provider's JWK Set (RFC 7517): at most 64 keys and 262,144 bytes. The pods see a
    /// change within about two minutes, without a restart. While it is missing no token is accepted.
    pub config_map_ref: ConfigMapRef,
    /// The entry of the ConfigMap. `jwks.json` by default.
    #[serde(default = "key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

fn user_claim() -> String {
    "sub".to_owned()
}

fn key() -> String {
    "jwks.json".to_owned()
}
