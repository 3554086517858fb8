//! One HTTP request.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::StreamExt as _;

/// What it says when a request was not sent, or no head of an answer came.
const UNSENT: &str = "failed to send the request";

/// Whether `tool fetch`, which told this, failed because nobody answered at that address: an unknown name says nothing of it.
#[must_use]
pub fn nobody_answered(told: &str) -> bool {
    told.contains(UNSENT) && !told.contains("dns error")
}

/// Flags of `tool fetch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to
    url: String,
    /// A JSON body: makes it a POST
    #[arg(long)]
    data: Option<String>,
    /// Another method than the body makes it
    #[arg(long)]
    method: Option<reqwest::Method>,
    /// Sent as a bearer token
    #[arg(long)]
    key: Option<String>,
    /// Whom to trust over TLS: a certificate in PEM
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Connects to this address whatever the URL's name resolves to
    #[arg(long)]
    at: Option<IpAddr>,
    /// Connects from this address of the machine
    #[arg(long)]
    from: Option<IpAddr>,
    /// How long the whole exchange may take, in seconds
    #[arg(long, default_value_t = 60)]
    timeout_seconds: u64,
    /// Exit with 0 whatever the status is
    #[arg(long)]
    exit_zero: bool,
    /// How often to send it, one after the other; status and milliseconds of each are printed
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// Ends after so many in a row that were no success
    #[arg(long, default_value_t = u32::MAX)]
    enough_failures: u32,
    /// Milliseconds between two of them
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
}

impl Args {
    /// Prints `<status> <milliseconds>` and then the body as it arrives.
    ///
    /// # Errors
    /// No connection, or an exchange that broke off.
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.client()?;
        let mut good = true;
        let mut failures = 0;
        for turn in 0..self.times {
            if turn > 0 {
                tokio::time::sleep(Duration::from_millis(self.pause_ms)).await;
            }
            let success = match self.once(&client).await {
                Ok(success) => success,
                Err(error) if self.times == 1 => return Err(error),
                Err(error) => {
                    println!("{} failed {error:#}", jiff::Timestamp::now());
                    false
                }
            };
            good &= success;
            failures = if success { 0 } else { failures + 1 };
            if failures >= self.enough_failures {
                break;
            }
        }
        anyhow::ensure!(good || self.exit_zero, "failed: the status is no success");
        Ok(())
    }

    fn client(&self) -> anyhow::Result<reqwest::Client> {
        // The image holds no system store: without a certificate it speaks plain HTTP alone.
        let trusted = match &self.ca {
            Some(path) => {
                let pem = std::fs::read(path)
                    .with_context(|| format!("failed to read {}", path.display()))?;
                reqwest::Certificate::from_pem_bundle(&pem)?
            }
            None => vec![],
        };
        let whole = Duration::from_secs(self.timeout_seconds);
        // One request alone waits for a connection as long as it may: pods that all start at once leave a machine
        // busy for longer than three seconds.
        let connecting = if self.times == 1 {
            whole
        } else {
            Duration::from_secs(3)
        };
        let mut client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only(trusted)
            .local_address(self.from)
            .timeout(whole)
            .connect_timeout(connecting);
        if let Some(address) = self.at {
            let url: reqwest::Url = self.url.parse()?;
            let host = url.host_str().context("failed to find a host in the URL")?;
            client = client.resolve(host, SocketAddr::new(address, 0));
        }
        client.build().context("failed to make a client")
    }

    async fn once(&self, client: &reqwest::Client) -> anyhow::Result<bool> {
        let begun = Instant::now();
        let by_body = if self.data.is_some() {
            reqwest::Method::POST
        } else {
            reqwest::Method::GET
        };
        let method = self.method.clone().unwrap_or(by_body);
        let mut request = client.request(method, &self.url);
        if let Some(data) = &self.data {
            request = request
                .header("content-type", "application/json")
                .body(data.clone());
        }
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.context(UNSENT)?;
        let status = response.status();
        let mut body = response.bytes_stream();
        if self.times > 1 {
            while let Some(chunk) = body.next().await {
                chunk.context("failed to read the body")?;
            }
            println!(
                "{} {} {}",
                jiff::Timestamp::now(),
                status.as_u16(),
                begun.elapsed().as_millis()
            );
            return Ok(status.is_success());
        }
        println!("{} {}", status.as_u16(), begun.elapsed().as_millis());
        while let Some(chunk) = body.next().await {
            print!(
                "{}",
                String::from_utf8_lossy(&chunk.context("failed to read the body")?)
            );
        }
        println!();
        Ok(status.is_success())
    }
}
