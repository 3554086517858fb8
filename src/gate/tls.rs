//! TLS on the API port, with the certificate of a mounted Secret of type `kubernetes.io/tls`.
//!
//! TLS 1.2 and 1.3 with rustls's defaults. Sessions are kept in memory, and a new certificate begins without any.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::doors::ClientIo;
use super::mounted::{self, Mounted};

/// For a whole handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Largest entry of the Secret in bytes.
const MAX_ENTRY: usize = 256 * 1024;
/// Most certificates of a chain.
const MAX_CHAIN: usize = 16;
/// The protocols that are offered (RFC 7301), the preferred one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why the Secret's entries are not served. Nothing of their content is in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// An entry is not there.
    #[error("{0} cannot be read: {1}")]
    Read(&'static str, io::ErrorKind),
    /// An entry is too large.
    #[error("{0} is larger than {MAX_ENTRY} bytes")]
    TooLarge(&'static str),
    /// The chain is none.
    #[error("tls.crt holds no chain of 1 to {MAX_CHAIN} certificates in PEM")]
    Chain,
    /// The key is none.
    #[error("tls.key holds no private key in PEM")]
    Key,
    /// Certificate and key are refused, such as when they do not fit together.
    #[error("tls.crt and tls.key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
}

/// The certificate that serves, and where the next one comes from.
#[derive(Debug)]
pub struct Tls {
    dir: Mounted,
    serving: RwLock<Serving>,
    /// 1 while what serves is not what the Secret holds.
    refused: Gauge,
}

#[derive(Debug, Default)]
struct Serving {
    config: Option<Arc<ServerConfig>>,
    /// SHA-256 of the entries that were looked at last.
    seen: Option<[u8; 32]>,
    trouble: Option<String>,
}

impl Tls {
    /// Reads the directory for the first time.
    #[must_use]
    pub fn new(dir: PathBuf, refused: Gauge) -> Self {
        let tls = Self {
            dir: Mounted::new(dir),
            serving: RwLock::default(),
            refused,
        };
        tls.reload();
        tls
    }

    /// Reads the directory again. What cannot be used changes nothing: the old certificate goes on serving.
    pub fn reload(&self) {
        let Some(found) = self.dir.when_changed(entries) else {
            return;
        };
        let mut serving = self.serving.write().unwrap_or_else(PoisonError::into_inner);
        let seen = found.as_ref().ok().map(fingerprint);
        if seen.is_some() && seen == serving.seen {
            return;
        }
        match found.and_then(|(chain, key)| config(&chain, &key)) {
            Ok(config) => {
                tracing::info!("TLS certificate changed");
                serving.config = Some(Arc::new(config));
                serving.trouble = None;
            }
            Err(error) => {
                let trouble = error.to_string();
                if serving.trouble.as_ref() != Some(&trouble) {
                    let old_serves = serving.config.is_some();
                    tracing::warn!(%error, old_serves, "failed to use the TLS Secret");
                }
                serving.trouble = Some(trouble);
            }
        }
        serving.seen = seen;
        let refused = serving.config.is_some() && serving.trouble.is_some();
        self.refused.set(i64::from(refused));
    }

    /// Text for the admin port when there is no certificate to serve with.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let serving = self.serving.read().unwrap_or_else(PoisonError::into_inner);
        let why = serving.trouble.as_deref().unwrap_or_default();
        let dir = self.dir.path().display();
        let none = serving.config.is_none();
        none.then(|| format!("SecretMissing: no TLS certificate in {dir}: {why}"))
    }

    /// Shakes hands; `None` when there is no certificate, or the client fails to within ten seconds.
    pub async fn accept(&self, io: ClientIo) -> Option<TlsStream<ClientIo>> {
        let config = self.config()?;
        let shaken = TlsAcceptor::from(config).accept(io);
        timeout(HANDSHAKE, shaken).await.ok()?.ok()
    }

    fn config(&self) -> Option<Arc<ServerConfig>> {
        let serving = self.serving.read().unwrap_or_else(PoisonError::into_inner);
        serving.config.clone()
    }
}

