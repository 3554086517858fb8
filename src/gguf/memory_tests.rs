use super::super::{Geometry, LatentAttention};
use super::*;

fn smollm2() -> Geometry {
    Geometry {
        weight_bytes: 96_600_000,
        embedding_bytes: 30_081_024,
        tied: true,
        context_length: 8_192,
        vocabulary: 49_152,
        width: 576,
        activation: 7_488,
        key_length: 64,
        value_length: 64,
        layers: vec![LayerGroup {
            count: 30,
            kv_heads: 3,
            bytes: 66_518_976,
            ..LayerGroup::default()
        }],
        ..Geometry::default()
    }
}

fn windowed() -> Geometry {
    let run = |count, sliding| LayerGroup {
        count,
        kv_heads: 1,
        sliding,
        bytes: u64::from(count) * 1_000_000,
        ..LayerGroup::default()
    };
    Geometry {
        window: 512,
        layers: vec![run(5, true), run(1, false), run(5, true), run(1, false)],
        ..smollm2()
    }
}

fn context(context: u32) -> Settings {
    Settings {
        context,
        ..Settings::default()
    }
}

#[test]
fn slots_divide_the_context_and_pad_each_part() {
    let slots = |parallel| Settings {
        parallel,
        ..context(8_192)
    };
    let one = estimate(&smollm2(), &slots(1));
    assert_eq!(one.kv_cache, estimate(&smollm2(), &slots(2)).kv_cache);
    let three = estimate(&smollm2(), &slots(3));
    assert_eq!(three.kv_cache, one.kv_cache / 8_192 * (2_816 * 3));
}

/// A window for each slot, whether they share the cache or not.
#[test]
fn a_shared_cache_holds_every_window_and_one_batch() {
    let settings = |unified| Settings {
        parallel: 4,
        unified,
        ..context(16_384)
    };
    let row = 64 * 2 * 2;
    let apart = estimate(&windowed(), &settings(false));
    assert_eq!(apart.kv_cache, row * (2 * 16_384 + 10 * 4 * 1_024));
    let shared = estimate(&windowed(), &settings(true));
    assert_eq!(shared.kv_cache, row * (2 * 16_384 + 10 * (4 * 512 + 512)));
}

#[test]
fn keys_and_values_have_their_own_types() {
    let settings = |kv_k, kv_v| Settings {
        kv_k,
        kv_v,
        ..context(8_192)
    };
    let mut geometry = smollm2();
    geometry.value_length = 128;
    let cells = 30 * 8_192 * 3;
    let cache = |kv_k, kv_v| estimate(&geometry, &settings(kv_k, kv_v)).kv_cache;
    assert_eq!(cache(KvType::Q8_0, KvType::F16), cells * (2 * 34 + 128 * 2));
    assert_eq!(cache(KvType::F16, KvType::Q8_0), cells * (64 * 2 + 4 * 34));
}

#[test]
fn latent_attention_keeps_one_key_and_no_value() {
    let geometry = Geometry {
        latent: Some(LatentAttention { length: 576 }),
        ..smollm2()
    };
    let memory = estimate(&geometry, &context(1_024));
    assert_eq!(memory.kv_cache, 30 * 1_024 * 576 * 2);
}

#[test]
fn a_state_is_there_once_for_each_slot_and_once_more_as_a_snapshot() {
    let mut geometry = smollm2();
    geometry.state = 1_000_000;
    geometry.layers[0].kv_heads = 0;
    geometry.layers[0].recurrent = true;
    let slots = |parallel| Settings {
        parallel,
        ..context(4_096)
    };
    let [one, four] = [1, 4].map(|n| estimate(&geometry, &slots(n)));
    assert_eq!((one.kv_cache, four.kv_cache), (120_000_000, 480_000_000));
    let reserve = 360_000_000 / 20;
    assert_eq!(four.total - one.total, 2 * 360_000_000 + reserve);
}

/// Everything is somewhere, and the output's table may be there twice.
#[rstest::rstest]
fn what_leaves_the_host_is_in_the_accelerator(
    #[values(smollm2(), windowed())] mut geometry: Geometry,
    #[values(0, 1, 2, 9, 13, 30, 31, 999)] gpu_layers: u32,
    #[values(true, false)] tied: bool,
) {
    geometry.tied = tied;
    let settings = Settings {
        gpu_layers,
        ..context(8_192)
    };
    let without = estimate(&geometry, &context(8_192));
    let Need { ram, vram } = need(&geometry, &settings);
    assert_eq!(vram.is_some(), gpu_layers > 0);
    let vram = vram.unwrap_or_default();
    assert_eq!(ram.kv_cache + vram.kv_cache, without.kv_cache);
    let twice = if tied && gpu_layers > 0 {
        geometry.embedding_bytes
    } else {
        0
    };
    assert_eq!(ram.weights + vram.weights, without.weights + twice);
    if gpu_layers > geometry.layer_count() {
        assert_eq!(ram.kv_cache, 0);
        assert_eq!(vram.compute, without.compute);
    }
}

