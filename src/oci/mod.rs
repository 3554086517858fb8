//! Registries and the manifests they serve.
//!
//! The client is a thin one over `reqwest`: it needs what general clients leave out (the exact
//! `Content-Range`, sizes held to the descriptor, credentials and connections for declared hosts
//! only) and nothing of what they add.

mod authority;
mod blob;
mod challenge;
mod client;
mod connect;
mod credentials;
mod error;
mod manifest;
mod range;
mod token;

pub use authority::{Authority, AuthorityError};
pub use blob::Blob;
pub use client::Registry;
pub use connect::Connection;
pub use credentials::{Credentials, CredentialsError};
pub use error::RegistryError;
pub use manifest::{ManifestError, Weights, weights_of};
