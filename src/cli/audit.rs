//! `sealroom audit`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

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
            Err((_, error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Err((path, error)) => {
                eprintln!("failed to read {}: {error}", path.display());
                Exit::Passing
            }
        }
    }

    /// How many audit lines were unreadable.
    fn read(self, mut out: impl Write) -> Result<u64, (PathBuf, io::Error)> {
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
        let stdin = PathBuf::from("-");
        let mut files = self.files;
        if files.is_empty() {
            files.push(stdin.clone());
        }
        let mut totals = Totals::default();
        let mut unreadable = 0;
        for path in files {
            let lines: Box<dyn BufRead> = if path == stdin {
                Box::new(io::stdin().lock())
            } else {
                Box::new(BufReader::new(open(&path)?))
            };
            let read = lines.lines().try_for_each(|line| {
                let line = line?;
                match Entry::read(&line) {
                    Ok(Some(entry)) if filter.takes(&entry) => match self.output {
                        Output::Text => writeln!(out, "{entry}"),
                        Output::Json => writeln!(out, "{line}"),
                        Output::Csv => {
                            totals.add(&entry);
                            Ok(())
                        }
                    },
                    Ok(_) => Ok(()),
                    Err(_) => {
                        unreadable += 1;
                        Ok(())
                    }
                }
            });
            read.map_err(|error| (path, error))?;
        }
        if self.output == Output::Csv {
            totals.write(&mut out).map_err(|error| (stdin, error))?;
        }
        Ok(unreadable)
    }
}

fn open(path: &Path) -> Result<File, (PathBuf, io::Error)> {
    File::open(path).map_err(|error| (path.to_owned(), error))
}
