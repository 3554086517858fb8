//! One HTTP request.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::StreamExt as _;

/// Flags of `tool fetch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to
    url: String,
    /// A JSON body: makes it a POST
    #[arg(long)]
    data: Option<String>,
    /// Sent as a bearer token
    #[arg(long)]
    key: Option<String>,
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
        let client = reqwest::Client::builder()
            .no_proxy()
            // Plain HTTP alone: the image holds no system store.
            .tls_certs_only([])
            .timeout(Duration::from_secs(self.timeout_seconds))
            .connect_timeout(Duration::from_secs(3))
            .build()?;
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

    async fn once(&self, client: &reqwest::Client) -> anyhow::Result<bool> {
        let begun = Instant::now();
        let mut request = match &self.data {
            Some(data) => client
                .post(&self.url)
                .header("content-type", "application/json")
                .body(data.clone()),
            None => client.get(&self.url),
        };
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.context("failed to send the request")?;
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
