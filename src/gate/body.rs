//! What the gate looks at in a request's body; everything else passes as it came.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::walk::{Found, Most, Says, Walk};

/// What one look at a JSON object tells: everything that the gate decides by, and all of the object is read for it.
///
/// Members are told apart as the most lenient engine would (Go's `encoding/json` takes any case, and `ſ` for `s`):
/// a `model` written otherwise, or twice, is refused, and `messages` count however they are written.
#[derive(Debug, PartialEq, Eq)]
pub struct Peek {
    /// The `model`, where it is there and not null.
    pub model: Option<String>,
    /// Whether a message asks for something to be fetched.
    pub remote: bool,
    /// Whether it says by how much adapters count (llama-server: `lora`), which the object says.
    pub adapters: bool,
    /// A member that is about what the engine keeps of all requests, those of other callers too.
    pub common: Option<&'static str>,
    /// A member that could end the engine, or make it stand still or take memory without bound.
    pub costly: Option<&'static str>,
    /// It asks for a stream, and not for the tokens that it takes.
    pub unasked: bool,
}

/// Members that an engine takes as they come, and what each may be at most. What they do was seen with llama-server of
/// Debian (libllama 0.7.0).
const MOST: [(&str, Most); 13] = [
    // Its reader calls itself for each parenthesis and each rule in a rule: 100,000 end the engine.
    ("grammar", size(16 * 1024)),
    // Reserved as so many tokens of four bytes in each sampler: 2,147,483,647 took 8.6 GB.
    ("repeat_last_n", size(64 * 1024)),
    ("dry_penalty_last_n", size(64 * 1024)),
    // A list, or a text of a letter for each.
    (
        "samplers",
        Most {
            size: 32,
            parts: 32,
        },
    ),
    // Each is looked for in the whole vocabulary.
    ("dry_sequence_breakers", parts(32)),
    // So many tokens are named for each token of the answer: the whole vocabulary is megabytes.
    ("n_probs", size(100)),
    ("logprobs", size(100)),
    ("top_logprobs", size(100)),
    // Each is a generation or a reading of its own, and one request waits for all of them in one place of the queue.
    // One prompt may be a list of many tokens.
    ("prompt", parts(64)),
    ("input", parts(2_048)),
    ("documents", parts(2_048)),
    // llama-server's other names of the last two.
    ("content", parts(2_048)),
    ("texts", parts(2_048)),
];

/// Members of llama-server that are about its slots, which all callers share. Each is refused whatever its value.
const COMMON: [&str; 4] = [
    // Which slot computes it, and so with whose prompt its beginning is compared.
    "id_slot",
    "slot_id",
    // How much of it the slot had read already, while the rest is read.
    "return_progress",
    // Pieces of the slot's last prompt from anywhere in it. They were read behind what that one's sender had written
    // before them, and would answer this one.
    "n_cache_reuse",
];

const fn size(size: usize) -> Most {
    Most {
        size,
        ..Most::ANYTHING
    }
}

const fn parts(parts: usize) -> Most {
    Most {
        parts,
        ..Most::ANYTHING
    }
}

/// How many references the schemas of a request may have together. A chain of 20,000 ends the engine, which follows
/// them by calling itself.
const REFERENCES: usize = 1_000;

