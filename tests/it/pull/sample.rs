//! A small GGUF file, by the spec (ggml, `docs/gguf.md`), and its manifest.

use sha2::{Digest as _, Sha256};

/// Rows of the one tensor; a row has 64 f32.
const ROWS: u64 = 16_384;

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn text(out: &mut Vec<u8>, key: &str, value: &str) {
    put(out, key);
    out.extend(8_u32.to_le_bytes());
    put(out, value);
}

fn number(out: &mut Vec<u8>, key: &str, value: u32) {
    put(out, key);
    out.extend(4_u32.to_le_bytes());
    out.extend(value.to_le_bytes());
}

/// A model of 4 MiB with two layers.
pub fn gguf() -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend(1_u64.to_le_bytes());
    out.extend(7_u64.to_le_bytes());
    text(&mut out, "general.architecture", "llama");
    text(&mut out, "general.license", "apache-2.0");
    number(&mut out, "general.file_type", 0);
    number(&mut out, "llama.block_count", 2);
    number(&mut out, "llama.context_length", 2_048);
    number(&mut out, "llama.embedding_length", 64);
    number(&mut out, "llama.attention.head_count", 4);
    put(&mut out, "token_embd.weight");
    out.extend(2_u32.to_le_bytes());
    out.extend(64_u64.to_le_bytes());
    out.extend(ROWS.to_le_bytes());
    out.extend(0_u32.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    out.resize(out.len().next_multiple_of(32), 0);
    let noise = (0..ROWS * 64).map(|n| {
        u32::try_from(n % 65_521)
            .unwrap()
            .wrapping_mul(2_654_435_761)
    });
    out.extend(noise.flat_map(u32::to_le_bytes));
    out
}

/// An adapter of one tensor.
pub fn adapter() -> Vec<u8> {
    let says = [
        ("general.architecture", "llama"),
        ("general.type", "adapter"),
        ("adapter.type", "lora"),
    ];
    small(&says, "blk.0.attn_q.weight.lora_a")
}

/// A projector of one tensor.
pub fn projector() -> Vec<u8> {
    let says = [("general.architecture", "clip"), ("general.type", "mmproj")];
    small(&says, "v.patch_embd.weight")
}

/// A file that says this of itself, with one tensor of 32 f32.
fn small(says: &[(&str, &str)], tensor: &str) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend(1_u64.to_le_bytes());
    out.extend((says.len() as u64).to_le_bytes());
    for (key, value) in says {
        text(&mut out, key, value);
    }
    put(&mut out, tensor);
    out.extend(1_u32.to_le_bytes());
    out.extend(32_u64.to_le_bytes());
    out.extend(0_u32.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    out.resize(out.len().next_multiple_of(32) + 128, 0);
    out
}

pub fn digest(bytes: &[u8]) -> String {
    let hex = Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect::<String>();
    format!("sha256:{hex}")
}

/// A manifest as `oras push` writes it.
pub fn manifest(blob_digest: &str, size: u64, title: &str) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.unknown.artifact.v1",
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": digest(b"{}"),
            "size": 2,
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": blob_digest,
            "size": size,
            "urls": ["https://elsewhere.test/m.gguf"],
            "annotations": { "org.opencontainers.image.title": title },
        }],
    }))
    .unwrap()
}
