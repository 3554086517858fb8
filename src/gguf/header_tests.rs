use std::io::{self, Cursor, Read};

use super::super::sample::{Sample, put};
use super::super::{ChatFamily, Geometry, ModelPooling};
use super::*;

/// Reads what was written.
trait ReadBack {
    fn read(&self) -> Result<Header, GgufError>;
}

impl ReadBack for Sample {
    fn read(&self) -> Result<Header, GgufError> {
        Header::read(Cursor::new(self.bytes()), 1 << 40, Limits::default())
    }
}

fn gemma3() -> Sample {
    let mut tokens = Vec::new();
    for _ in 0..1_000 {
        put(&mut tokens, "tok");
    }
    Sample::default()
        .text("general.architecture", "gemma3")
        .int("general.file_type", 15)
        .text("general.license", "gemma")
        .int("gemma3.block_count", 18)
        .int("gemma3.context_length", 32_768)
        .int("gemma3.embedding_length", 640)
        .int("gemma3.attention.head_count", 4)
        .int("gemma3.attention.head_count_kv", 1)
        .int("gemma3.attention.key_length", 256)
        .int("gemma3.attention.value_length", 256)
        .int("gemma3.attention.sliding_window", 512)
        .text(
            "tokenizer.chat_template",
            &format!("{}<start_of_turn><end_of_turn>", "x".repeat(5_000)),
        )
        .array("tokenizer.ggml.tokens", 8, 1_000, &tokens)
        .tensor("token_embd.weight", &[640, 1_000], 1, 0)
}

/// Newer engines have types of tensors that are not in the table; their weights are in the file all the same.
#[test]
fn tensors_of_an_unknown_type_count_as_the_rest_of_the_file() {
    let sample = gemma3().tensor("blk.0.ffn_up.weight", &[640, 640], 999, 640 * 1_000 * 2);
    let bytes = sample.bytes();
    let header = Header::read(&*bytes, 1 << 30, Limits::default()).unwrap();
    assert_eq!(header.tensor_bytes, (1 << 30) - header.data_start);
}

#[test]
fn reads_what_decides_memory() {
    let header = gemma3().read().unwrap();
    assert_eq!(header.quantization(), Some("Q4_K_M"));
    assert_eq!(header.license(), Some("gemma"));
    assert_eq!(header.chat, Some(ChatFamily::Gemma));
    assert_eq!(header.tensor_bytes, 640 * 1_000 * 2);
    assert_eq!(header.data_start % 32, 0);
    let geometry = Geometry::from_header(&header).unwrap();
    assert_eq!(geometry.vocabulary, 1_000);
    let runs: Vec<_> = (geometry.layers.iter())
        .map(|run| (run.count, run.kv_heads, run.sliding))
        .collect();
    let period = [(5, 1, true), (1, 1, false)];
    assert_eq!(runs, [period, period, period].concat());
    let json = serde_json::to_string(&geometry).unwrap();
    assert_eq!(serde_json::from_str::<Geometry>(&json).unwrap(), geometry);
    assert!(json.len() < 600, "{json}");
}

#[test]
fn layers_may_differ_one_by_one() {
    let header = Sample::default()
        .text("general.architecture", "deci")
        .int("deci.block_count", 4)
        .int("deci.embedding_length", 64)
        .int("deci.attention.head_count", 8)
        .ints("deci.attention.head_count_kv", &[8, 0, 8, 4])
        .read()
        .unwrap();
    let geometry = Geometry::from_header(&header).unwrap();
    assert_eq!(geometry.key_length, 8);
    let counts: Vec<_> = geometry
        .layers
        .iter()
        .map(|g| (g.kv_heads, g.count))
        .collect();
    assert_eq!(counts, [(8, 1), (0, 1), (8, 1), (4, 1)]);
}

fn llama(layers: u32) -> Sample {
    Sample::default()
        .text("general.architecture", "llama")
        .int("llama.block_count", layers)
        .int("llama.embedding_length", 64)
        .int("llama.attention.head_count", 8)
}

/// Layers of experts are heavy, dense ones before them are not; a few bits more make no kind of its own.
#[test]
fn layers_of_other_weights_are_another_run() {
    let sizes = [64_u64, 80, 640, 600, 640];
    let sample = (0..).zip(sizes).fold(llama(5), |sample, (layer, rows)| {
        sample.weight(&format!("blk.{layer}.ffn_up.weight"), &[64, rows], 0)
    });
    let geometry = Geometry::from_header(&sample.read().unwrap()).unwrap();
    let runs: Vec<_> = (geometry.layers.iter())
        .map(|run| (run.count, run.bytes / 256))
        .collect();
    assert_eq!(runs, [(2, 144), (3, 1_880)]);
    assert!(!geometry.unordered);
}

/// Alternating layers of a deep model would be more runs than a status has room for.
#[test]
fn many_runs_become_groups() {
    let heads: Vec<u32> = (0..80).map(|layer| 1 + layer % 2).collect();
    let sample = llama(80).ints("llama.attention.head_count_kv", &heads);
    let geometry = Geometry::from_header(&sample.read().unwrap()).unwrap();
    assert!(geometry.unordered);
    let groups: Vec<_> = geometry
        .layers
        .iter()
        .map(|g| (g.count, g.kv_heads))
        .collect();
    assert_eq!(groups, [(40, 1), (40, 2)]);
    let all = llama(80).ints(
        "llama.attention.head_count_kv",
        &(0..80).collect::<Vec<u32>>(),
    );
    let error = Geometry::from_header(&all.read().unwrap()).unwrap_err();
    assert!(matches!(error, GgufError::Limit { .. }), "{error}");
}

