//! A LoRA adapter for the model of the tests, made of noise: with it the model answers nonsense.

/// SmolLM2-135M: its layers, and the width of a token in them.
const LAYERS: u32 = 30;
const WIDTH: usize = 576;
const RANK: usize = 2;

/// A GGUF file of 280 KB: for the queries of each layer two matrices whose product is added to the model's
/// (llama.cpp, `convert_lora_to_gguf.py`).
#[must_use]
pub fn bytes() -> Vec<u8> {
    let (mut table, mut data) = (Vec::new(), Vec::new());
    let mut noise = Noise(1);
    for layer in 0..LAYERS {
        for (half, shape) in [("a", [WIDTH, RANK]), ("b", [RANK, WIDTH])] {
            text(
                &mut table,
                &format!("blk.{layer}.attn_q.weight.lora_{half}"),
            );
            table.extend(2_u32.to_le_bytes());
            for length in shape {
                table.extend((length as u64).to_le_bytes());
            }
            // 32-bit floats, and where they begin.
            table.extend(0_u32.to_le_bytes());
            table.extend((data.len() as u64).to_le_bytes());
            for _ in 0..WIDTH * RANK {
                data.extend(noise.next().to_le_bytes());
            }
            data.resize(data.len().next_multiple_of(32), 0);
        }
    }
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend(u64::from(2 * LAYERS).to_le_bytes());
    out.extend(4_u64.to_le_bytes());
    for (key, value) in [
        ("general.architecture", "llama"),
        ("general.type", "adapter"),
        ("adapter.type", "lora"),
    ] {
        text(&mut out, key);
        out.extend(8_u32.to_le_bytes());
        text(&mut out, value);
    }
    // The product counts by alpha divided by the rank: once.
    text(&mut out, "adapter.lora.alpha");
    out.extend(6_u32.to_le_bytes());
    out.extend((RANK as f32).to_le_bytes());
    out.extend(table);
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend(data);
    out
}

fn text(out: &mut Vec<u8>, value: &str) {
    out.extend((value.len() as u64).to_le_bytes());
    out.extend(value.as_bytes());
}

/// Numbers from -1 to 1 that look random and are the same each time (a linear congruence, with Knuth's constants).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let top = (self.0 >> 40) as f64;
        (top / f64::from(1 << 24) * 2.0 - 1.0) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These bytes were tried with llama-server of build 11669: nonsense with a scale of 1, and with 0 the model's own
    /// answer.
    #[test]
    fn the_bytes_are_those_that_were_tried() {
        let digest = "sha256:2e7701dbc5f8b9d422e7b97568d520a1a73d1abc0365fbc058b31d8d0cb8472c";
        assert_eq!(crate::registry::digest(&bytes()), digest);
    }
}
