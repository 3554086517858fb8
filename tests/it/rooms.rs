//! The rooms that run in pods, and those that only decide, know nothing of Kubernetes.

use std::fs;
use std::path::{Path, PathBuf};

const PLAIN: [&str; 12] = [
    "seal", "canary", "engine", "gate", "launch", "bridge", "mcp", "pull", "oci", "gguf", "types",
    "audit",
];

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn no_kubernetes_types_outside_their_rooms() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for room in PLAIN {
        files(&source.join(room), &mut found);
    }
    assert!(found.len() > 40, "found only {} files", found.len());
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        for name in ["k8s_openapi", "kube::", "crate::api", "crate::controller"] {
            assert!(!text.contains(name), "{} names {name}", path.display());
        }
    }
}
