//! What is asked, and of whom.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::Full;

use super::trust::Trust;

/// A POST of JSON, and where to.
#[derive(Clone, Debug)]
pub struct Order {
    url: Uri,
    data: Bytes,
    key: Option<String>,
    /// Whom to trust, where TLS is spoken.
    pub trust: Option<Trust>,
}

impl Order {
    /// A POST to an address of plain HTTP, or of HTTPS where there is whom to trust.
    ///
    /// # Errors
    /// When the address is none, or of the other kind.
    pub fn new(url: &str, data: String, key: Option<String>, trust: Option<Trust>) -> Result<Self> {
        let url: Uri = url.parse().context("failed to parse the address")?;
        let scheme = if trust.is_some() { "https" } else { "http" };
        if url.scheme_str() != Some(scheme) || url.host().is_none() {
            bail!("failed to parse the address: write {scheme}://host:port/path");
        }
        Ok(Self {
            url,
            data: data.into(),
            key,
            trust,
        })
    }

    /// The name or address of the server, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.url.host().unwrap_or_default();
        host.trim_matches(['[', ']'])
    }

    /// The server's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        let usual = if self.trust.is_some() { 443 } else { 80 };
        self.url.port_u16().unwrap_or(usual)
    }

    /// The request, for either version of HTTP.
    ///
    /// # Errors
    /// When a part of it cannot be sent.
    pub fn request(&self, http2: bool) -> Result<Request<Full<Bytes>>> {
        let (path, host) = (self.url.path_and_query(), self.url.authority());
        let host = host.context("failed to find the host")?.as_str();
        let path = path.context("failed to find the path")?.as_str();
        // HTTP/2 has the host in the address, HTTP/1.1 in a header of its own.
        let mut request = if http2 {
            Request::post(self.url.clone())
        } else {
            Request::post(path).header(header::HOST, host)
        };
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request.header(header::CONTENT_TYPE, "application/json");
        Ok(request.body(Full::from(self.data.clone()))?)
    }
}
