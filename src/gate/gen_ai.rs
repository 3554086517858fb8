//! What requests took, under the names of OpenTelemetry's conventions for generative AI.
//!
//! Source: semantic-conventions-genai, `docs/gen-ai/gen-ai-metrics.md`, whose bucket boundaries these are. Dots
//! and units are written as Prometheus has them (OpenTelemetry, "Prometheus and OpenMetrics compatibility").

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::audit::Outcome;
use super::usage::Usage;
use crate::engine::Route;

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

const DURATION: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const FIRST_TOKEN: [f64; 16] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const OUTPUT_TOKEN: [f64; 13] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
];
/// Powers of 4, from 1 to 67,108,864.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    gen_ai_request_model: Arc<str>,
    gen_ai_operation_name: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    gen_ai_request_model: Arc<str>,
    gen_ai_operation_name: &'static str,
    error_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenType {
    gen_ai_request_model: Arc<str>,
    gen_ai_operation_name: &'static str,
    gen_ai_token_type: &'static str,
}

/// The histograms. The served names are as many as the object has models; the engine is constant for a gate.
#[derive(Clone, Debug)]
pub struct GenAi {
    duration: Histograms<Ended>,
    first_token: Histograms<Operation>,
    output_token: Histograms<Operation>,
    usage: Histograms<TokenType>,
}

/// A request that the engine was asked for, when it has ended.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The served name of the model.
    pub model: &'a str,
    /// What was asked.
    pub route: Route,
    /// The answer's HTTP status.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// From the request's head to the answer's last byte.
    pub took: Duration,
    /// To the first event of a stream; `None` where the answer was none.
    pub first_event: Option<Duration>,
    /// As the engine says it.
    pub usage: Option<Usage>,
}

impl GenAi {
    /// Registers them for one engine.
    pub fn register(registry: &mut Registry, engine: &str) -> Self {
        let metrics = Self {
            duration: Family::new_with_constructor(|| Histogram::new(DURATION)),
            first_token: Family::new_with_constructor(|| Histogram::new(FIRST_TOKEN)),
            output_token: Family::new_with_constructor(|| Histogram::new(OUTPUT_TOKEN)),
            usage: Family::new_with_constructor(|| Histogram::new(TOKENS)),
        };
        let provider = ("gen_ai_provider_name".into(), engine.to_owned().into());
        let registry = registry.sub_registry_with_label(provider);
        registry.register_with_unit(
            "gen_ai_server_request_duration",
            "From the request to the last byte of its answer",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register_with_unit(
            "gen_ai_server_time_to_first_token",
            "From the request to the first event of a streamed answer",
            Unit::Seconds,
            metrics.first_token.clone(),
        );
        registry.register_with_unit(
            "gen_ai_server_time_per_output_token",
            "Of a streamed answer, for each token after the first",
            Unit::Seconds,
            metrics.output_token.clone(),
        );
        registry.register(
            "gen_ai_client_token_usage",
            "Tokens of a request, as the engine says them",
            metrics.usage.clone(),
        );
        metrics
    }

    /// Counts a request. One that the gate refused took no engine's time and is none here.
    pub fn observe(&self, request: &Request<'_>) {
        let Some(operation) = operation(request.route) else {
            return;
        };
        if request.outcome == Outcome::Refused {
            return;
        }
        let error = error_type(request.status, request.outcome);
        let model: Arc<str> = request.model.into();
        let ended = Ended {
            gen_ai_request_model: Arc::clone(&model),
            gen_ai_operation_name: operation,
            error_type: error,
        };
        self.duration
            .get_or_create(&ended)
            .observe(request.took.as_secs_f64());
        let operation_label = Operation {
            gen_ai_request_model: Arc::clone(&model),
            gen_ai_operation_name: operation,
        };
        if let Some(first) = request.first_event.filter(|_| error.is_empty()) {
            self.first_token
                .get_or_create(&operation_label)
                .observe(first.as_secs_f64());
            let more = request.usage.map_or(0, |usage| usage.completion);
            if let Some(more) = more.checked_sub(1).filter(|more| *more > 0) {
                let each = request.took.saturating_sub(first).as_secs_f64() / more as f64;
                self.output_token
                    .get_or_create(&operation_label)
                    .observe(each);
            }
        }
        let Some(usage) = request.usage else { return };
        let mut tokens = vec![("input", usage.prompt)];
        if ![Route::Embeddings, Route::Rerank].contains(&request.route) {
            tokens.push(("output", usage.completion));
        }
        for (gen_ai_token_type, count) in tokens {
            let labels = TokenType {
                gen_ai_request_model: Arc::clone(&model),
                gen_ai_operation_name: operation,
                gen_ai_token_type,
            };
            self.usage.get_or_create(&labels).observe(count as f64);
        }
    }
}

/// The value of `gen_ai.operation.name`; `None` for what asks no model.
fn operation(route: Route) -> Option<&'static str> {
    match route {
        Route::ChatCompletions => Some("chat"),
        Route::Completions => Some("text_completion"),
        Route::Embeddings => Some("embeddings"),
        // None of the well-known values fits.
        Route::Rerank => Some("rerank"),
        Route::Models | Route::Model => None,
    }
}

