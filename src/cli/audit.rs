//! `sealroom audit`.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;

use jiff::Timestamp;

use super::Exit;
use crate::audit::{Entry, Filter, Statuses, Totals};

/// Flags of `sealroom audit`.
///
/// Reads the gates' logs and prints the requests in them, as they come:
/// `kubectl logs -f -c gate -l app.kubernetes.io/instance=assistant | sealroom audit`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Logs to read; `-` or none is the standard input, which may go on for ever
    files: Vec<PathBuf>,
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
    /// Only this status or class of statuses: 429, 4xx
    #[arg(long)]
    status: Option<Statuses>,
    /// Only requests that ended so: ok, refused, upstreamError, clientClosed, reset, timeout
    #[arg(long)]
    outcome: Option<String>,
    /// Only requests from this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only requests before this time (RFC 3339)
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
}

impl Args {
    /// Reads to the end of the logs.
    pub fn run(self) -> Exit {
        let out = io::stdout().lock();
        match self.read(out) {
            Ok(0) => Exit::Ok,
            Ok(unreadable) => {
                eprintln!("{unreadable} audit lines could not be read");
                Exit::Passing
            }
            // The reader of a pipe has seen enough.
            Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Err(failure) => {
                eprintln!("{failure}");
                Exit::Passing
            }
        }
    }

    /// How many audit lines were unreadable.
    fn read(self, out: impl Write) -> Result<u64, Failure> {
        let filter = Filter {
            key: self.key,
            person: self.person,
            model: self.model,
            route: self.route,
            status: self.status,
            outcome: self.outcome,
            since: self.since,
            until: self.until,
        };
        let mut shown = Shown {
            filter,
            output: self.output,
            out,
            totals: Totals::default(),
            unreadable: 0,
        };
        let stdin = PathBuf::from("-");
        let mut files = self.files;
        if files.is_empty() {
            files.push(stdin.clone());
        }
        for path in files {
            let failed = |source| Failure::Read {
                path: path.clone(),
                source,
            };
            let mut lines: Box<dyn BufRead> = if path == stdin {
                Box::new(io::stdin().lock())
            } else {
                Box::new(BufReader::new(File::open(&path).map_err(failed)?))
            };
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).map_err(failed)? > 0 {
                shown.take(&line)?;
                line.clear();
            }
        }
        shown.end()
    }
}

/// What is printed of the lines.
struct Shown<W> {
    filter: Filter,
    output: Output,
    out: W,
    totals: Totals,
    unreadable: u64,
}

impl<W: Write> Shown<W> {
    /// Takes a line. An audit line that is not UTF-8 is not as a gate wrote it.
    fn take(&mut self, line: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(line);
        let whole = matches!(text, Cow::Borrowed(_));
        match Entry::read(&text) {
            Ok(None) => {}
            Ok(Some(entry)) if whole => {
                if self.filter.takes(&entry) {
                    return self.show(&entry, text.trim_end());
                }
            }
            Ok(Some(_)) | Err(_) => self.unreadable += 1,
        }
        Ok(())
    }

    fn show(&mut self, entry: &Entry, line: &str) -> io::Result<()> {
        match self.output {
            Output::Text => writeln!(self.out, "{entry}"),
            Output::Json => writeln!(self.out, "{line}"),
            Output::Csv => {
                self.totals.add(entry);
                Ok(())
            }
        }
    }

    /// Prints what is known at the end alone.
    fn end(mut self) -> Result<u64, Failure> {
        if self.output == Output::Csv {
            self.totals.write(&mut self.out)?;
        }
        self.out.flush()?;
        Ok(self.unreadable)
    }
}
