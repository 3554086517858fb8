//! The chart's alerts and dashboard name metrics that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rstest::rstest;
use sealroom::engine::{Engine, Route, Tokens};
use sealroom::gate::audit::Outcome;
use sealroom::gate::core::Core;
use sealroom::gate::gen_ai::Request;
use sealroom::gate::metrics::{Limit, Metrics, Requests};
use sealroom::gate::usage::Usage;
use sealroom::seal::session::Session;
use sealroom::seal::state::{Config, Machine, OwnNode, WhenStale};
use serde_json::Value;

/// What Prometheus writes beside the labels of a sample.
const SCRAPED: [&str; 2] = ["namespace", "pod"];

const SECOND: Duration = Duration::from_secs(1);

const OUTCOMES: [Outcome; 6] = [
    Outcome::Ok,
    Outcome::Refused,
    Outcome::UpstreamError,
    Outcome::ClientClosed,
    Outcome::Reset,
    Outcome::Timeout,
];

/// Series by their names, with the values of each label.
type Printed = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn core() -> Core {
    let config = Config {
        when_stale: WhenStale::Serve,
        grace: SECOND,
        own_node: OwnNode::Report,
    };
    Core::new(Machine::new(config, "pod", Session::random()))
}

fn model_gate() -> String {
    let metrics = Metrics::of_model(Engine::LlamaCpp);
    let route = Route::ChatCompletions;
    let (route_label, code) = (route.path(), 200);
    let labels = Requests {
        route: route_label,
        code,
    };
    drop(metrics.requests.get_or_create(&labels));
    metrics.refused(Limit::QueueFull);
    for outcome in OUTCOMES {
        metrics.gen_ai.as_ref().unwrap().observe(&Request {
            model: "assistant",
            route,
            status: code,
            outcome,
            took: 2 * SECOND,
            first_event: Some(SECOND),
            usage: Some(Usage {
                prompt: 2,
                completion: 2,
            }),
        });
    }
    let tokens = Tokens {
        prompt: 1,
        generated: 1,
    };
    metrics.text(&core(), Some(tokens))
}

fn mcp_gate() -> String {
    let metrics = Metrics::of_mcp();
    let mcp = metrics.mcp.as_ref().unwrap();
    for outcome in OUTCOMES {
        for error in [false, true] {
            mcp.observe("tools/call", outcome, error, SECOND);
        }
    }
    metrics.text(&core(), None)
}

fn operator() -> String {
    let metrics = sealroom::telemetry::Metrics::default();
    metrics.reconciled("ModelDeployment", "done", SECOND);
    metrics.queued("ModelDeployment", 0);
    metrics.encode()
}

fn printed() -> Printed {
    let mut all = Printed::new();
    for text in [model_gate(), mcp_gate(), operator()] {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (sample, _) = line.rsplit_once(' ').unwrap();
            let (series, labels) = sample.split_once('{').unwrap_or((sample, ""));
            let has = all.entry(series.to_owned()).or_default();
            for (label, value) in pairs(labels) {
                let values = has.entry(label.to_owned()).or_default();
                values.insert(value.to_owned());
            }
        }
    }
    all
}

/// Labels and their values, of a sample as of a selector: `code="200",state=~"open|stale"`.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').filter_map(|pair| {
        let (label, value) = pair.split_once('"')?;
        let value = value.trim_end_matches(['"', '}']);
        Some((label.trim_end_matches(['=', '~', '!']).trim(), value))
    })
}

fn between_words(c: char) -> bool {
    !c.is_ascii_alphanumeric() && c != '_'
}

/// Whether a word begins as our series and labels do.
fn ours(word: &str) -> bool {
    word.starts_with("sealroom_") || word.starts_with("gen_ai_")
}

/// The series, labels and values of an expression that nobody prints.
fn invented(expression: &str, printed: &Printed) -> Vec<String> {
    let mut invented = Vec::new();
    let mut labels = BTreeSet::from(SCRAPED);
    let mut at = 0;
    for piece in expression.split_inclusive(between_words) {
        at += piece.len();
        let word = piece.trim_end_matches(between_words);
        if !ours(word) {
            continue;
        }
        let Some(has) = printed.get(word) else {
            if !printed.values().any(|labels| labels.contains_key(word)) {
                invented.push(word.to_owned());
            }
            continue;
        };
        labels.extend(has.keys().map(String::as_str));
        if !piece.ends_with('{') {
            continue;
        }
        let (selector, _) = expression[at..].split_once('}').unwrap();
        for (label, value) in pairs(selector) {
            match has.get(label) {
                None if SCRAPED.contains(&label) => {}
                None => invented.push(format!("{word}{{{label}}}")),
                Some(there) => {
                    // An empty value asks for samples without the label, and `$model` is Grafana's to fill in.
                    let written = value
                        .split('|')
                        .filter(|v| !v.is_empty() && !v.contains('$'));
                    let strange = written.filter(|v| !there.contains(*v));
                    invented.extend(strange.map(|v| format!("{word}{{{label}={v}}}")));
                }
            }
        }
    }
    for list in expression.split("by (").skip(1) {
        let (list, _) = list.split_once(')').unwrap();
        let strange = list.split(',').map(str::trim);
        let strange = strange.filter(|label| !labels.contains(label));
        invented.extend(strange.map(|label| format!("by ({label})")));
    }
    invented
}

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/sealroom")
}

fn board() -> Value {
    let text = fs::read_to_string(chart().join("dashboards/sealroom.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Every text in a value.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|value| texts(value, found)),
        Value::Object(all) => all.values().for_each(|value| texts(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn every_series_label_and_value_that_is_named_is_there() {
    let printed = printed();
    let rules = fs::read_to_string(chart().join("templates/monitoring.yaml")).unwrap();
    let rules: Vec<_> = rules.split("- alert: ").map(str::to_owned).collect();
    let mut panels = Vec::new();
    texts(&board(), &mut panels);
    for (place, expressions, at_least) in [("alerts", rules, 8), ("dashboard", panels, 15)] {
        let words = expressions
            .iter()
            .flat_map(|text| text.split(between_words));
        let named: BTreeSet<_> = words.filter(|word| ours(word)).collect();
        assert!(named.len() >= at_least, "{place}: {named:?}");
        for expression in &expressions {
            let invented = invented(expression, &printed);
            assert!(invented.is_empty(), "{place}: {invented:?} in {expression}");
        }
    }
}

#[rstest]
#[case::series("sealroom_gate_mcp_calls_total")]
#[case::label(r#"sealroom_gate_mcp_requests_total{namespace="a",tool="find"}"#)]
#[case::value(r#"sealroom_gate_mcp_requests_total{outcome=~"timeout|failed"}"#)]
#[case::group("sum by (outcome, tool) (sealroom_gate_mcp_requests_total)")]
#[case::label_of_another(r#"sealroom_gate_mcp_sessions{outcome="ok"}"#)]
fn what_nobody_prints_is_found(#[case] expression: &str) {
    assert_eq!(invented(expression, &printed()).len(), 1, "{expression}");
}

#[test]
fn every_panel_asks_something() {
    let board = board();
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels
        .iter()
        .filter_map(|panel| panel["id"].as_u64())
        .collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            let expr = target["expr"].as_str().unwrap();
            assert!(
                expr.contains("sealroom_") || expr.contains("gen_ai_"),
                "{expr}"
            );
        }
    }
}