impl<'de> Deserialize<'de> for Peek {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // A map, and nothing that could stand for one.
        from.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Peek;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with at most one model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Peek, A::Error> {
        let mut model: Option<Option<String>> = None;
        let mut found = Found::default();
        let (mut adapters, mut common, mut costly) = (false, None, None);
        while let Some(name) = members.next_key::<Cow<'_, str>>()? {
            if name == "model" {
                if model.replace(members.next_value()?).is_some() {
                    return Err(A::Error::duplicate_field("model"));
                }
                continue;
            }
            match name.to_uppercase().as_str() {
                "MODEL" => return Err(A::Error::custom("model in another case")),
                "MESSAGES" => {
                    members.next_value_seed(Walk::messages(&mut found))?;
                }
                other => {
                    adapters |= other == "LORA";
                    let shared = |name: &&&str| name.eq_ignore_ascii_case(other);
                    common = common.or(COMMON.iter().find(shared).copied());
                    let bound = MOST
                        .iter()
                        .find(|(name, _)| name.eq_ignore_ascii_case(other));
                    // Engines read a value as deep as it is: the limit on depth holds for all of them.
                    let most = bound.map_or(Most::ANYTHING, |(_, most)| *most);
                    let says = match other {
                        "STREAM" => Says::Stream,
                        "STREAM_OPTIONS" => Says::StreamOptions,
                        _ => Says::Nothing,
                    };
                    members.next_value_seed(Walk::value(&mut found, most).saying(says))?;
                    if std::mem::take(&mut found.over) {
                        costly = bound.map(|(name, _)| *name);
                    }
                }
            }
        }
        if found.references > REFERENCES {
            costly = Some("$ref");
        }
        Ok(Peek {
            model: model.flatten(),
            remote: found.remote,
            adapters,
            common,
            costly,
            unasked: found.streams && !found.asks_tokens,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(r#"{"model":"a"}"#, Some("a"))]
    #[case(r#" {"messages":[{"model":"b"}],"model":"a"} "#, Some("a"))]
    #[case(r#"{"mod\u0065l":"a"}"#, Some("a"))]
    #[case(r#"{"model":null}"#, None)]
    #[case(r#"{"models":"a"}"#, None)]
    #[case("{}", None)]
    fn the_model_is_found(#[case] body: &str, #[case] model: Option<&str>) {
        let peek: Peek = serde_json::from_str(body).unwrap();
        assert_eq!(peek.model.as_deref(), model);
    }

    /// Whatever its value: an empty list, or an adapter that is not there, changes what the others count.
    #[rstest::rstest]
    #[case(r#"{"lora":[{"id":0,"scale":0.0}]}"#, true)]
    #[case(r#"{"lora":[]}"#, true)]
    #[case(r#"{"lora":null}"#, true)]
    #[case(r#"{"l\u006fra":[],"model":"a"}"#, true)]
    #[case(r#"{"LoRA":[]}"#, true)]
    #[case(r#"{"messages":[{"lora":[]}],"loras":[]}"#, false)]
    #[case(r#"{"prompt":"lora"}"#, false)]
    fn adapters_are_found(#[case] body: &str, #[case] expected: bool) {
        assert_eq!(
            serde_json::from_str::<Peek>(body).unwrap().adapters,
            expected
        );
    }

    #[rstest::rstest]
    #[case(r#"{"id_slot":0}"#, Some("id_slot"))]
    #[case(r#"{"id_slot":-1}"#, Some("id_slot"))]
    #[case(r#"{"ID_slot":null,"prompt":"x"}"#, Some("id_slot"))]
    #[case(r#"{"slot_id":1}"#, Some("slot_id"))]
    #[case(r#"{"return_pro\u0067ress":true}"#, Some("return_progress"))]
    #[case(r#"{"n_cache_reuse":1,"id_slot":1}"#, Some("n_cache_reuse"))]
    #[case(
        r#"{"cache_prompt":true,"timings_per_token":true,"n_keep":1,"id":"id_slot"}"#,
        None
    )]
    #[case(r#"{"messages":[{"id_slot":1}],"metadata":{"id_slot":1}}"#, None)]
    fn what_all_callers_share_is_found(#[case] body: &str, #[case] expected: Option<&str>) {
        assert_eq!(serde_json::from_str::<Peek>(body).unwrap().common, expected);
    }

    #[rstest::rstest]
    #[case(
        r#"{"repeat_last_n":65536,"n_probs":100,"samplers":["top_k"],"dry_sequence_breakers":[]}"#,
        None
    )]
    #[case(
        r#"{"repeat_last_n":-1,"logprobs":true,"top_logprobs":20,"grammar":null}"#,
        None
    )]
    #[case(
        r#"{"max_tokens":1000000,"seed":18446744073709551615,"top_k":1e9}"#,
        None
    )]
    #[case(r#"{"repeat_last_n":65537}"#, Some("repeat_last_n"))]
    #[case(
        r#"{"repeat_last_n":2147483647,"repeat_last_n":1}"#,
        Some("repeat_last_n")
    )]
    #[case(r#"{"repeat_last_n":2.0e9}"#, Some("repeat_last_n"))]
    #[case(r#"{"repeat_last_n":99999999999999999999999}"#, Some("repeat_last_n"))]
    #[case(r#"{"r\u0065peat_last_n":65537}"#, Some("repeat_last_n"))]
    #[case(r#"{"repeat_last_n":-2147483649}"#, Some("repeat_last_n"))]
    #[case(r#"{"repeat_last_n":-2147483649.0}"#, Some("repeat_last_n"))]
    #[case(r#"{"n_probs":101}"#, Some("n_probs"))]
    #[case(&format!(r#"{{"prompt":[{}1]}}"#, "[1],".repeat(64)), None)]
    #[case(&format!(r#"{{"prompt":[{}"x"]}}"#, "[1],".repeat(64)), Some("prompt"))]
    #[case(&format!(r#"{{"prompt":[{}1]}}"#, "1,".repeat(100_000)), None)]
    #[case(&format!(r#"{{"prompt":"{}"}}"#, "x".repeat(100_000)), None)]
    #[case(&format!(r#"{{"input":[{}"x"]}}"#, r#""x","#.repeat(2_048)), Some("input"))]
    #[case(&format!(r#"{{"documents":[{}"x"]}}"#, r#""x","#.repeat(2_048)), Some("documents"))]
    #[case(&format!(r#"{{"content":[{}"x"]}}"#, r#""x","#.repeat(2_048)), Some("content"))]
    #[case(&format!(r#"{{"texts":[{}"x"]}}"#, r#""x","#.repeat(2_048)), Some("texts"))]
    #[case(r#"{"Top_Logprobs":101}"#, Some("top_logprobs"))]
    #[case(&format!(r#"{{"samplers":"{}"}}"#, "d".repeat(33)), Some("samplers"))]
    #[case(&format!(r#"{{"samplers":["d"{}]}}"#, r#","d""#.repeat(32)), Some("samplers"))]
    #[case(&format!(r#"{{"grammar":"{}"}}"#, "(".repeat(16_385)), Some("grammar"))]
    #[case(&format!(r#"{{"tools":[{}0]}}"#, r##"{"$ref":"#"},"##.repeat(1_000)), None)]
    #[case(&format!(r#"{{"tools":[{}0]}}"#, r##"{"\u0024ref":"#"},"##.repeat(1_001)), Some("$ref"))]
    fn what_an_engine_cannot_bear_is_found(#[case] body: &str, #[case] expected: Option<&str>) {
        assert_eq!(serde_json::from_str::<Peek>(body).unwrap().costly, expected);
    }

    #[rstest::rstest]
    #[case::twice(r#"{"model":"a","model":"b"}"#)]
    #[case::twice_with_null(r#"{"model":null,"model":"b"}"#)]
    #[case::escaped_twice(r#"{"model":"a","mod\u0065l":"b"}"#)]
    #[case::other_case(r#"{"model":"a","Model":"b"}"#)]
    #[case::other_case_alone(r#"{"MODEL":"b"}"#)]
    #[case::number(r#"{"model":7}"#)]
    #[case::too_deep(&format!(r#"{{"messages":{}{}}}"#, "[".repeat(200), "]".repeat(200)))]
    #[case::too_deep_elsewhere(&format!(r#"{{"tools":{}{}}}"#, "[".repeat(200), "]".repeat(200)))]
    #[case::half_a_character(r#"{"messages":["\ud800",{"url":"http://a"}]}"#)]
    #[case::no_number(r#"{"messages":[1e999,{"url":"http://a"}]}"#)]
    #[case::array(r#"["a"]"#)]
    #[case::text(r#""model""#)]
    #[case::more(r#"{"model":"a"}{"model":"b"}"#)]
    #[case::half(r#"{"model":"a""#)]
    #[case::nothing("")]
    fn what_could_be_read_otherwise_is_refused(#[case] body: &str) {
        assert!(serde_json::from_str::<Peek>(body).is_err());
    }
}
