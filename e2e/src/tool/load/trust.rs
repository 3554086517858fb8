//! TLS with a server whose certificate an authority of ours has signed.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Whom a client trusts, and nobody else.
#[derive(Clone, Debug)]
pub struct Trust(Arc<RootCertStore>);

impl Trust {
    /// The certificates in this text, as PEM.
    ///
    /// # Errors
    /// When there is none, or one that cannot be used.
    pub fn new(pem: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.context("failed to parse whom to trust")?)?;
        }
        ensure!(
            !roots.is_empty(),
            "failed to find a certificate in whom to trust"
        );
        Ok(Self(Arc::new(roots)))
    }

    /// Shakes hands over a connection, from the beginning each time, and agrees on this protocol (RFC 7301).
    ///
    /// # Errors
    /// When the server is another one, breaks off, or does not speak the protocol.
    pub async fn shake(
        &self,
        host: &str,
        stream: TcpStream,
        protocol: &str,
    ) -> Result<TlsStream<TcpStream>> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = ServerName::try_from(host.to_owned())?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await?;
        let agreed = stream.get_ref().1.alpn_protocol();
        ensure!(
            agreed == Some(protocol.as_bytes()),
            "failed to agree on {protocol}"
        );
        Ok(stream)
    }
}
