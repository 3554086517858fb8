//! Many clients at once, each asking for one stream after the other until they are told to stop: what rollouts
//! and scaling are tested with. A client sends again by itself only what no server has begun, as every client does,
//! and that is counted too. Whatever else it sees is counted as it is.

mod answer;
mod client;
mod order;
mod tally;
mod trust;

#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use client::{Client, Way};
use order::Order;
use tally::{Outcome, Tally};
use trust::Trust;

pub use client::{HTTP_1, HTTP_2};
pub use tally::Summary;

/// Longest wait after a refusal, whatever it says.
const WAIT: Duration = Duration::from_secs(2);

/// Flags of `tool load`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the completions are, `http://host:port/path`, or `https://` with `--trust`
    url: String,
    /// The JSON body, with `"stream": true`
    #[arg(long)]
    data: String,
    /// Sent as a bearer token
    #[arg(long)]
    key: Option<String>,
    /// Whom to trust over TLS: the text of a certificate in PEM, which begins with dashes
    #[arg(long, allow_hyphen_values = true)]
    trust: Option<String>,
    /// Clients of HTTP/1.1 that keep their connection
    #[arg(long, default_value_t = 0)]
    kept: u32,
    /// Clients of HTTP/1.1 with a connection for each stream
    #[arg(long, default_value_t = 0)]
    new: u32,
    /// Clients of HTTP/2 with two streams at once
    #[arg(long, default_value_t = 0)]
    http2: u32,
    /// Milliseconds between two streams of a client
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
    /// Ends when standard input ends, or after so many seconds
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

impl Args {
    /// Prints one line of JSON with the counts, once the last stream has ended.
    ///
    /// # Errors
    /// An address that is none, or nobody to trust.
    pub async fn run(self) -> Result<()> {
        let (stop, stopped) = watch::channel(false);
        let until = async {
            let _ = timeout(Duration::from_secs(self.seconds), end_of_input()).await;
            let _ = stop.send(true);
        };
        let (summary, ()) = tokio::join!(self.load(stopped), until);
        println!("{}", serde_json::to_string(&summary?)?);
        Ok(())
    }

    async fn load(&self, stopped: watch::Receiver<bool>) -> Result<Summary> {
        let trust = self.trust.as_deref().map(Trust::new).transpose()?;
        let order = Order::new(&self.url, self.data.clone(), self.key.clone(), trust)?;
        let tally = Arc::new(Tally::new());
        let ways = [
            ("kept", Way::Kept, self.kept),
            ("new", Way::New, self.new),
            ("http2", Way::Http2, self.http2),
        ];
        let pause = Duration::from_millis(self.pause_ms);
        let clients = ways.into_iter().flat_map(|(name, way, count)| {
            let (order, tally, stopped) = (&order, &tally, &stopped);
            (0..count).map(move |number| {
                let client = Client::new(order.clone(), way);
                let who = format!("{name} {number}");
                tokio::spawn(ask(client, who, pause, Arc::clone(tally), stopped.clone()))
            })
        });
        join_all(clients).await;
        Ok(tally.summary())
    }
}

/// One client until it is stopped.
async fn ask(
    mut client: Client,
    who: String,
    pause: Duration,
    tally: Arc<Tally>,
    mut stopped: watch::Receiver<bool>,
) {
    while !*stopped.borrow() {
        let outcomes = client.turn().await;
        let mut rest = pause;
        for outcome in &outcomes {
            tally.add(&who, outcome);
            rest = rest.max(wait_after(outcome));
        }
        tokio::select! {
            () = sleep(rest) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }
}

/// How long a client waits that is polite, at least.
fn wait_after(outcome: &Outcome) -> Duration {
    match outcome {
        Outcome::Complete | Outcome::Crossed(_) => Duration::ZERO,
        Outcome::Refused { retry_after, .. } => {
            Duration::from_secs(retry_after.unwrap_or(1)).min(WAIT)
        }
        Outcome::Failed { .. } => Duration::from_millis(200),
    }
}

/// A thread of its own, which does not hold the program's end up as the runtime's would.
async fn end_of_input() {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let mut sink = [0; 256];
        while std::io::stdin().read(&mut sink).is_ok_and(|read| read > 0) {}
        let _ = ended.send(());
    });
    let _ = end.await;
}
