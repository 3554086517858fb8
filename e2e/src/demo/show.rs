//! How the demo speaks: a line a step, and on a terminal a live line for what goes on right now.

use std::io::{ErrorKind, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// One finished step.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// A word.
    pub stage: String,
    /// How long it took.
    pub seconds: f64,
    /// What was seen.
    pub text: String,
}

/// Prints steps as they end.
#[derive(Debug)]
pub struct Show {
    live: ProgressBar,
    begun: Instant,
    /// What was printed so far.
    pub stages: Vec<Stage>,
}

impl Default for Show {
    fn default() -> Self {
        Self::new()
    }
}

impl Show {
    /// Live on a terminal; plain elsewhere, in CI and where `NO_COLOR` is set.
    #[must_use]
    pub fn new() -> Self {
        let plain = ["CI", "NO_COLOR"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
        let live = if std::io::stderr().is_terminal() && !plain {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("  {spinner} {elapsed:>4} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            ProgressBar::hidden()
        };
        Self {
            live,
            begun: Instant::now(),
            stages: vec![],
        }
    }

    /// What goes on right now: seen on a terminal only.
    pub fn now(&self, text: impl Into<String>) {
        self.live.set_message(text.into());
    }

    /// A step ends: its time counts from the end of the one before.
    pub fn done(&mut self, stage: &str, text: impl Into<String>) {
        let took = self.begun.elapsed();
        self.done_in(stage, took, text);
        self.begun = Instant::now();
    }

    /// A step ends whose time was measured elsewhere.
    pub fn done_in(&mut self, stage: &str, took: Duration, text: impl Into<String>) {
        let text = text.into();
        let seconds = (took.as_secs_f64() * 100.0).round() / 100.0;
        self.say(&format!("demo {stage:<9} {seconds:>6.1}s {text}"));
        self.stages.push(Stage {
            stage: stage.to_owned(),
            seconds,
            text,
        });
    }

    /// Prints a line that belongs to no step.
    pub fn say(&self, line: &str) {
        self.live.suspend(|| anstream::println!("{line}"));
    }

    /// Ends the live line.
    pub fn end(&self) {
        self.live.finish_and_clear();
    }
}

/// What a run leaves for scripts: `last/demo.json` in the cache.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    /// The model's answer.
    pub answer: String,
    /// The artifact's digest.
    pub digest: String,
    /// The steps.
    pub stages: Vec<Stage>,
    /// The conditions at the end.
    pub conditions: serde_json::Value,
}

impl Record {
    fn path(cache: &Path) -> PathBuf {
        cache.join("last/demo.json")
    }

    /// Takes away what an earlier run left: a run that fails leaves none.
    ///
    /// # Errors
    /// When there is one that cannot be removed.
    pub fn forget(cache: &Path) -> Result<()> {
        match std::fs::remove_file(Self::path(cache)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, cache: &Path) -> Result<()> {
        std::fs::create_dir_all(cache.join("last"))?;
        std::fs::write(Self::path(cache), serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }
}
