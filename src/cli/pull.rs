//! `sealroom pull`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, say};
use crate::gguf::Kind;
use crate::oci::Authority;
use crate::pull::{
    self, Layout, Phase, Progress, ProgressReport, PullError, Reason, TerminationMessage, Timing,
};
use crate::types::ImageRef;

/// Between two looks at how far it is, for a person.
const LOOK: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
What is there already is verified and kept: a second run goes on where the first one ended.

Examples:
  sealroom pull --plan registry.internal:5000/models/smollm2@sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
  sealroom pull --to models --ca ca.crt registry.internal:5000/models/smollm2@sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// One line.
    Text,
    /// The termination message.
    Json,
}

/// Flags of `sealroom pull`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The artifact by digest, HOST[:PORT]/REPOSITORY@sha256:…
    reference: ImageRef,
    /// Directory that receives the artifact
    #[arg(long, value_name = "DIR", required_unless_present = "plan")]
    to: Option<PathBuf>,
    /// Read manifest and header only, and report size and geometry
    #[arg(long)]
    plan: bool,
    /// PEM file with the registry's CA; the only roots where given
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// dockerconfigjson file, repeatable; each must be there
    #[arg(long = "auth-file", value_name = "FILE")]
    auth_files: Vec<PathBuf>,
    /// Host that may be spoken to, repeatable; default is the reference's
    #[arg(long = "allow-host", value_name = "HOST[:PORT]")]
    allow: Vec<Authority>,
    /// Address of a host, repeatable; where given, no name is looked up
    #[arg(long, value_name = "HOST=IP", value_parser = parse_resolve)]
    resolve: Vec<(String, IpAddr)>,
    /// Files fetched at once, at most 16; an artifact has one, so more than 1 changes nothing
    #[arg(long, value_name = "FILES", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    parallel: u8,
    /// Wait for a missing secret, a refused password, an unknown CA or a silent registry to be mended
    #[arg(long)]
    wait: bool,
    /// Where to answer GET /progress
    #[arg(long, value_name = "ADDRESS")]
    progress_listen: Option<SocketAddr>,
    /// File that receives the result as JSON of at most 4,096 bytes
    #[arg(long, value_name = "FILE")]
    termination_message: Option<PathBuf>,
    /// For which engine the directory is laid out
    #[arg(long, value_enum, default_value_t = Layout::LlamaCpp)]
    layout: Layout,
    /// What the file must be
    #[arg(long, value_enum, default_value_t = Kind::Model)]
    kind: Kind,
    /// How the result is printed on stdout
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Refuse an artifact that is larger than so many bytes
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,
    /// Read the bytes of a finished directory again
    #[arg(long)]
    reverify: bool,
    /// Longest silence on a connection, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    stall_seconds: u64,
}

fn parse_resolve(text: &str) -> Result<(String, IpAddr), String> {
    let (host, ip) = text.split_once('=').ok_or("expected HOST=IP")?;
    let ip = ip.parse().map_err(|_| "expected an IP address after =")?;
    let authority: Authority = host.parse().map_err(|_| "expected a host before =")?;
    Ok((authority.host().to_owned(), ip))
}

/// The contract with `podFailurePolicy`: 2 to 5 are final.
fn exit(reason: Reason) -> Exit {
    match reason {
        Reason::RegistryNotDeclared => Exit::Undeclared,
        Reason::VolumeTooSmall => Exit::NoSpace,
        Reason::NotFound
        | Reason::DigestMismatch
        | Reason::NotGGUF
        | Reason::Truncated
        | Reason::InvalidManifest
        | Reason::UnsupportedFormat
        | Reason::WrongKind
        | Reason::TooLarge => Exit::Refused,
        Reason::Unauthorized
        | Reason::UnknownCA
        | Reason::SecretMissing
        | Reason::Unreachable
        | Reason::InvalidAnswer
        | Reason::VolumeInUse
        | Reason::VolumeFailed
        | Reason::Interrupted => Exit::Passing,
    }
}

