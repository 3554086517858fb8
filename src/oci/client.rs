//! The client: manifests and blobs by digest.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE,
    RETRY_AFTER,
};
use reqwest::{Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};

use super::connect::classify;
use super::{Authority, Blob, Connection, Credentials, RegistryError, range};
use crate::types::{Digest, ImageRef};

/// The distribution spec lets registries refuse manifests beyond 4 MiB.
const MAX_MANIFEST: usize = 4 << 20;
/// Time for a manifest or a token, however slowly it trickles.
pub(super) const SMALL: Duration = Duration::from_secs(60);
/// Longest wait that a `Retry-After` gets.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// One repository of one registry.
pub struct Registry {
    pub(super) client: reqwest::Client,
    authority: Authority,
    base: Url,
    pub(super) repository: String,
    pub(super) allow: Vec<Authority>,
    pub(super) credentials: Option<Credentials>,
    authorization: Mutex<Option<HeaderValue>>,
}

impl Registry {
    /// The repository of `reference`. Connects to nothing yet.
    ///
    /// # Errors
    /// [`RegistryError::Undeclared`] for a registry that is not among the allowed hosts,
    /// [`RegistryError::UnknownCa`] for a CA bundle without certificates.
    pub fn new(
        reference: &ImageRef,
        connection: &Connection,
        credentials: Option<Credentials>,
    ) -> Result<Self, RegistryError> {
        let undeclared = || RegistryError::Undeclared {
            host: reference.registry().to_owned(),
            why: "the registry is not declared",
        };
        let authority: Authority = reference.registry().parse().map_err(|_| undeclared())?;
        if !connection.allow.contains(&authority) {
            return Err(undeclared());
        }
        let base = format!("https://{authority}/v2/{}/", reference.repository());
        Ok(Self {
            client: connection.client(&authority)?,
            base: base.parse().map_err(|_| undeclared())?,
            repository: reference.repository().to_owned(),
            authority,
            allow: connection.allow.clone(),
            credentials,
            authorization: Mutex::new(None),
        })
    }

