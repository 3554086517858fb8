//! The lease between gate and launch: JSON lines over a Unix socket.
//!
//! The gate listens, launch connects. The gate repeats its word every second; launch counts the lease as
//! lost when the connection ends, when the word is not `Granted`, or when nothing came for three seconds.

use serde::{Deserialize, Serialize};

/// Longest line that either side reads, in bytes.
pub const MAX_LINE: usize = 1024;

/// What the gate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "lease")]
pub enum Word {
    /// Not proven: do not start.
    Held,
    /// Proven: run.
    Granted,
    /// Open: end every process now.
    Revoked,
    /// The last stream is done: end the engine with its own signal, then exit.
    Drained,
}

/// What launch says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "runtime")]
pub enum Runtime {
    /// First line: which locks launch has put on itself and seen to work.
    Hello {
        /// `Kernel`, or `KernelStream` and what Landlock adds to it, or nothing in a build whose kernel lock is
        /// off.
        locks: Vec<String>,
    },
    /// No engine runs.
    Waiting,
    /// The engine's process was started and its socket is not there yet.
    Starting,
    /// The engine's socket is there.
    Running,
    /// launch was told to terminate and waits for `Drained`.
    Stopping,
    /// The engine ended by itself; launch starts it again after a back-off while the lease holds.
    Ended {
        /// Exit code, or 128 plus the signal.
        code: i32,
    },
}
