//! Plan and pull against registries that behave, and against some that do not.

mod auth;
mod commands;
mod hostile;
mod registry;
mod sample;
mod waiting;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sealroom::gguf::Kind;
use sealroom::pull::{Artifact, Config, Layout, Progress, PullError, Timing, run};

use registry::{NAME, Server};

/// A configuration with the patience of a test.
fn config(server: &Server, dir: &Path) -> Config {
    let ca = dir.join("../ca.crt");
    std::fs::write(&ca, &server.ca).unwrap();
    Config {
        reference: server.reference().parse().unwrap(),
        to: Some(dir.to_owned()),
        layout: Layout::LlamaCpp,
        kind: Kind::Model,
        ca: Some(ca),
        auth_files: vec![],
        allow: vec![server.authority().parse().unwrap()],
        resolve: [(NAME.to_owned(), vec![server.address.ip()])].into(),
        wait: false,
        reverify: false,
        max_bytes: None,
        timing: Timing {
            // What is not silent on purpose is no slower on a busy machine.
            stall: Duration::from_secs(2),
            attempts: 3,
            backoff: Duration::from_millis(5),
            poll: Duration::from_millis(20),
            again: Duration::from_secs(600),
        },
    }
}

/// A directory for the artifact, beside room for other files.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.dir()).unwrap();
        place
    }

    fn dir(&self) -> std::path::PathBuf {
        self.0.path().join("models")
    }

    fn model(&self) -> Option<Vec<u8>> {
        std::fs::read(self.dir().join("model.gguf")).ok()
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }
}

fn pull_with(config: &Config, progress: &Arc<Progress>) -> Result<Artifact, PullError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), run(config, progress))
            .await
            .expect("the pull ends")
    })
}

fn pull(config: &Config) -> Result<Artifact, PullError> {
    pull_with(config, &Arc::default())
}
