//! What is printed of the lines.

use std::borrow::Cow;
use std::io::{self, Write};

use super::{Failure, Output};
use crate::audit::{Entry, Filter, Line, Totals};

/// Prints the requests that somebody wants to see, each before the next line is taken: the standard output is flushed
/// with every line.
pub(super) struct Shown<W> {
    filter: Filter,
    output: Output,
    out: W,
    totals: Totals,
    unreadable: u64,
}

impl<W: Write> Shown<W> {
    /// Nothing yet.
    pub(super) fn new(filter: Filter, output: Output, out: W) -> Self {
        Self {
            filter,
            output,
            out,
            totals: Totals::default(),
            unreadable: 0,
        }
    }

    /// Takes a line. An audit line that is not UTF-8, or too long, is not as a gate wrote it.
    pub(super) fn take(&mut self, line: Line<'_>) -> io::Result<()> {
        if !line.whole {
            self.unreadable += u64::from(Entry::begins(line.bytes));
            return Ok(());
        }
        let text = String::from_utf8_lossy(line.bytes);
        let clean = matches!(text, Cow::Borrowed(_));
        match Entry::read(&text) {
            Ok(None) => {}
            Ok(Some(entry)) if clean => {
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

    /// Prints what is known at the end alone, and says how many audit lines were unreadable.
    pub(super) fn end(mut self) -> Result<u64, Failure> {
        if self.output == Output::Csv {
            self.totals.write(&mut self.out)?;
        }
        self.out.flush()?;
        Ok(self.unreadable)
    }
}
