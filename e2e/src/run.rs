//! Running other programs: with a deadline, with bounded output, and with an error that shows the end of it.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

/// How much of each stream is kept, in bytes: the end of it.
const KEPT: usize = 4 << 20;
/// How many lines of standard error an error message shows.
const SHOWN: usize = 15;

/// Why a program did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The program is not there or cannot be executed.
    #[error("failed to start {program}: {source}")]
    Start {
        /// The program as it was named.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ran longer than it was given, and was killed.
    #[error("failed to finish {program} within {} s", deadline.as_secs())]
    Deadline {
        /// The program and its arguments.
        program: String,
        /// What it was given.
        deadline: Duration,
    },
    /// It ended with something other than 0.
    #[error("failed to run {program}: {status}\n{tail}")]
    Failed {
        /// The program and its arguments.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        tail: String,
    },
    /// Its pipes broke.
    #[error("failed to talk to {program}: {source}")]
    Pipe {
        /// The program and its arguments.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What a program wrote; the end of each stream when there was more than 4 MiB.
#[derive(Debug, Clone)]
pub struct Output {
    /// Standard output, lossy UTF-8.
    pub stdout: String,
    /// Standard error, lossy UTF-8.
    pub stderr: String,
}

/// A program to run.
#[derive(Debug, Clone)]
pub struct Program {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    input: Vec<u8>,
    deadline: Duration,
    inherit: bool,
}

impl Program {
    /// A program by name or path, with a deadline of one minute.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            input: Vec::new(),
            deadline: Duration::from_secs(60),
            inherit: false,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, arguments: I) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets a variable beside the inherited ones.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Gives it this on standard input; nothing otherwise.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Kills it after this long.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Lets it write to our own output, for somebody who watches.
    #[must_use]
    pub fn inherit(mut self) -> Self {
        self.inherit = true;
        self
    }

    /// The command line, for messages.
    fn line(&self) -> String {
        std::iter::once(&self.program)
            .chain(&self.arguments)
            .map(|a| a.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(300)
            .collect()
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started, does not end in time, or ends with something other than 0.
    pub async fn run(&self) -> Result<Output, RunError> {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .kill_on_drop(true);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.stdin(if self.input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        });
        if !self.inherit {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().map_err(|source| RunError::Start {
            program: self.program.to_string_lossy().into(),
            source,
        })?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let talk = async {
            let feed = async {
                if let Some(mut stdin) = stdin {
                    // A program that has read enough may close its input before the end.
                    let _ = stdin.write_all(&self.input).await;
                }
                Ok(())
            };
            tokio::try_join!(child.wait(), tail(stdout), tail(stderr), feed)
        };
        let (status, stdout, stderr, ()) = tokio::time::timeout(self.deadline, talk)
            .await
            .map_err(|_| RunError::Deadline {
                program: self.line(),
                deadline: self.deadline,
            })?
            .map_err(|source| RunError::Pipe {
                program: self.line(),
                source,
            })?;
        if !status.success() {
            let shown = if stderr.trim().is_empty() {
                &stdout
            } else {
                &stderr
            };
            let lines: Vec<&str> = shown.lines().collect();
            let tail = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
            return Err(RunError::Failed {
                program: self.line(),
                status,
                tail,
            });
        }
        Ok(Output { stdout, stderr })
    }
}

/// Reads a stream to its end and keeps the last [`KEPT`] bytes.
async fn tail(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let Some(mut stream) = stream else {
        return Ok(String::new());
    };
    let mut kept = VecDeque::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        let n = stream.read(&mut chunk).await?;
        if n == 0 {
            break;
        }
        kept.extend(&chunk[..n]);
        let excess = kept.len().saturating_sub(KEPT);
        kept.drain(..excess);
    }
    Ok(String::from_utf8_lossy(&Vec::from(kept)).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("sh").args(["-c", script])
    }

    #[tokio::test]
    async fn gives_what_was_written() {
        let output = shell("cat; echo err >&2").input("in").run().await.unwrap();
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("in", "err\n")
        );
    }

    #[tokio::test]
    async fn shows_the_last_lines_of_a_failure() {
        let error = shell("seq 1 40 >&2; exit 3")
            .run()
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("exit status: 3") && error.ends_with("\n40"),
            "{error}"
        );
        assert!(!error.contains("\n25\n"), "{error}");
    }

    #[tokio::test]
    async fn kills_at_the_deadline() {
        let began = std::time::Instant::now();
        let error = shell("exec sleep 30")
            .deadline(Duration::from_millis(100))
            .run()
            .await
            .unwrap_err();
        assert!(matches!(error, RunError::Deadline { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn keeps_the_end_of_much_output() {
        let output = shell("head -c 6000000 /dev/zero; echo end")
            .run()
            .await
            .unwrap();
        assert_eq!(output.stdout.len(), KEPT);
        assert!(output.stdout.ends_with("end\n"));
    }
}