/// The windows of the last layers are small, and the one that sees everything is among them.
#[test]
fn the_last_layers_go_first() {
    let settings = |gpu_layers| Settings {
        gpu_layers,
        ..context(8_192)
    };
    let there = |n| need(&windowed(), &settings(n)).vram.unwrap().kv_cache;
    let row = 64 * 2 * 2;
    assert_eq!(there(1), 0);
    assert_eq!(there(2), row * 8_192);
    assert_eq!(there(4), row * (8_192 + 2 * 1_024));
}

/// Where the order is lost, every kind gives its share.
#[test]
fn without_an_order_each_kind_gives_its_share() {
    let mut geometry = windowed();
    geometry.unordered = true;
    let settings = Settings {
        gpu_layers: 4,
        ..context(8_192)
    };
    let Need { ram, vram } = need(&geometry, &settings);
    assert_eq!(vram.unwrap().kv_cache * 3, ram.kv_cache);
}

#[test]
fn further_weights_are_counted() {
    let settings = Settings {
        further_weights: 1 << 30,
        ..context(4_096)
    };
    let more = estimate(&smollm2(), &settings).total - estimate(&smollm2(), &context(4_096)).total;
    assert_eq!(more, (1 << 30) + (1 << 30) / 20);
}

/// What an operator of before wrote into a status counts as more, never as less.
#[test]
fn a_geometry_of_before_is_read_and_errs_upwards() {
    let old = serde_json::json!({
        "weightBytes": 96_600_000, "contextLength": 8192, "vocabulary": 49152,
        "keyLength": 64, "valueLength": 64, "layers": [{ "count": 30, "kvHeads": 3 }],
    });
    let old: Geometry = serde_json::from_value(old).unwrap();
    assert!(estimate(&old, &context(8_192)).total >= estimate(&smollm2(), &context(8_192)).total);
}

#[test]
fn absurd_numbers_saturate() {
    let geometry = Geometry {
        weight_bytes: u64::MAX,
        embedding_bytes: u64::MAX,
        width: u32::MAX,
        activation: u32::MAX,
        key_length: u32::MAX,
        value_length: u32::MAX,
        state: u32::MAX,
        window: u32::MAX,
        layers: vec![
            LayerGroup {
                count: u32::MAX,
                kv_heads: u32::MAX,
                sliding: true,
                recurrent: true,
                bytes: u64::MAX,
            };
            2
        ],
        ..smollm2()
    };
    for gpu_layers in [0, 7, u32::MAX] {
        let most = Settings {
            context: u32::MAX,
            parallel: u32::MAX,
            batch: u32::MAX,
            unified: gpu_layers == 7,
            gpu_layers,
            further_weights: u64::MAX,
            ..Settings::default()
        };
        assert_eq!(estimate(&geometry, &most).total, u64::MAX);
    }
}

proptest::proptest! {
    /// More context never needs less, on either side.
    #[test]
    fn more_context_never_needs_less(
        less in 256_u32..200_000, more in 0_u32..200_000, parallel in 1_u32..9,
        gpu_layers in 0_u32..40, unified in proptest::bool::ANY, batch in 32_u32..4_096,
    ) {
        let at = |context| Settings { context, parallel, gpu_layers, unified, batch, ..Settings::default() };
        for geometry in [smollm2(), windowed()] {
            let (small, large) = (need(&geometry, &at(less)), need(&geometry, &at(less + more)));
            proptest::prop_assert!(small.ram.kv_cache <= large.ram.kv_cache);
            proptest::prop_assert!(small.ram.weights == large.ram.weights);
            let cache = |need: &Need| need.vram.unwrap_or_default().kv_cache;
            proptest::prop_assert!(cache(&small) <= cache(&large));
        }
    }
}

/// llama-server of build 11669 printed 22.65 and 90.59 MiB with `--embeddings`: no vector needs the vocabulary.
#[rstest::rstest]
#[case(512, 22.65)]
#[case(2_048, 90.59)]
fn vectors_need_no_logits(#[case] batch: u32, #[case] measured: f64) {
    let settings = Settings {
        batch,
        logits: false,
        ..context(8_192)
    };
    let ours = estimate(&smollm2(), &settings).compute as f64 / f64::from(1 << 20);
    assert!((ours - measured).abs() < 0.2, "{ours}");
    let text = Settings {
        logits: true,
        ..settings
    };
    assert!(estimate(&smollm2(), &text).compute > estimate(&smollm2(), &settings).compute);
}
