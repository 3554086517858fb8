use super::super::{Geometry, LatentAttention, LayerGroup};
use super::*;

const MIB: u64 = 1 << 20;

fn smollm2() -> Geometry {
    Geometry {
        weight_bytes: 92 * MIB,
        context_length: 8_192,
        vocabulary: 49_152,
        key_length: 64,
        value_length: 64,
        window: 0,
        layers: vec![LayerGroup {
            count: 30,
            kv_heads: 3,
            sliding: false,
        }],
        latent: None,
    }
}

fn gemma3() -> Geometry {
    Geometry {
        weight_bytes: 222 * MIB,
        context_length: 32_768,
        vocabulary: 262_144,
        key_length: 256,
        value_length: 256,
        window: 512,
        layers: vec![
            LayerGroup {
                count: 3,
                kv_heads: 1,
                sliding: false,
            },
            LayerGroup {
                count: 15,
                kv_heads: 1,
                sliding: true,
            },
        ],
        latent: None,
    }
}

fn settings(context: u32, kv: KvType) -> Settings {
    Settings {
        context,
        kv_k: kv,
        kv_v: kv,
        ..Settings::default()
    }
}

fn within_a_tenth(ours: u64, oracle_mib: u64) {
    let oracle = oracle_mib * MIB;
    assert!(
        ours.abs_diff(oracle) * 10 <= oracle,
        "{} MiB instead of {oracle_mib}",
        ours / MIB
    );
}

/// The numbers of `llama-fit-params --fit-print on`, in MiB: weights, cache, compute.
#[rstest::rstest]
#[case::smollm2_f16(smollm2(), 8_192, KvType::F16, [92, 180, 109])]
#[case::smollm2_q8_0(smollm2(), 8_192, KvType::Q8_0, [92, 95, 109])]
#[case::gemma3_8k(gemma3(), 8_192, KvType::F16, [222, 39, 527])]
#[case::gemma3_32k(gemma3(), 32_768, KvType::F16, [222, 111, 551])]
fn agrees_with_llama_fit_params(
    #[case] geometry: Geometry,
    #[case] context: u32,
    #[case] kv: KvType,
    #[case] oracle: [u64; 3],
) {
    let memory = estimate(&geometry, &settings(context, kv));
    within_a_tenth(memory.weights, oracle[0]);
    within_a_tenth(memory.kv_cache, oracle[1]);
    within_a_tenth(memory.compute, oracle[2]);
    assert!(memory.total >= oracle.iter().sum::<u64>() * MIB);
}

#[test]
fn slots_divide_the_context_and_pad_each_part() {
    let one = estimate(&smollm2(), &settings(8_192, KvType::F16));
    let two = estimate(
        &smollm2(),
        &Settings {
            parallel: 2,
            ..settings(8_192, KvType::F16)
        },
    );
    assert_eq!(one.kv_cache, two.kv_cache);
    let three = estimate(
        &smollm2(),
        &Settings {
            parallel: 3,
            ..settings(8_192, KvType::F16)
        },
    );
    assert_eq!(three.kv_cache, one.kv_cache / 8_192 * (2_816 * 3));
}

#[test]
fn latent_attention_keeps_one_key_and_no_value() {
    let geometry = Geometry {
        latent: Some(LatentAttention { length: 576 }),
        ..smollm2()
    };
    let memory = estimate(&geometry, &settings(1_024, KvType::F16));
    assert_eq!(memory.kv_cache, 30 * 1_024 * 576 * 2);
}

#[test]
fn absurd_numbers_saturate() {
    let geometry = Geometry {
        weight_bytes: u64::MAX,
        key_length: u32::MAX,
        value_length: u32::MAX,
        layers: vec![LayerGroup {
            count: u32::MAX,
            kv_heads: u32::MAX,
            sliding: true,
        }],
        ..smollm2()
    };
    let most = Settings {
        context: u32::MAX,
        parallel: u32::MAX,
        batch: u32::MAX,
        ..Settings::default()
    };
    assert_eq!(estimate(&geometry, &most).total, u64::MAX);
}

#[rstest::rstest]
#[case("f16", KvType::F16)]
#[case("q8_0", KvType::Q8_0)]
#[case("iq4_nl", KvType::Iq4Nl)]
fn names_agree_with_serde(#[case] name: &str, #[case] kind: KvType) {
    assert_eq!(name.parse(), Ok(kind));
    assert_eq!(kind.as_str(), name);
    assert_eq!(serde_json::to_value(kind).unwrap(), name);
}
