//! The operator's clients of the API server.

use std::time::Duration;

use anyhow::Context as _;
use http::HeaderValue;
use http::header::USER_AGENT;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use tower::{BoxError, ServiceExt as _};

/// How the operator names itself to the API server.
const NAME: &str = concat!("sealroom-operator/", env!("CARGO_PKG_VERSION"));

/// After so long without a byte the kernel asks whether the API server is still there,
const QUIET: Duration = Duration::from_secs(10);
/// and asks again without an answer after so long,
const AGAIN: Duration = Duration::from_secs(5);
/// so many times.
const TIMES: u32 = 3;

/// For watches, which are silent for as long as nothing happens, so that we set no limit on that. A connection that leads
/// nowhere any more looks the same: where the translation of the Service's address is lost on the way, nobody hears that the
/// API server has ended it, and the operator would see nothing of the cluster for five minutes, which is kube's limit. So the
/// kernel asks.
pub async fn watching() -> anyhow::Result<Client> {
    let config = found().await?;
    if config.proxy_url.is_some() {
        return Client::try_from(config).context("failed to make a client");
    }
    kept_alive(&config).context("failed to make a client for watches")
}

/// For everything else: what has no answer within `patience` has failed.
pub async fn asking(patience: Duration, retries: bool) -> anyhow::Result<Client> {
    let mut config = found().await?;
    config.default_retry = retries;
    config.connect_timeout = Some(patience);
    config.read_timeout = Some(patience);
    config.write_timeout = Some(patience);
    // From the request on: how long its connection was idle before does not count.
    config.reset_reader_on_write = true;
    Client::try_from(config).context("failed to make a client")
}

async fn found() -> anyhow::Result<Config> {
    let mut config = Config::infer()
        .await
        .context("failed to find the API server")?;
    let name = HeaderValue::from_static(NAME);
    config.headers.push((USER_AGENT, name));
    Ok(config)
}

/// kube's own client over a connector that asks. It tries nothing again: watches are begun anew by who reads them.
fn kept_alive(config: &Config) -> kube::Result<Client> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_keepalive(Some(QUIET));
    connector.set_keepalive_interval(Some(AGAIN));
    connector.set_keepalive_retries(Some(TIMES));
    let mut connector =
        TimeoutConnector::new(config.rustls_https_connector_with_connector(connector)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    let http: legacy::Client<_, Body> =
        legacy::Client::builder(TokioExecutor::new()).build(connector);
    let builder = ClientBuilder::new(http.map_err(BoxError::from), &*config.default_namespace)
        .with_layer(&config.extra_headers_layer()?);
    let base = config.base_uri_layer();
    Ok(match config.auth_layer()? {
        Some(auth) => builder.with_layer(&auth).with_layer(&base).build(),
        None => builder.with_layer(&base).build(),
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::Api;
    use tokio::net::TcpListener;

    use super::*;

    /// Of the connection to this port of 127.0.0.1: the timer that runs, of which 2 is the one that asks (proc(5)).
    fn timer(port: u16) -> Option<String> {
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let remote = format!("0100007F:{port:04X}");
        let mut rows = table.lines().map(|row| row.split_whitespace().collect());
        let row = rows.find(|row: &Vec<&str>| row.get(2) == Some(&remote.as_str()))?;
        Some(row[5].to_owned())
    }

    #[tokio::test]
    async fn a_silent_connection_of_a_watch_is_asked_whether_it_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Config::new(format!("http://127.0.0.1:{port}").parse().unwrap());
        let client = kept_alive(&config).unwrap();
        let pods = Api::<Pod>::all(client);
        let asks = tokio::spawn(async move { pods.get("x").await });
        let (stream, _) = listener.accept().await.unwrap();
        stream.readable().await.unwrap();
        // What was sent is acknowledged first.
        let mut seen = None;
        for _ in 0..100 {
            seen = timer(port);
            if seen
                .as_deref()
                .is_some_and(|timer| timer.starts_with("02:"))
            {
                asks.abort();
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{seen:?}");
    }
}
