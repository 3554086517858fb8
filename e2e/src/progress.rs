//! What a long-running command shows: a spinner on a terminal, plain lines elsewhere.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// A piece of work that somebody waits for. It says its end itself.
#[derive(Debug)]
pub struct Stage {
    what: String,
    began: Instant,
    bar: ProgressBar,
}

impl Stage {
    /// Begins it.
    pub fn begin(what: impl Into<String>) -> Self {
        let what = what.into();
        let bar = if live() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(what.clone());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self {
            what,
            began: Instant::now(),
            bar,
        }
    }

    /// Ends it: one line with its seconds and what came of it.
    pub fn end(self, result: &str) {
        self.bar.finish_and_clear();
        anstream::println!(
            "{} {:.1}s {result}",
            self.what,
            self.began.elapsed().as_secs_f64()
        );
    }
}

/// Whether somebody looks at a terminal that can be redrawn.
fn live() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    std::io::stderr().is_terminal() && !set("CI") && !set("NO_COLOR")
}
