//! `sealroom audit`.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use jiff::Timestamp;

use super::{Exit, say};
use crate::audit::{Filter, Lines, Statuses};

mod follow;
mod shown;

use shown::Shown;

/// Read at once, in bytes.
const CHUNK: usize = 64 * 1024;

const EXAMPLES: &str = "\
Reads the gates' logs and prints the requests in them, as they come.

Examples:
  kubectl logs -f -c gate -l app.kubernetes.io/instance=assistant | sealroom audit --status 4xx
  kubectl logs -c gate -l app.kubernetes.io/instance=assistant --tail=-1 | sealroom audit --output csv
  sealroom audit --follow --rpc tools/call --tool find gate.log";

/// How a request can end, as the gate's audit writes it (`gate::audit::Outcome`).
const OUTCOMES: [&str; 6] = [
    "ok",
    "refused",
    "upstreamError",
    "clientClosed",
    "reset",
    "timeout",
];

/// Flags of `sealroom audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Logs to read; `-` or none is the standard input, which may go on for ever
    files: Vec<PathBuf>,
    /// Go on with the files as they grow, also when they are rotated or truncated, until SIGINT. The standard input is
    /// read as it comes anyway
    #[arg(long, short)]
    follow: bool,
    /// Only requests with the key of this name
    #[arg(long)]
    key: Option<String>,
    /// Only requests with a token of this person
    #[arg(long)]
    person: Option<String>,
    /// Only requests to the model of this name
    #[arg(long)]
    model: Option<String>,
    /// Only this route, such as /v1/chat/completions
    #[arg(long)]
    route: Option<String>,
    /// Only this method of MCP, such as tools/call
    #[arg(long, value_name = "METHOD")]
    rpc: Option<String>,
    /// Only calls of the tool of this name
    #[arg(long)]
    tool: Option<String>,
    /// Only this status or class of statuses: 429, 4xx
    #[arg(long)]
    status: Option<Statuses>,
    /// Only requests that ended so
    #[arg(long, value_parser = OUTCOMES)]
    outcome: Option<String>,
    /// Only requests from this time on (RFC 3339), such as 2026-11-23T10:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only requests before this time (RFC 3339), such as 2026-11-24T00:00:00+01:00
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// How the requests are printed
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// A line for people
    Text,
    /// The audit lines as they are
    Json,
    /// At the end, tokens per key or person and month
    Csv,
}

/// Why it ends before the logs do.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("failed to read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("failed to write what was read: {0}")]
    Write(#[from] io::Error),
    #[error("failed to wait for signals: {0}")]
    Signal(io::Error),
}

impl Args {
    /// Reads to the end of the logs.
    pub fn run(self) -> Exit {
        if let Err(error) = self.fit() {
            let _ = error.print();
            return Exit::Usage;
        }
        let out = io::stdout().lock();
        match self.read(out) {
            Ok(0) => Exit::Ok,
            Ok(unreadable) => {
                let lines = if unreadable == 1 { "line" } else { "lines" };
                say::error(format!("{unreadable} audit {lines} could not be read"));
                Exit::Passing
            }
            // The reader of a pipe has seen enough.
            Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Err(failure) => {
                say::error(failure);
                Exit::Passing
            }
        }
    }

    /// Whether what is asked for can be followed.
    fn fit(&self) -> Result<(), clap::Error> {
        let why = if self.output == Output::Csv {
            Some("--follow cannot be used with --output csv: the sums are printed at the end\n")
        } else if self.files.len() > 1 && self.files.iter().any(|path| is_stdin(path)) {
            Some("--follow cannot be used with files beside the standard input: read that alone\n")
        } else {
            None
        };
        match why {
            Some(why) if self.follow => Err(clap::Error::raw(ErrorKind::ArgumentConflict, why)),
            _ => Ok(()),
        }
    }

    /// How many audit lines were unreadable.
    fn read(self, out: impl Write) -> Result<u64, Failure> {
        let filter = Filter {
            key: self.key,
            person: self.person,
            model: self.model,
            route: self.route,
            rpc: self.rpc,
            tool: self.tool,
            status: self.status,
            outcome: self.outcome,
            since: self.since,
            until: self.until,
        };
        let mut shown = Shown::new(filter, self.output, out);
        let mut files = self.files;
        if files.is_empty() {
            files.push("-".into());
        }
        if self.follow && !files.iter().any(|path| is_stdin(path)) {
            follow::follow(files, |line| shown.take(line))?;
            return shown.end();
        }
        for path in files {
            let failed = |source| Failure::Read {
                path: path.clone(),
                source,
            };
            let from: Box<dyn Read> = if is_stdin(&path) {
                if io::stdin().is_terminal() {
                    say::note("reading the standard input; Ctrl-D ends it");
                }
                Box::new(io::stdin().lock())
            } else {
                Box::new(File::open(&path).map_err(failed)?)
            };
            read(from, &mut shown, failed)?;
        }
        shown.end()
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Shows a log to its end, each line as it comes.
fn read(
    mut from: impl Read,
    shown: &mut Shown<impl Write>,
    failed: impl Fn(io::Error) -> Failure,
) -> Result<(), Failure> {
    let (mut lines, mut chunk) = (Lines::default(), vec![0; CHUNK]);
    loop {
        match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => lines.take(&chunk[..count], |line| shown.take(line))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    lines.finish(|line| shown.take(line))?;
    Ok(())
}