impl Args {
    /// Runs until the artifact is there or cannot be.
    pub fn run(self) -> Exit {
        crate::telemetry::init();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            // Dropping the runtime waits for the writer, which saves its state first.
            Ok(runtime) => runtime.block_on(self.work()),
            Err(error) => {
                tracing::error!(%error, "failed to start");
                Exit::Passing
            }
        }
    }

    async fn work(self) -> Exit {
        let progress = Arc::new(Progress::default());
        if let Some(address) = self.progress_listen
            && let Err(error) = pull::serve_progress(address, progress.clone()).await
        {
            tracing::error!(%error, %address, "failed to listen");
            return Exit::Passing;
        }
        let config = self.config();
        let (message, exit) = tokio::select! {
            result = pull::run(&config, &progress) => self.ended(result),
            () = stopped() => {
                let text = "the pull was told to stop; what is there is kept".to_owned();
                (TerminationMessage::ended(Reason::Interrupted, text), Exit::Passing)
            }
            never = self.tell(&progress) => match never {},
        };
        if self.is_watched() {
            overwrite("");
        }
        self.print(&message);
        exit
    }

    /// Whether a person looks.
    fn is_watched(&self) -> bool {
        self.output == Output::Text && io::stderr().is_terminal()
    }

    /// Tells a person how far it is, for ever, in a line of the terminal that is written over.
    async fn tell(&self, progress: &Progress) -> Infallible {
        if !self.is_watched() {
            return std::future::pending().await;
        }
        let mut looks = tokio::time::interval(LOOK);
        // The first look is at once, when there is nothing to see.
        looks.tick().await;
        loop {
            looks.tick().await;
            overwrite(&line(&progress.report()));
        }
    }

    fn ended(&self, result: Result<pull::Artifact, PullError>) -> (TerminationMessage, Exit) {
        match result {
            Ok(artifact) => (TerminationMessage::done(artifact, self.plan), Exit::Ok),
            Err(error) => (TerminationMessage::failed(&error), exit(error.reason())),
        }
    }

    fn config(&self) -> pull::Config {
        let mut resolve = HashMap::<String, Vec<IpAddr>>::new();
        for (host, ip) in &self.resolve {
            resolve.entry(host.clone()).or_default().push(*ip);
        }
        let mut allow = self.allow.clone();
        if allow.is_empty() {
            allow.extend(self.reference.registry().parse());
        }
        pull::Config {
            reference: self.reference.clone(),
            to: self.to.clone().filter(|_| !self.plan),
            layout: self.layout,
            kind: self.kind,
            ca: self.ca.clone(),
            auth_files: self.auth_files.clone(),
            allow,
            resolve,
            wait: self.wait,
            reverify: self.reverify,
            max_bytes: self.max_bytes,
            timing: Timing {
                stall: Duration::from_secs(self.stall_seconds),
                ..Timing::default()
            },
        }
    }

    fn print(&self, message: &TerminationMessage) {
        let json = message.to_bytes();
        if let Some(path) = &self.termination_message
            && let Err(error) = std::fs::write(path, &json)
        {
            tracing::warn!(%error, "failed to write the termination message");
        }
        let mut stdout = anstream::stdout();
        let _ = match (self.output, &message.artifact) {
            (Output::Json, _) => stdout.write_all(&json).and_then(|()| writeln!(stdout)),
            (Output::Text, Some(artifact)) => writeln!(
                stdout,
                "{:?} {} {} {} {} bytes",
                message.result,
                artifact.digest,
                artifact.architecture,
                artifact.quantization.as_deref().unwrap_or("-"),
                artifact.bytes,
            ),
            (Output::Text, None) => writeln!(stdout, "{:?} {}", message.result, message.reason),
        };
        match (self.output, &message.artifact) {
            (_, Some(_)) => {}
            (Output::Text, None) => {
                say::error(format!("{}: {}", message.reason, message.message));
            }
            (Output::Json, None) => {
                tracing::error!(reason = message.reason, "{}", message.message);
            }
        }
    }
}

/// Writes over the terminal's line, and leaves the cursor where the next one may begin.
fn overwrite(line: &str) {
    let mut err = io::stderr();
    // Whoever looks at the terminal sees that this cannot be written.
    let _ = write!(err, "\r{line:<78}\r").and_then(|()| err.flush());
}

/// How far it is, in one line.
fn line(report: &ProgressReport) -> String {
    let mib = |bytes: u64| bytes >> 20;
    match (report.phase, &report.waiting_for) {
        (Phase::Pulling, _) => {
            let share = u128::from(report.bytes) * 100 / u128::from(report.total.max(1));
            let (bytes, total) = (mib(report.bytes), mib(report.total));
            format!("{}%, {bytes} of {total} MiB", share.min(100))
        }
        (Phase::Waiting, Some(waiting)) => format!("waiting: {:?}", waiting.reason),
        (Phase::Planning | Phase::Waiting, _) => "reading the manifest and the header".to_owned(),
        (Phase::Verified | Phase::Failed, _) => String::new(),
    }
}

/// SIGTERM or SIGINT. As PID 1 neither would end us by itself.
async fn stopped() {
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pull::WaitingFor;

    #[rstest::rstest]
    #[case::planning(Phase::Planning, 0, 0, "reading the manifest and the header")]
    #[case::pulling(Phase::Pulling, 300 << 20, 1_200 << 20, "25%, 300 of 1200 MiB")]
    #[case::empty(Phase::Pulling, 0, 0, "0%, 0 of 0 MiB")]
    #[case::waiting(Phase::Waiting, 0, 0, "waiting: SecretMissing")]
    fn people_see_how_far_it_is(
        #[case] phase: Phase,
        #[case] bytes: u64,
        #[case] total: u64,
        #[case] expected: &str,
    ) {
        let waiting_for = (phase == Phase::Waiting).then(|| WaitingFor {
            reason: Reason::SecretMissing,
            message: String::new(),
        });
        let report = ProgressReport {
            v: 1,
            phase,
            bytes,
            total,
            waiting_for,
        };
        assert_eq!(line(&report), expected);
    }
}