#[test]
fn a_prefix_of_any_length_is_truncated_and_never_a_model() {
    let whole = gemma3().bytes();
    for length in 4..whole.len() {
        let error = Header::read(&whole[..length], 1 << 40, Limits::default()).unwrap_err();
        assert!(error.is_truncated(), "at {length}: {error}");
    }
}

#[test]
fn tensors_past_the_end_are_truncated() {
    let sample = gemma3();
    let data_start = sample.read().unwrap().data_start;
    let end = data_start + 640 * 1_000 * 2;
    assert!(Header::read(Cursor::new(sample.bytes()), end, Limits::default()).is_ok());
    let error = Header::read(Cursor::new(sample.bytes()), end - 1, Limits::default()).unwrap_err();
    assert!(error.is_truncated(), "{error}");
}

#[test]
fn refuses_other_files() {
    let read = |bytes: &[u8]| Header::read(Cursor::new(bytes.to_vec()), 1 << 20, Limits::default());
    assert!(matches!(read(b"PK\x03\x04zip"), Err(GgufError::Magic)));
    assert!(matches!(
        read(b"GGUF\x01\0\0\0"),
        Err(GgufError::Version(1))
    ));
    assert!(matches!(
        read(b"GGUF\0\0\0\x03"),
        Err(GgufError::Version(0x0300_0000))
    ));
}

/// Zeros for ever: whatever a length claims, there is more.
struct Endless<'a>(Cursor<&'a [u8]>);

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        if read == 0 {
            buffer.fill(0);
            return Ok(buffer.len());
        }
        Ok(read)
    }
}

#[rstest::rstest]
#[case::string(Sample::default().key("k", 8, &u64::MAX.to_le_bytes()))]
#[case::array(Sample::default().array("k", 4, u64::MAX, &[]))]
#[case::strings(Sample::default().array("k", 8, u64::MAX, &[]))]
#[case::floats(Sample::default().array("k", 12, u64::MAX / 4, &[]))]
#[case::nested(Sample::default().array("k", 9, u64::MAX, &[]))]
fn lengths_that_lie_end_at_the_budget(#[case] sample: Sample) {
    let bytes = sample.bytes();
    let limits = Limits {
        bytes: 1 << 20,
        ..Limits::default()
    };
    let error = Header::read(Endless(Cursor::new(&bytes)), 1 << 40, limits).unwrap_err();
    assert!(matches!(error, GgufError::Limit { .. }), "{error}");
}

#[rstest::rstest]
#[case::tensors(8, "the number of tensors")]
#[case::entries(16, "the number of metadata entries")]
fn counts_that_lie_are_refused_before_reading(#[case] at: usize, #[case] named: &str) {
    let mut bytes = gemma3().bytes();
    bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    let error = Header::read(Cursor::new(bytes), 1 << 40, Limits::default()).unwrap_err();
    assert!(error.to_string().contains(named), "{error}");
}

proptest::proptest! {
    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(noise);
        let limits = Limits { bytes: 1 << 16, ..Limits::default() };
        let _ = Header::read(Cursor::new(bytes), 1 << 20, limits);
    }

    #[test]
    fn a_flipped_byte_never_panics(at in 8_usize..700, with in proptest::num::u8::ANY) {
        let mut bytes = gemma3().bytes();
        bytes[at] = with;
        if let Ok(header) = Header::read(Cursor::new(bytes), 1 << 20, Limits::default()) {
            let _ = Geometry::from_header(&header).map(|g| crate::gguf::memory::estimate(&g, &crate::gguf::Settings::default()));
        }
    }
}

#[test]
fn a_template_that_is_too_long_or_no_text_is_no_template() {
    let plain = |sample: Sample| {
        let header = sample.text("general.architecture", "llama").read().unwrap();
        header.chat
    };
    let marks = "<|im_start|><|im_end|>";
    let key = "tokenizer.chat_template";
    assert_eq!(
        plain(Sample::default().text(key, marks)),
        Some(ChatFamily::ChatML)
    );
    let long = marks.repeat(8_000);
    assert_eq!(plain(Sample::default().text(key, &long)), None);
    assert_eq!(plain(Sample::default().int(key, 7)), None);
}

/// What a model says of its vectors, and an output that ranks counts more than what is said.
#[rstest::rstest]
#[case::says_nothing(None, "blk.0.attn_q.weight", ModelPooling::None)]
#[case::says_none(Some(0), "blk.0.attn_q.weight", ModelPooling::None)]
#[case::mean(Some(1), "blk.0.attn_q.weight", ModelPooling::Mean)]
#[case::cls(Some(2), "blk.0.attn_q.weight", ModelPooling::Cls)]
#[case::last(Some(3), "output.weight", ModelPooling::Last)]
#[case::rank(Some(4), "blk.0.attn_q.weight", ModelPooling::Rank)]
#[case::of_a_later_version(Some(9), "blk.0.attn_q.weight", ModelPooling::None)]
#[case::ranks(Some(2), "cls.output.weight", ModelPooling::Rank)]
#[case::ranks_and_says_nothing(None, "cls.weight", ModelPooling::Rank)]
fn poolings(#[case] said: Option<u32>, #[case] tensor: &str, #[case] expected: ModelPooling) {
    let mut sample = gemma3().tensor(tensor, &[32, 32], 1, 4_096);
    if let Some(said) = said {
        sample = sample.int("gemma3.pooling_type", said);
    }
    assert_eq!(ModelPooling::of(&sample.read().unwrap()), expected);
}
