//! Processes by a variable that all of them inherit, whoever their parent has become.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::processes::resident;

/// The variable.
const MARK: &str = "BENCH_MARK";

/// The processes of one proxy: itself, its children, and what those have started. What is left of them is killed when
/// this is dropped.
#[derive(Debug)]
pub struct Marked {
    mark: String,
}

impl Marked {
    /// A mark that nobody else has.
    #[must_use]
    pub fn new() -> Self {
        let mark = format!("{:016x}", rand::random::<u64>());
        Self { mark }
    }

    /// As the first of them gets it in its environment.
    #[must_use]
    pub fn variable(&self) -> (&'static str, &str) {
        (MARK, &self.mark)
    }

    /// Those that live.
    #[must_use]
    pub fn all(&self) -> Vec<u32> {
        let variable = format!("{MARK}={}", self.mark);
        let has = |path: &Path| {
            let environment = std::fs::read(path.join("environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|one| one == variable.as_bytes())
        };
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                has(&entry.path()).then_some(pid)
            })
            .collect()
    }

    /// Those but the proxy's own processes: how many, and their resident memory in MiB. Pages that they share count
    /// for each.
    #[must_use]
    pub fn children(&self, own: &[u32]) -> (usize, f64) {
        let mut children = self.all();
        children.retain(|pid| !own.contains(pid));
        // One may have ended since it was listed. The sum of nothing would be -0.
        let each = children.iter().filter_map(|pid| resident(*pid).ok());
        let memory = each.fold(0.0, |all, one| all + one);
        (children.len(), memory)
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        for pid in self.all() {
            if let Ok(pid) = i32::try_from(pid) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}
