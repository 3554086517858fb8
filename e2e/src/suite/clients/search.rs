//! Where texts were written down since a moment: in files of the nodes, of the cluster's programs, in pods' logs.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use memchr::memmem::Finder;
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

/// Where each of some texts stands in what was written since a moment: a list for each, in their order. All are
/// looked for at once, as reading is what takes long.
pub(super) async fn everywhere<const N: usize>(
    stage: &Stage,
    texts: [&str; N],
    since: SystemTime,
) -> Result<[Vec<String>; N]> {
    let mut found = in_logs(stage, texts).await?;
    let mut roots = node_roots(stage.cluster().cgroup()?)?;
    ensure!(!roots.is_empty(), "expected nodes to search");
    let directory = stage.world.environment.bed_dir.clone();
    roots.push(directory.context("failed to find the bed's directory")?);
    let needles = texts.map(|text| Finder::new(text).into_owned());
    let files = tokio::task::spawn_blocking(move || in_files(&roots, &needles, since)).await??;
    for (found, files) in found.iter_mut().zip(files) {
        found.extend(files.iter().map(|path| path.display().to_string()));
    }
    Ok(found)
}

/// What every container of the cluster logs, and logged before it was started again.
async fn in_logs<const N: usize>(stage: &Stage, texts: [&str; N]) -> Result<[Vec<String>; N]> {
    let mut found = [const { vec![] }; N];
    let mut read = 0;
    for pod in stage.world.list("/api/v1/pods").await? {
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
        let name = name_of(&pod);
        for statuses in ["initContainerStatuses", "containerStatuses"] {
            for status in pod["status"][statuses].as_array().into_iter().flatten() {
                let container = status["name"].as_str().unwrap_or_default();
                let restarted = status["restartCount"].as_u64().unwrap_or(0) > 0;
                for previous in [false, true].into_iter().take(1 + usize::from(restarted)) {
                    let path = format!(
                        "/api/v1/namespaces/{namespace}/pods/{name}/log?container={container}&previous={previous}"
                    );
                    // A container that waits or a pod that goes has no log to read.
                    let Ok(log) = stage.world.text(&path).await else {
                        continue;
                    };
                    read += 1;
                    for (found, text) in found.iter_mut().zip(texts) {
                        if log.contains(text) {
                            found.push(format!("log of {namespace}/{name} {container}"));
                        }
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

/// The files below these directories that were written since a moment and hold these bytes, for each needle. What
/// goes away meanwhile is passed over.
fn in_files<const N: usize>(
    roots: &[PathBuf],
    needles: &[Finder<'_>; N],
    since: SystemTime,
) -> Result<[Vec<PathBuf>; N]> {
    let mut found = [const { vec![] }; N];
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
        if metadata.is_file() && metadata.modified()? >= since && kept() {
            for (found, held) in found.iter_mut().zip(held(&path, needles)?) {
                found.extend(held.then(|| path.clone()));
            }
        }
    }
    Ok(found)
}

/// Which needles a file holds, read piece by piece.
fn held<const N: usize>(path: &Path, needles: &[Finder<'_>; N]) -> Result<[bool; N]> {
    let gone = |error: &std::io::Error| {
        matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::PermissionDenied
        ) || error.raw_os_error() == Some(nix::libc::ESRCH)
    };
    let mut found = [false; N];
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if gone(&error) => return Ok(found),
        Err(error) => {
            return Err(error).with_context(|| format!("failed to open {}", path.display()));
        }
    };
    // The end stays: a text may stand across two pieces.
    let longest = needles.iter().map(|needle| needle.needle().len()).max();
    let end = longest.unwrap_or(0).saturating_sub(1);
    let mut text = Vec::new();
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
            return Ok(found);
        }
        text.extend_from_slice(&piece[..n]);
        for (found, needle) in found.iter_mut().zip(needles) {
            *found |= needle.find(&text).is_some();
        }
        text.drain(..text.len().saturating_sub(end));
    }
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
        let needles = ["phrase", "absent", "phras"].map(Finder::new);
        let look = |since| in_files(&[directory.path().to_owned()], &needles, since).unwrap();
        let [phrase, absent, beginning] = look(before);
        assert_eq!((phrase, absent), (vec![inner.join("held")], vec![]));
        assert_eq!(beginning.len(), 2);
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        assert!(look(later).iter().all(Vec::is_empty));
    }
}
