//! What is said to people and scripts: results on the standard output, everything else on the standard error.

use std::fmt::Display;
use std::io::{self, Write as _};

use super::Exit;

/// Prints a result, and gives `exit` back. That the reader of a pipe has seen enough is no trouble.
pub(super) fn result(text: &str, exit: Exit) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => exit,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit,
        Err(why) => {
            error(format!("failed to print: {why}"));
            Exit::Passing
        }
    }
}

/// Says why there is no result, in the form of the messages about flags.
pub(super) fn error(why: impl Display) {
    // Nobody is left to tell that this cannot be written.
    let _ = writeln!(io::stderr(), "error: {why}");
}

/// Says why nothing comes yet.
pub(super) fn note(what: impl Display) {
    let _ = writeln!(io::stderr(), "{what}");
}
