//! A connection to a model: one for each request, which ends with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body::Body;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::gate::upstream::{Spoken, handshake};

/// To reach the model, TLS included.
const CONNECT: Duration = Duration::from_secs(5);

/// Why a model is not reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// It does not answer.
    #[error("failed to connect: {0}")]
    Connect(#[from] std::io::Error),
    /// Its name cannot be in a certificate.
    #[error("failed to connect: {0}")]
    Name(#[from] rustls::pki_types::InvalidDnsNameError),
    /// It breaks HTTP.
    #[error("failed to speak HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// It took too long.
    #[error("failed to connect in time")]
    Timeout(#[from] tokio::time::error::Elapsed),
}

/// Connects to the model; with TLS where a name and a CA are given.
///
/// # Errors
/// [`DialError`].
pub async fn dial<B>(
    at: SocketAddr,
    tls: Option<(&str, Arc<ClientConfig>)>,
) -> Result<Spoken<B>, DialError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connected = async {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        match tls {
            None => Ok(handshake(stream).await?),
            Some((host, config)) => {
                let name = ServerName::try_from(host.to_owned())?;
                let stream = TlsConnector::from(config).connect(name, stream).await?;
                Ok(handshake(stream).await?)
            }
        }
    };
    timeout(CONNECT, connected).await?
}