/// `error.type`: empty, which in Prometheus is no label, when nothing went wrong.
fn error_type(status: u16, outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok if status < 400 => "",
        Outcome::Ok => "rejected",
        Outcome::Refused => "refused",
        Outcome::UpstreamError => "engine",
        Outcome::ClientClosed => "client_closed",
        Outcome::Reset => "reset",
        Outcome::Timeout => "timeout",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: Request<'_> = Request {
        model: "assistant",
        route: Route::ChatCompletions,
        status: 200,
        outcome: Outcome::Ok,
        took: Duration::from_millis(1_100),
        first_event: Some(Duration::from_millis(100)),
        usage: Some(Usage {
            prompt: 7,
            completion: 11,
        }),
    };

    fn text(requests: &[Request<'_>]) -> String {
        let mut registry = Registry::default();
        let metrics = GenAi::register(&mut registry, "LlamaCpp");
        for request in requests {
            metrics.observe(request);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    /// Sums and counts, without the buckets and the constant labels.
    fn sums(requests: &[Request<'_>]) -> Vec<String> {
        let constant = r#"gen_ai_provider_name="LlamaCpp",gen_ai_request_model="assistant","#;
        text(requests)
            .lines()
            .filter(|line| line.contains("_sum{"))
            .map(|line| {
                assert!(line.contains(constant), "{line}");
                line.replace(constant, "").replace("gen_ai_", "")
            })
            .collect()
    }

    #[test]
    fn a_stream() {
        let expected = [
            r#"server_request_duration_seconds_sum{operation_name="chat",error_type=""} 1.1"#,
            r#"server_time_to_first_token_seconds_sum{operation_name="chat"} 0.1"#,
            r#"server_time_per_output_token_seconds_sum{operation_name="chat"} 0.1"#,
            r#"client_token_usage_sum{operation_name="chat",token_type="input"} 7.0"#,
            r#"client_token_usage_sum{operation_name="chat",token_type="output"} 11.0"#,
        ];
        let mut found = sums(&[STREAM]);
        found.sort_by_key(|line| expected.iter().position(|text| text == line));
        assert_eq!(found, expected);
    }

    /// Each model has series of its own under one description.
    #[test]
    fn models_are_told_apart() {
        let other = Request {
            model: "vectors",
            ..STREAM
        };
        let text = text(&[STREAM, other, other]);
        for (model, count) in [("assistant", 1), ("vectors", 2)] {
            let counted = format!(
                r#"gen_ai_server_request_duration_seconds_count{{gen_ai_provider_name="LlamaCpp",gen_ai_request_model="{model}",gen_ai_operation_name="chat",error_type=""}} {count}"#
            );
            assert!(text.contains(&counted), "{counted}: {text}");
        }
        let described = text.matches("# TYPE gen_ai_server_request_duration_seconds ");
        assert_eq!(described.count(), 1, "{text}");
    }

    #[rstest::rstest]
    #[case::whole(Request { first_event: None, ..STREAM }, &["duration", "input", "output"])]
    #[case::one_token(Request { usage: Some(Usage { prompt: 7, completion: 1 }), ..STREAM }, &["duration", "first", "input", "output"])]
    #[case::silent_on_tokens(Request { usage: None, ..STREAM }, &["duration", "first"])]
    #[case::embedding(Request { route: Route::Embeddings, first_event: None, ..STREAM }, &["duration", "input"])]
    #[case::rerank(Request { route: Route::Rerank, first_event: None, ..STREAM }, &["duration", "input"])]
    #[case::broken(Request { outcome: Outcome::UpstreamError, usage: None, ..STREAM }, &["duration"])]
    #[case::refused(Request { outcome: Outcome::Refused, status: 401, ..STREAM }, &[])]
    #[case::models(Request { route: Route::Models, ..STREAM }, &[])]
    fn what_is_known_is_counted(#[case] request: Request<'_>, #[case] expected: &[&str]) {
        let found = sums(&[request]);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for part in expected {
            assert!(
                found.iter().any(|line| line.contains(part)),
                "{part}: {found:?}"
            );
        }
    }

    #[rstest::rstest]
    #[case(200, Outcome::Ok, "")]
    #[case(400, Outcome::Ok, "rejected")]
    #[case(500, Outcome::UpstreamError, "engine")]
    #[case(200, Outcome::UpstreamError, "engine")]
    #[case(499, Outcome::ClientClosed, "client_closed")]
    #[case(504, Outcome::Timeout, "timeout")]
    fn errors_have_types(#[case] status: u16, #[case] outcome: Outcome, #[case] expected: &str) {
        assert_eq!(error_type(status, outcome), expected);
    }
}