type Entries = (Vec<u8>, Vec<u8>);

fn entries(dir: &Path) -> Result<Entries, TlsError> {
    let entry = |name: &'static str| {
        let bytes = mounted::read(&dir.join(name), MAX_ENTRY)
            .map_err(|error| TlsError::Read(name, error.kind()))?;
        if bytes.len() > MAX_ENTRY {
            return Err(TlsError::TooLarge(name));
        }
        Ok(bytes)
    };
    Ok((entry("tls.crt")?, entry("tls.key")?))
}

fn fingerprint((chain, key): &Entries) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(chain.len().to_le_bytes());
    hash.update(chain);
    hash.update(key);
    hash.finalize().into()
}

/// Errors of the PEM reader quote what they read, so they are not passed on.
fn config(chain: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .take(MAX_CHAIN + 1)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::Chain)?;
    if !(1..=MAX_CHAIN).contains(&chain.len()) {
        return Err(TlsError::Chain);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    // The pair is compared in here.
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["model".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn lay(dir: &Path, chain: &str, key: &str) {
        std::fs::write(dir.join("tls.crt"), chain).unwrap();
        std::fs::write(dir.join("tls.key"), key).unwrap();
    }

    #[rstest::rstest]
    #[case::fits(|_: &mut (String, String)| (), "")]
    #[case::with_intermediates(|(chain, _): &mut (String, String)| *chain = chain.repeat(2), "")]
    #[case::another_key(|(_, key): &mut (String, String)| *key = pair().1, "KeyMismatch")]
    #[case::no_key(|(_, key): &mut (String, String)| key.clear(), "private key")]
    #[case::no_chain(|(chain, _): &mut (String, String)| chain.clear(), "chain")]
    #[case::swapped(|(chain, key): &mut (String, String)| std::mem::swap(chain, key), "chain")]
    #[case::cut_off(|(chain, _): &mut (String, String)| chain.truncate(200), "chain")]
    #[case::no_certificate(|(chain, _): &mut (String, String)| *chain = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(), "cannot be used")]
    #[case::long_chain(|(chain, _): &mut (String, String)| *chain = chain.repeat(17), "chain")]
    #[case::huge(|(chain, _): &mut (String, String)| *chain = "x".repeat(300_000), "larger")]
    fn what_does_not_fit_is_not_served(
        #[case] change: fn(&mut (String, String)),
        #[case] trouble: &str,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut entries = pair();
        change(&mut entries);
        lay(dir.path(), &entries.0, &entries.1);
        let tls = Tls::new(dir.path().to_owned(), Gauge::default());
        match tls.missing() {
            None => assert_eq!(trouble, ""),
            Some(told) => {
                assert!(told.starts_with("SecretMissing: "), "{told}");
                assert!(!trouble.is_empty() && told.contains(trouble), "{told}");
            }
        }
    }

    #[test]
    fn a_broken_secret_leaves_the_old_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Gauge::default();
        let tls = Tls::new(dir.path().to_owned(), refused.clone());
        assert!(tls.missing().unwrap().contains("tls.crt cannot be read"));
        let (chain, key) = pair();
        lay(dir.path(), &chain, &key);
        tls.reload();
        let first = tls.config().unwrap();
        assert_eq!((tls.missing(), refused.get()), (None, 0));

        lay(dir.path(), &chain, &pair().1);
        tls.reload();
        assert!(Arc::ptr_eq(&first, &tls.config().unwrap()));
        assert_eq!((tls.missing(), refused.get()), (None, 1));

        let (chain, key) = pair();
        lay(dir.path(), &chain, &key);
        tls.reload();
        let second = tls.config().unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        assert_eq!(refused.get(), 0);
        tls.reload();
        assert!(Arc::ptr_eq(&second, &tls.config().unwrap()), "the same");
    }
}
