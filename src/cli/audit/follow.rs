//! Logs that grow, and are rotated or truncated meanwhile.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::{CHUNK, Failure};
use crate::audit::{Line, Lines};

/// Between two looks at logs that do not grow.
const LOOK: Duration = Duration::from_millis(250);

/// Hands over each line of these logs, and goes on as they grow, until SIGINT. A line is handed over with its end, or
/// when its log was rotated.
///
/// # Errors
/// A log cannot be read, the first of `each`, or signals cannot be awaited.
pub(super) fn follow(
    paths: Vec<PathBuf>,
    each: impl FnMut(Line<'_>) -> io::Result<()>,
) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::Signal)?;
    runtime.block_on(until_interrupted(paths, each))
}

async fn until_interrupted(
    paths: Vec<PathBuf>,
    mut each: impl FnMut(Line<'_>) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Signal)?;
    let logs: Result<Vec<_>, _> = paths.into_iter().map(Log::open).collect();
    let (mut logs, mut chunk) = (logs?, vec![0; CHUNK]);
    loop {
        let mut came = false;
        for log in &mut logs {
            came |= log.take(&mut chunk, &mut each)?;
        }
        let pause = if came {
            // A signal is heard while much comes, too.
            yield_now().await;
            Duration::ZERO
        } else {
            LOOK
        };
        if timeout(pause, interrupt.recv()).await.is_ok() {
            return Ok(());
        }
    }
}

/// A log, read as far as it has come.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    /// Bytes read of the file.
    read: u64,
    lines: Lines,
}

/// What has become of a file of which everything was read.
enum Now {
    /// It is still the one at its path.
    Same,
    /// It is, and shorter than what was read of it.
    Truncated,
    /// This one is there in its place.
    Rotated(File),
}

impl Log {
    fn open(path: PathBuf) -> Result<Self, Failure> {
        let file = match open(&path) {
            Ok(file) => file,
            Err(source) => return Err(Failure::Read { path, source }),
        };
        Ok(Self {
            path,
            file,
            read: 0,
            lines: Lines::default(),
        })
    }

    /// Takes as much of what has come as fits into `chunk`, or turns to what has taken its place. False where there is
    /// neither.
    fn take(
        &mut self,
        chunk: &mut [u8],
        mut each: impl FnMut(Line<'_>) -> io::Result<()>,
    ) -> Result<bool, Failure> {
        if self.piece(chunk, &mut each)? {
            return Ok(true);
        }
        match self.now().map_err(|source| self.failed(source))? {
            Now::Same => return Ok(false),
            Now::Truncated => {
                self.file.rewind().map_err(|source| self.failed(source))?;
                self.lines = Lines::default();
            }
            Now::Rotated(file) => {
                // What was written before the new one was seen.
                while self.piece(chunk, &mut each)? {}
                self.lines.finish(&mut each)?;
                self.file = file;
            }
        }
        self.read = 0;
        Ok(true)
    }

    /// False at the end of the file.
    fn piece(
        &mut self,
        chunk: &mut [u8],
        each: impl FnMut(Line<'_>) -> io::Result<()>,
    ) -> Result<bool, Failure> {
        let read = loop {
            match self.file.read(chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let count = read.map_err(|source| self.failed(source))?;
        self.read += count as u64;
        self.lines.take(&chunk[..count], each)?;
        Ok(count > 0)
    }

    fn now(&self) -> io::Result<Now> {
        let ours = self.file.metadata()?;
        // Nothing is at the path between a rotation and the first line that follows.
        if let Some(there) = if_there(fs::metadata(&self.path))?
            && id(&there) != id(&ours)
            && let Some(file) = if_there(open(&self.path))?
        {
            return Ok(Now::Rotated(file));
        }
        let shorter = ours.len() < self.read;
        Ok(if shorter { Now::Truncated } else { Now::Same })
    }

    fn failed(&self, source: io::Error) -> Failure {
        Failure::Read {
            path: self.path.clone(),
            source,
        }
    }
}

/// What no other file has while this one is open.
fn id(of: &Metadata) -> (u64, u64) {
    (of.dev(), of.ino())
}

/// Opens what has a length and a place in it: a pipe could keep whoever waits for it from everything else.
fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() {
        return File::open(path);
    }
    Err(io::Error::other(
        "only a regular file can be followed; a pipe can be the standard input",
    ))
}

fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
