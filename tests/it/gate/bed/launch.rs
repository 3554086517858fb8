//! A launch played by the test.

use std::path::Path;
use std::time::Instant;

use sealroom::seal::lease::{Runtime, Word};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::PATIENCE;

/// A launch played by the test.
pub struct FakeLaunch {
    stream: BufReader<UnixStream>,
}

impl FakeLaunch {
    pub async fn connect(lease: &Path) -> Self {
        Self::connect_with(lease, &["Kernel"]).await
    }

    pub async fn connect_with(lease: &Path, locks: &[&str]) -> Self {
        let stream = UnixStream::connect(lease).await.unwrap();
        let mut launch = Self {
            stream: BufReader::new(stream),
        };
        launch
            .say(&Runtime::Hello {
                locks: locks.iter().map(|lock| (*lock).to_owned()).collect(),
            })
            .await;
        launch
    }

    /// A gate that has hung up already is noticed by [`FakeLaunch::word`].
    pub async fn say(&mut self, what: &Runtime) {
        let line = serde_json::to_string(what).unwrap() + "\n";
        let _ = self.stream.get_mut().write_all(line.as_bytes()).await;
    }

    /// The gate's next word; `None` when it hung up.
    pub async fn word(&mut self) -> Option<Word> {
        let mut line = String::new();
        match timeout(PATIENCE, self.stream.read_line(&mut line))
            .await
            .unwrap()
        {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    pub async fn wait_for(&mut self, word: Word) {
        let begun = Instant::now();
        loop {
            let got = self.word().await;
            if got.as_ref() == Some(&word) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{got:?}, not {word:?}");
        }
    }

    pub async fn run_engine(&mut self) {
        self.wait_for(Word::Granted).await;
        self.say(&Runtime::Starting).await;
        self.say(&Runtime::Running).await;
    }
}