    /// The manifest's exact bytes, verified against `digest`.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn manifest(&self, digest: &Digest) -> Result<Bytes, RegistryError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(MANIFESTS));
        let what = format!("manifest {digest}");
        let response = self
            .get(&format!("manifests/{digest}"), &what, headers, true)
            .await?;
        if response.status() != StatusCode::OK {
            return Err(self.protocol("a manifest does not come with status 200"));
        }
        let bytes = self.small_body(response, MAX_MANIFEST).await?;
        if Digest::from_bytes(&Sha256::digest(&bytes).into()) != *digest {
            return Err(RegistryError::DigestMismatch {
                host: self.authority.to_string(),
                what,
            });
        }
        Ok(bytes)
    }

    /// A blob of `size` bytes from byte `first` on, or from its start where the registry ignores ranges.
    ///
    /// `end` (exclusive, at most `size`) asks for less than the rest.
    ///
    /// # Errors
    /// [`RegistryError`]; a length that is not the descriptor's is noticed before the body is read.
    pub async fn blob(
        &self,
        digest: &Digest,
        size: u64,
        first: u64,
        end: u64,
    ) -> Result<Blob, RegistryError> {
        let partial = first > 0 || end < size;
        let mut headers = HeaderMap::new();
        if partial {
            let range = format!("bytes={first}-{}", end.saturating_sub(1));
            if let Ok(value) = HeaderValue::from_str(&range) {
                headers.insert(RANGE, value);
            }
        }
        let what = format!("blob {digest}");
        let response = self
            .get(&format!("blobs/{digest}"), &what, headers, false)
            .await?;
        if response
            .headers()
            .get(CONTENT_ENCODING)
            .is_some_and(|value| value != "identity")
        {
            return Err(self.protocol("a blob comes in an encoding that was not asked for"));
        }
        let length = response.content_length();
        match response.status() {
            StatusCode::OK => {
                self.must_be(size, length)?;
                Ok(self.take(response, 0, size))
            }
            StatusCode::PARTIAL_CONTENT if partial => {
                let range = response
                    .headers()
                    .get(CONTENT_RANGE)
                    .and_then(|value| value.to_str().ok())
                    .and_then(range::parse)
                    .ok_or_else(|| self.protocol("a part comes without a usable Content-Range"))?;
                self.must_be(size, range.complete)?;
                let asked = (first, end.saturating_sub(1));
                let count = end.saturating_sub(first);
                if (range.first, range.last) != asked || length.is_some_and(|n| n != count) {
                    return Err(self.protocol("a part is not the range that was asked for"));
                }
                Ok(self.take(response, first, count))
            }
            StatusCode::RANGE_NOT_SATISFIABLE => Err(RegistryError::TooShort {
                host: self.authority.to_string(),
                expected: size,
            }),
            _ => Err(self.protocol("a blob does not come with status 200 or 206")),
        }
    }

    fn take(&self, response: Response, first: u64, remaining: u64) -> Blob {
        Blob {
            first,
            response,
            remaining,
            expected: first.saturating_add(remaining),
            authority: self.authority.clone(),
        }
    }

    fn must_be(&self, expected: u64, length: Option<u64>) -> Result<(), RegistryError> {
        let host = self.authority.to_string();
        match length {
            Some(length) if length > expected => Err(RegistryError::TooLong { host, expected }),
            Some(length) if length < expected => Err(RegistryError::TooShort { host, expected }),
            _ => Ok(()),
        }
    }

    pub(crate) fn protocol(&self, detail: &'static str) -> RegistryError {
        RegistryError::Protocol {
            host: self.authority.to_string(),
            detail,
        }
    }

    pub(super) fn unauthorized(&self, hint: &'static str) -> RegistryError {
        RegistryError::Unauthorized {
            host: self.authority.to_string(),
            hint,
        }
    }

    pub(super) async fn small_body(
        &self,
        mut response: Response,
        limit: usize,
    ) -> Result<Bytes, RegistryError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|e| classify(&e, &self.authority))?
        {
            if bytes.len() + chunk.len() > limit {
                return Err(self.protocol("it is larger than anything of its kind may be"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.into())
    }

    /// One request, with one answer to a 401.
    async fn get(
        &self,
        path: &str,
        what: &str,
        headers: HeaderMap,
        small: bool,
    ) -> Result<Response, RegistryError> {
        let url = self
            .base
            .join(path)
            .map_err(|_| self.protocol("its address cannot be written"))?;
        let mut answered = false;
        loop {
            let mut request = self.client.get(url.clone()).headers(headers.clone());
            if small {
                request = request.timeout(SMALL);
            }
            let authorization = self
                .authorization
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            if let Some(value) = authorization {
                request = request.header(AUTHORIZATION, value);
            }
            let response = request
                .send()
                .await
                .map_err(|e| classify(&e, &self.authority))?;
            let ours = Authority::of(response.url()).as_ref() == Some(&self.authority);
            match response.status() {
                StatusCode::UNAUTHORIZED if ours && !answered => {
                    answered = true;
                    let value = self.answer(response.headers()).await?;
                    *self
                        .authorization
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner) = Some(value);
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    return Err(self.unauthorized(self.refusal()));
                }
                StatusCode::NOT_FOUND => {
                    return Err(RegistryError::NotFound {
                        host: self.authority.to_string(),
                        what: what.to_owned(),
                    });
                }
                status => {
                    return busy(status, &response, &self.authority).map_or(Ok(response), Err);
                }
            }
        }
    }
}

/// The error of a status that asks for patience; `None` for any other.
pub(super) fn busy(
    status: StatusCode,
    response: &Response,
    host: &Authority,
) -> Option<RegistryError> {
    let patience = matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
    );
    if !patience && !status.is_server_error() {
        return None;
    }
    // A date instead of seconds is left to the ordinary back-off.
    let seconds = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|v| v.to_str().ok()?.parse().ok());
    Some(RegistryError::Unreachable {
        host: host.to_string(),
        detail: format!("it answers with status {}", status.as_u16()),
        retry_after: seconds.map(|s| Duration::from_secs(s).min(MAX_RETRY_AFTER)),
    })
}
