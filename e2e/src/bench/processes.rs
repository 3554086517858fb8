//! Processes of this machine, those in the nodes' namespaces included.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// A running process.
#[derive(Clone, Debug)]
pub struct Process {
    pid: u32,
    arguments: Vec<String>,
}

/// All that run now.
#[must_use]
pub fn all() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let arguments = line.split('\0').map(ToOwned::to_owned).collect();
            Some(Process { pid, arguments })
        })
        .collect()
}

impl Process {
    /// Whether its program has this file name.
    #[must_use]
    pub fn is(&self, program: &str) -> bool {
        let path = self.arguments.first();
        path.is_some_and(|path| path.rsplit('/').next() == Some(program))
    }

    /// Its first argument after the program.
    #[must_use]
    pub fn command(&self) -> &str {
        self.arguments.get(1).map_or("", String::as_str)
    }

    /// Whether it runs still.
    #[must_use]
    pub fn runs(&self) -> bool {
        PathBuf::from(format!("/proc/{}", self.pid)).exists()
    }

    /// Its resident memory, in MiB.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory(&self) -> Result<f64> {
        resident(self.pid)
    }
}

/// The resident memory of a process, in MiB.
///
/// # Errors
/// When there is none of this number.
pub fn resident(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .context("failed to read the status of a process")?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))
        .and_then(|kib| kib.trim().parse::<f64>().ok());
    Ok(kib.context("failed to find VmRSS")? / 1024.0)
}

/// A process and its children.
///
/// # Errors
/// When there is none of this number.
pub fn family(pid: u32) -> Result<Vec<u32>> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .context("failed to read the children of a process")?;
    let children = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok());
    Ok(std::iter::once(pid).chain(children).collect())
}
