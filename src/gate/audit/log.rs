//! The thread that writes the audit's lines.

use std::io::{self, Write};
use std::sync::mpsc as threads;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;

/// Tells when the last line is written.
#[derive(Debug)]
pub struct Written(threads::Receiver<()>);

impl Written {
    /// Waits until nobody can send a line any more and all are written, at most for this time; false when it takes
    /// longer. Where nobody can read lines any more, there is nothing to wait for.
    #[must_use]
    pub fn wait(self, most: Duration) -> bool {
        self.0.recv_timeout(most) == Err(threads::RecvTimeoutError::Disconnected)
    }
}

/// Writes lines of JSON as they come.
///
/// # Errors
/// The thread cannot be started.
pub fn start<L: Serialize + Send + 'static>(
    mut lines: mpsc::Receiver<L>,
    mut out: impl Write + Send + 'static,
) -> io::Result<Written> {
    let (writing, written) = threads::channel();
    // A thread, since a full pipe blocks.
    std::thread::Builder::new()
        .name("audit".to_owned())
        .spawn(move || {
            // Dropped when the thread ends, however it does.
            let _writing: threads::Sender<()> = writing;
            while let Some(line) = lines.blocking_recv() {
                let mut text = serde_json::to_vec(&line).unwrap_or_default();
                text.push(b'\n');
                if out.write_all(&text).and_then(|()| out.flush()).is_err() {
                    // Nobody can read the lines any more: with the queue gone, requests are refused.
                    tracing::error!("failed to write the audit log");
                    return;
                }
            }
        })?;
    Ok(Written(written))
}
