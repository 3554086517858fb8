//! Flags of `sealroom gate` about tokens.

use std::path::PathBuf;

use crate::gate::tokens::{Config, Expected};

/// The tokens that are accepted.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// A JWK Set with the public keys of the OpenID provider; without it no token is accepted
    #[arg(long, env = "SEALROOM_JWKS", value_name = "FILE", requires_all = ["jwt_issuer", "jwt_audience"])]
    jwks: Option<PathBuf>,
    /// The provider, as the claim iss of its tokens writes it
    #[arg(
        long,
        env = "SEALROOM_JWT_ISSUER",
        value_name = "ISSUER",
        requires = "jwks"
    )]
    jwt_issuer: Option<String>,
    /// An audience, one of which the claim aud must have; may be given several times
    #[arg(
        long,
        env = "SEALROOM_JWT_AUDIENCE",
        value_name = "AUDIENCE",
        requires = "jwks"
    )]
    jwt_audience: Vec<String>,
    /// The claim that names the person
    #[arg(
        long,
        env = "SEALROOM_JWT_USER_CLAIM",
        value_name = "CLAIM",
        default_value = "sub"
    )]
    jwt_user_claim: String,
}

impl TokenArgs {
    /// `None` where no token is asked for.
    pub fn config(self) -> Option<Config> {
        let (file, issuer) = self.jwks.zip(self.jwt_issuer)?;
        Some(Config {
            file,
            expected: Expected {
                issuer,
                audiences: self.jwt_audience,
                user_claim: self.jwt_user_claim,
            },
        })
    }
}
