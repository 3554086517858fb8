//! A model's key and CA: files that the kubelet mounts late and changes, and that only the gate sees.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderValue;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::gate::mounted::{self, Mounted};

/// Longest key in bytes.
const MAX_KEY: usize = 4096;
/// Largest bundle of certificates in bytes.
const MAX_CA: usize = 256 * 1024;

/// What a file of a mounted directory was last read to be; nothing while there is none that can be used.
pub struct Entry<T> {
    dir: Mounted,
    file: PathBuf,
    what: &'static str,
    most: usize,
    parse: fn(&[u8]) -> Option<T>,
    read: RwLock<(Vec<u8>, Option<T>)>,
}

impl<T: Clone> Entry<T> {
    fn new(path: &Path, what: &'static str, most: usize, parse: fn(&[u8]) -> Option<T>) -> Self {
        let dir = path.parent().unwrap_or(Path::new("/")).to_owned();
        let entry = Self {
            dir: Mounted::new(dir),
            file: path.file_name().map(PathBuf::from).unwrap_or_default(),
            what,
            most,
            parse,
            read: RwLock::default(),
        };
        entry.reload();
        entry
    }

    /// What there is.
    pub fn get(&self) -> Option<T> {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        read.1.clone()
    }

    /// Reads the file again. One that cannot be used is none: what was good before may have been taken away.
    pub fn reload(&self) {
        let read = |dir: &Path| mounted::read(&dir.join(&self.file), self.most);
        let Some(found) = self.dir.when_changed(read) else {
            return;
        };
        let bytes = found.unwrap_or_default();
        let mut read = self.read.write().unwrap_or_else(PoisonError::into_inner);
        if read.0 == bytes {
            return;
        }
        let usable = (bytes.len() <= self.most)
            .then(|| (self.parse)(&bytes))
            .flatten();
        let dir = self.dir.path().display();
        let usable_now = usable.is_some();
        tracing::info!(what = self.what, %dir, usable = usable_now, "a model's entry changed");
        *read = (bytes, usable);
    }
}

/// The key, as the field `Authorization` that carries it.
pub fn key(path: &Path) -> Entry<HeaderValue> {
    Entry::new(path, "key", MAX_KEY, bearer)
}

/// How a model's certificate is checked.
pub fn ca(path: &Path) -> Entry<Arc<ClientConfig>> {
    Entry::new(path, "CA", MAX_CA, client)
}

/// Without the line's end that editors leave.
fn bearer(bytes: &[u8]) -> Option<HeaderValue> {
    let key = std::str::from_utf8(bytes).ok()?.trim();
    let visible = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    let mut value = visible
        .then(|| HeaderValue::try_from(format!("Bearer {key}")))?
        .ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn client(pem: &[u8]) -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.ok()?).ok()?;
    }
    if roots.is_empty() {
        return None;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::mounted::tests::lay;

    #[rstest::rstest]
    #[case::plain("secret", Some("Bearer secret"))]
    #[case::line("secret\n", Some("Bearer secret"))]
    #[case::empty("", None)]
    #[case::blank(" \n", None)]
    #[case::two_lines("a\nb", None)]
    #[case::not_ascii("gehäim", None)]
    fn keys(#[case] text: &str, #[case] header: Option<&str>) {
        let value = bearer(text.as_bytes());
        assert_eq!(value.as_ref().and_then(|v| v.to_str().ok()), header);
        assert!(value.is_none_or(|value| value.is_sensitive()));
    }

    #[test]
    fn a_key_comes_changes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let entry = key(&dir.path().join("value"));
        assert_eq!(entry.get(), None);
        for (version, text) in [("..1", "one"), ("..2", "two"), ("..3", "\n")] {
            lay(dir.path(), version, "value", text);
            entry.reload();
            let expected = (text != "\n").then(|| format!("Bearer {text}"));
            let got = entry.get().map(|v| v.to_str().unwrap().to_owned());
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn a_ca_is_at_least_one_certificate() {
        let made = rcgen::generate_simple_self_signed(["ca".to_owned()]).unwrap();
        assert!(client(made.cert.pem().as_bytes()).is_some());
        assert!(client(b"").is_none());
        assert!(
            client(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_none()
        );
    }
}
