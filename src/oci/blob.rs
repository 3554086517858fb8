//! A blob's bytes as they come.

use bytes::Bytes;
use reqwest::Response;

use super::connect::classify;
use super::{Authority, RegistryError};

/// A body that is held to its length.
pub struct Blob {
    /// The offset at which it begins.
    pub first: u64,
    pub(super) response: Response,
    /// Bytes still to come.
    pub(super) remaining: u64,
    /// The offset at which it ends.
    pub(super) expected: u64,
    pub(super) authority: Authority,
}

impl Blob {
    /// The next piece; `None` after exactly as many bytes as were promised.
    ///
    /// # Errors
    /// [`RegistryError::TooLong`], [`RegistryError::TooShort`], or what the connection did.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let host = || self.authority.to_string();
        let expected = self.expected;
        let chunk = self
            .response
            .chunk()
            .await
            .map_err(|e| classify(&e, &self.authority))?;
        match chunk {
            None if self.remaining > 0 => Err(RegistryError::TooShort {
                host: host(),
                expected,
            }),
            None => Ok(None),
            Some(chunk) => {
                self.remaining =
                    self.remaining
                        .checked_sub(chunk.len() as u64)
                        .ok_or_else(|| RegistryError::TooLong {
                            host: host(),
                            expected,
                        })?;
                Ok(Some(chunk))
            }
        }
    }
}
