//! Where a text was written down since a moment: in files of the nodes, of the cluster's programs, in pods' logs.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use nix::sys::statfs::{
    BPF_FS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, FsType, NSFS_MAGIC, PROC_SUPER_MAGIC,
    SYSFS_MAGIC, statfs,
};

use crate::suite::stage::Stage;
use crate::world::name_of;

/// File systems that the kernel makes up, where nobody keeps anything.
const KERNELS: [FsType; 6] = [
    BPF_FS_MAGIC,
    CGROUP_SUPER_MAGIC,
    CGROUP2_SUPER_MAGIC,
    NSFS_MAGIC,
    PROC_SUPER_MAGIC,
    SYSFS_MAGIC,
];

/// A text that is looked for, and where it was found.
#[derive(Debug, Default)]
pub(super) struct Found(pub Vec<String>);

/// Looks for a text in everything that was written since a moment.
pub(super) async fn everywhere(stage: &Stage, text: &str, since: SystemTime) -> Result<Found> {
    let mut found = in_logs(stage, text).await?;
    let mut roots = node_roots(stage.cluster().cgroup()?)?;
    ensure!(!roots.is_empty(), "expected nodes to search");
    let directory = stage.world.environment.bed_dir.clone();
    roots.push(directory.context("failed to find the bed's directory")?);
    let needle = text.as_bytes().to_vec();
    let files = tokio::task::spawn_blocking(move || in_files(&roots, &needle, since)).await??;
    found.extend(files.iter().map(|path| path.display().to_string()));
    Ok(Found(found))
}

/// What every container of the cluster logs, and logged before it was started again.
async fn in_logs(stage: &Stage, text: &str) -> Result<Vec<String>> {
    let mut found = vec![];
    let mut read = 0;
    for pod in stage.world.list("/api/v1/pods").await? {
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
        for statuses in ["initContainerStatuses", "containerStatuses"] {
            for status in pod["status"][statuses].as_array().into_iter().flatten() {
                let container = status["name"].as_str().unwrap_or_default();
                let restarted = status["restartCount"].as_u64().unwrap_or(0) > 0;
                for previous in [false, true] {
                    if previous && !restarted {
                        continue;
                    }
                    let pod = name_of(&pod);
                    let flag = format!("--previous={previous}");
                    let logs = ["logs", "-n", namespace, pod, "-c", container, &flag];
                    // A container that waits or a pod that goes has no log to read.
                    let Ok(log) = stage.world.kubectl(&logs).await else {
                        continue;
                    };
                    read += 1;
                    if log.stdout.contains(text) || log.stderr.contains(text) {
                        found.push(format!("kubectl logs {namespace}/{pod} {container} {flag}"));
                    }
                }
            }
        }
    }
    ensure!(read > 10, "expected the logs of the cluster, read {read}");
    Ok(found)
}

/// What the nodes of this cgroup write to, as they see it: volumes in memory are mounted there and nowhere else.
fn node_roots(cgroup: &str) -> Result<Vec<PathBuf>> {
    let mut roots = vec![];
    for entry in fs::read_dir("/proc")? {
        let process = entry?.path();
        let read = |file: &str| fs::read_to_string(process.join(file)).unwrap_or_default();
        if read("comm").trim() == "kubelet" && read("cgroup").contains(cgroup) {
            let root = process.join("root");
            roots.extend(["var", "run", "tmp", "root", "etc", "dev/shm"].map(|d| root.join(d)));
        }
    }
    Ok(roots)
}

/// The files below these directories that were written since a moment and hold these bytes. What goes away
/// meanwhile is passed over.
fn in_files(roots: &[PathBuf], needle: &[u8], since: SystemTime) -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    let mut waiting = roots.to_vec();
    while let Some(path) = waiting.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        let kept = || statfs(&path).is_ok_and(|on| !KERNELS.contains(&on.filesystem_type()));
        if metadata.is_dir() && kept() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            waiting.extend(entries.map(|entry| entry.path()));
            continue;
        }
        let written = metadata.is_file() && metadata.modified()? >= since && kept();
        if written && holds(&path, needle)? {
            found.push(path);
        }
    }
    Ok(found)
}

/// Whether a file holds these bytes, read piece by piece.
fn holds(path: &Path, needle: &[u8]) -> Result<bool> {
    let gone = |error: &std::io::Error| {
        matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::PermissionDenied
        ) || error.raw_os_error() == Some(nix::libc::ESRCH)
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if gone(&error) => return Ok(false),
        Err(error) => {
            return Err(error).with_context(|| format!("failed to open {}", path.display()));
        }
    };
    let finder = needle.len().saturating_sub(1);
    let mut held = Vec::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let n = match file.read(&mut piece) {
            Ok(n) => n,
            Err(error) if gone(&error) => 0,
            Err(error) => {
                return Err(error).with_context(|| format!("failed to read {}", path.display()));
            }
        };
        if n == 0 {
            return Ok(false);
        }
        held.extend_from_slice(&piece[..n]);
        if contains(&held, needle) {
            return Ok(true);
        }
        // The end stays: the text may stand across two pieces.
        held.drain(..held.len().saturating_sub(finder));
    }
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    let Some((first, _)) = needle.split_first() else {
        return true;
    };
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_across_two_pieces_is_found_and_an_older_file_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        let before = SystemTime::now() - std::time::Duration::from_secs(60);
        let mut text = vec![b'p'; (1 << 20) - 3];
        text.extend(b"phrase and more");
        fs::write(inner.join("held"), &text).unwrap();
        fs::write(inner.join("other"), "phras").unwrap();
        let look = |since| in_files(&[directory.path().to_owned()], b"phrase", since).unwrap();
        assert_eq!(look(before), [inner.join("held")]);
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        assert!(look(later).is_empty());
    }
}
