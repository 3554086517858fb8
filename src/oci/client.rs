//! The client: manifests and blobs by digest.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};

use super::challenge::{self, Challenge};
use super::connect::classify;
use super::{Authority, Connection, Credentials, RegistryError, range};
use crate::types::{Digest, ImageRef};

/// The distribution spec lets registries refuse manifests beyond 4 MiB.
const MAX_MANIFEST: usize = 4 << 20;
const MAX_TOKEN: usize = 64 << 10;
/// Time for a manifest or a token, however slowly it trickles.
const SMALL: Duration = Duration::from_secs(60);
/// Longest wait that a `Retry-After` gets.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// One repository of one registry.
pub struct Registry {
    client: reqwest::Client,
    authority: Authority,
    base: Url,
    repository: String,
    allow: Vec<Authority>,
    credentials: Option<Credentials>,
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

    fn unauthorized(&self, hint: &'static str) -> RegistryError {
        RegistryError::Unauthorized {
            host: self.authority.to_string(),
            hint,
        }
    }

    async fn small_body(
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

    fn refusal(&self) -> &'static str {
        match self.credentials {
            Some(_) => "the user or password in the pull secret is refused",
            None => "no pull secret names this registry",
        }
    }

    async fn answer(&self, headers: &HeaderMap) -> Result<HeaderValue, RegistryError> {
        let challenge = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(challenge::parse);
        let text = match (challenge, &self.credentials) {
            (Some(Challenge::Basic), Some(credentials)) => credentials.basic(),
            (Some(Challenge::Bearer { realm, service }), _) => self.token(&realm, service).await?,
            (Some(Challenge::Basic), None) => return Err(self.unauthorized(self.refusal())),
            (None, _) => return Err(self.unauthorized("it asks for neither Basic nor Bearer")),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            self.unauthorized("the credentials hold characters that HTTP cannot carry")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// A token for pulling from our repository, whatever scope the challenge named
    /// (distribution spec, "Token Authentication").
    async fn token(&self, realm: &str, service: Option<String>) -> Result<String, RegistryError> {
        let mut url: Url = realm
            .parse()
            .map_err(|_| self.protocol("the token realm is no address"))?;
        let authority = Authority::of(&url).filter(|realm| self.allow.contains(realm));
        let Some(authority) = authority else {
            return Err(RegistryError::Undeclared {
                host: url.host_str().unwrap_or("nowhere").to_owned(),
                why: "the registry wants a token from it and it is not declared",
            });
        };
        let scope = format!("repository:{}:pull", self.repository);
        url.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = service.filter(|text| text.len() <= 256) {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let mut request = self.client.get(url).timeout(SMALL);
        if let Some(credentials) = &self.credentials {
            request = request.header(AUTHORIZATION, credentials.basic());
        }
        let response = request.send().await.map_err(|e| classify(&e, &authority))?;
        match response.status() {
            StatusCode::OK => {}
            status => {
                let refused = self.unauthorized(self.refusal());
                return Err(busy(status, &response, &authority).unwrap_or(refused));
            }
        }
        #[derive(serde::Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }
        let body = self.small_body(response, MAX_TOKEN).await?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| self.protocol("the token server's answer is no token"))?;
        let token = answer.token.or(answer.access_token);
        token
            .map(|token| format!("Bearer {token}"))
            .ok_or_else(|| self.protocol("the token server's answer is no token"))
    }
}

/// The error of a status that asks for patience; `None` for any other.
fn busy(status: StatusCode, response: &Response, host: &Authority) -> Option<RegistryError> {
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

/// A body that is held to its length.
pub struct Blob {
    /// The offset at which it begins.
    pub first: u64,
    response: Response,
    remaining: u64,
    expected: u64,
    authority: Authority,
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
