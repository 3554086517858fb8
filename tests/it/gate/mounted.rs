//! A Secret that the kubelet changes while the gate serves.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::bed::{Gate, PATIENCE, post};
use super::seal::serving;

/// From the kubelet's change to the gate's: it looks once in a second, and a busy machine takes its time.
const SOON: Duration = Duration::from_secs(10);

/// Lays one entry down as the kubelet does: the link to the newest data changes at once.
fn lay(dir: &Path, version: &str, name: &str, text: &str) {
    fs::create_dir(dir.join(version)).unwrap();
    fs::write(dir.join(version).join(name), text).unwrap();
    let next = dir.join("..data_tmp");
    symlink(version, &next).unwrap();
    fs::rename(next, dir.join("..data")).unwrap();
    let _ = symlink(Path::new("..data").join(name), dir.join(name));
}

async fn status(gate: &Gate, key: &str) -> u16 {
    let fields = format!("authorization: Bearer {key}\r\n");
    let body = r#"{"prompt":"x"}"#;
    post(gate.api, "/v1/completions", body, &fields)
        .await
        .status
}

#[tokio::test]
async fn a_key_that_is_swapped_counts_within_seconds() {
    let secret = tempfile::tempdir().unwrap();
    let dir = secret.path();
    lay(dir, "..1", "tools", "old");
    let (gate, _engine, _launch) = serving(&["--api-keys-dir", dir.to_str().unwrap()]).await;
    assert_eq!(status(&gate, "old").await, 200);
    assert_eq!(status(&gate, "new").await, 401);

    lay(dir, "..2", "tools", "new");
    // As the kubelet does, whoever reads it.
    fs::remove_dir_all(dir.join("..1")).unwrap();
    let begun = Instant::now();
    while status(&gate, "new").await != 200 {
        assert!(begun.elapsed() < PATIENCE, "the new key does not count");
        sleep(Duration::from_millis(50)).await;
    }
    let took = begun.elapsed();
    assert!(took < SOON, "{took:?}");
    assert_eq!(status(&gate, "old").await, 401, "one came, the other went");
}
