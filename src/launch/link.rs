//! launch's end of the lease: one connection at a time, tried again for ever.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep_until, timeout};

use super::lines::{LineReader, say};
use crate::seal::lease::{MAX_LINE, Runtime, Word};

/// Pause between two attempts to reach the gate.
const RETRY: Duration = Duration::from_millis(300);
/// A gate that takes no line for this long is gone.
const PATIENCE: Duration = Duration::from_secs(1);

/// What comes over the lease.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The gate was reached; it has heard the hello.
    Connected,
    /// It spoke.
    Word(Word),
    /// The connection ended, or something came that is no word.
    Lost,
}

type Ends = (LineReader<OwnedReadHalf>, OwnedWriteHalf);
type Connecting = Pin<Box<dyn Future<Output = io::Result<Ends>> + Send>>;

/// The lease's connection.
pub struct Link {
    path: PathBuf,
    hello: Runtime,
    retry_at: Instant,
    /// Kept here, so that an attempt outlives whoever waits for it: the gate must not see half a hello.
    connecting: Option<Connecting>,
    ends: Option<Ends>,
}

impl Link {
    /// To the gate's socket; `locks` is what the hello says.
    #[must_use]
    pub fn new(path: PathBuf, locks: Vec<String>) -> Self {
        Self {
            path,
            hello: Runtime::Hello { locks },
            retry_at: Instant::now(),
            connecting: None,
            ends: None,
        }
    }

    /// The next event. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some((reader, _)) = &mut self.ends {
                let line = reader.next().await;
                match line
                    .ok()
                    .flatten()
                    .map(|line| serde_json::from_slice::<Word>(&line))
                {
                    Some(Ok(word)) => return Event::Word(word),
                    None | Some(Err(_)) => {
                        self.hang_up();
                        return Event::Lost;
                    }
                }
            }
            if self.connecting.is_none() {
                sleep_until(self.retry_at).await;
                self.retry_at = Instant::now() + RETRY;
            }
            let (path, hello) = (&self.path, &self.hello);
            let connecting = self
                .connecting
                .get_or_insert_with(|| Box::pin(connect(path.clone(), hello.clone())));
            let connected = connecting.await;
            self.connecting = None;
            if let Ok(ends) = connected {
                self.ends = Some(ends);
                return Event::Connected;
            }
        }
    }

    /// Ends the connection, if there is one; the next attempt comes after a pause.
    pub fn hang_up(&mut self) {
        self.ends = None;
        self.retry_at = Instant::now() + RETRY;
    }

    /// Tells the gate, if it is connected; false when it no longer listens, which ends the connection.
    pub async fn say(&mut self, what: &Runtime) -> bool {
        let Some((_, writer)) = &mut self.ends else {
            return true;
        };
        let said = matches!(timeout(PATIENCE, say(writer, what)).await, Ok(Ok(())));
        if !said {
            self.hang_up();
        }
        said
    }
}

async fn connect(path: PathBuf, hello: Runtime) -> io::Result<Ends> {
    let greeted = async {
        let (reader, mut writer) = UnixStream::connect(&path).await?.into_split();
        say(&mut writer, &hello).await?;
        Ok((LineReader::new(reader, MAX_LINE), writer))
    };
    timeout(PATIENCE, greeted).await?
}
