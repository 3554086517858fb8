//! launch's end of the lease: one connection at a time, tried again for ever.

use std::io;
use std::path::PathBuf;
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

/// The lease's connection.
#[derive(Debug)]
pub struct Link {
    path: PathBuf,
    hello: Runtime,
    retry_at: Instant,
    ends: Option<(LineReader<OwnedReadHalf>, OwnedWriteHalf)>,
}

impl Link {
    /// To the gate's socket; `locks` is what the hello says.
    #[must_use]
    pub fn new(path: PathBuf, locks: Vec<String>) -> Self {
        Self {
            path,
            hello: Runtime::Hello { locks },
            retry_at: Instant::now(),
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
            sleep_until(self.retry_at).await;
            self.retry_at = Instant::now() + RETRY;
            if self.connect().await.is_ok() {
                return Event::Connected;
            }
        }
    }

    async fn connect(&mut self) -> io::Result<()> {
        let hello = async {
            let (reader, mut writer) = UnixStream::connect(&self.path).await?.into_split();
            say(&mut writer, &self.hello).await?;
            Ok::<_, io::Error>((LineReader::new(reader, MAX_LINE), writer))
        };
        self.ends = Some(timeout(PATIENCE, hello).await??);
        Ok(())
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
