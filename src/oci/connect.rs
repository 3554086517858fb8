//! Connections: whom we dial, at which addresses, and whom we believe.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::{Attempt, Policy};

use super::{Authority, RegistryError};

/// Redirects followed for one request.
const MAX_REDIRECTS: usize = 3;
/// Headers of an answer.
const MAX_HEADERS: usize = 64;

/// What was declared about a registry's network.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Hosts that may be spoken to: the registry, its token server, its storage.
    pub allow: Vec<Authority>,
    /// Addresses by host. Where any is given, nothing else is asked for addresses.
    pub resolve: HashMap<String, Vec<IpAddr>>,
    /// PEM certificates; where given, they are the only roots.
    pub ca: Option<Vec<u8>>,
    /// Longest silence on a connection.
    pub stall: Duration,
}

/// A host without a declared address.
#[derive(Debug, thiserror::Error)]
#[error("no address is declared for {0}")]
struct NoAddress(String);

/// A redirect to an undeclared host.
#[derive(Debug, thiserror::Error)]
#[error("redirect to {0}")]
struct ForeignRedirect(String);

/// A redirect too many.
#[derive(Debug, thiserror::Error)]
#[error("too many redirects")]
struct RedirectLoop;

struct Declared(HashMap<String, Vec<IpAddr>>);

impl Resolve for Declared {
    fn resolve(&self, name: Name) -> Resolving {
        // The port is set by the connector.
        let known = self.0.get(name.as_str()).cloned();
        let closed = !self.0.is_empty();
        Box::pin(async move {
            if let Some(known) = known {
                let found: Vec<_> = known.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
                return Ok(Box::new(found.into_iter()) as Addrs);
            }
            if closed {
                return Err(NoAddress(name.as_str().to_owned()).into());
            }
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

fn redirects(allow: Vec<Authority>) -> Policy {
    Policy::custom(move |attempt: Attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error(RedirectLoop);
        }
        match Authority::of(attempt.url()) {
            Some(authority) if allow.contains(&authority) => attempt.follow(),
            _ => {
                let host = attempt.url().host_str().unwrap_or("nowhere").to_owned();
                attempt.error(ForeignRedirect(host))
            }
        }
    })
}

impl Connection {
    /// A client that keeps to the declaration.
    pub(super) fn client(&self, host: &Authority) -> Result<reqwest::Client, RegistryError> {
        let distrust = |detail: &str| RegistryError::UnknownCa {
            host: host.to_string(),
            detail: detail.to_owned(),
        };
        let mut builder = reqwest::Client::builder()
            .https_only(true)
            .http1_only()
            .http1_max_headers(MAX_HEADERS)
            .no_proxy()
            .referer(false)
            .redirect(redirects(self.allow.clone()))
            .dns_resolver(Arc::new(Declared(self.resolve.clone())))
            .connect_timeout(self.stall.min(Duration::from_secs(10)))
            .read_timeout(self.stall)
            .pool_max_idle_per_host(1)
            .user_agent(concat!("sealroom/", env!("CARGO_PKG_VERSION")));
        // An empty bundle is how "no private CA" arrives from a ConfigMap.
        if let Some(pem) = self
            .ca
            .as_deref()
            .filter(|pem| !pem.trim_ascii().is_empty())
        {
            let roots = reqwest::Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|roots| !roots.is_empty())
                .ok_or_else(|| distrust("the declared CA holds no PEM certificate"))?;
            builder = builder.tls_certs_only(roots);
        }
        builder.build().map_err(|_| {
            distrust("there is neither a usable declared CA nor a usable system store")
        })
    }
}

/// The first error of a type in a chain; looks into I/O errors, whose `source` skips what they wrap.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|inner| find(inner)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What a failed request means. The texts are ours: nothing a server wrote goes into them.
pub(super) fn classify(error: &reqwest::Error, host: &Authority) -> RegistryError {
    if let Some(ForeignRedirect(to)) = find(error) {
        return RegistryError::Undeclared {
            host: to.clone(),
            why: "the registry redirects to it, and no other host is asked: have the registry send its blobs itself",
        };
    }
    if let Some(NoAddress(name)) = find(error) {
        return RegistryError::Undeclared {
            host: name.clone(),
            why: "no address is declared for it",
        };
    }
    let host = host.to_string();
    if find::<RedirectLoop>(error).is_some() {
        let detail = "it redirects in a circle";
        return RegistryError::Protocol { host, detail };
    }
    if let Some(rustls::Error::InvalidCertificate(reason)) = find(error) {
        let detail = certificate(reason).to_owned();
        return RegistryError::UnknownCa { host, detail };
    }
    let detail = if error.is_timeout() {
        "it stays silent".to_owned()
    } else if find::<rustls::Error>(error).is_some() {
        "the TLS handshake fails".to_owned()
    } else if let Some(error) = find::<io::Error>(error) {
        error.kind().to_string()
    } else {
        "the connection breaks".to_owned()
    };
    RegistryError::Unreachable {
        host,
        detail,
        retry_after: None,
    }
}

fn certificate(reason: &rustls::CertificateError) -> &'static str {
    use rustls::CertificateError as E;
    match reason {
        E::UnknownIssuer | E::BadSignature => "it is not signed by the declared CA",
        E::Expired | E::ExpiredContext { .. } => "it has expired",
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet",
        E::NotValidForName | E::NotValidForNameContext { .. } => "it names another host",
        E::Revoked => "it is revoked",
        _ => "it does not verify",
    }
}
