//! The chart's alerts and dashboard name metrics that there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use sealroom::engine::{Engine, Route, Tokens};
use sealroom::gate::audit::Outcome;
use sealroom::gate::core::Core;
use sealroom::gate::gen_ai::Request;
use sealroom::gate::metrics::{Limit, Metrics, Requests};
use sealroom::gate::usage::Usage;
use sealroom::seal::session::Session;
use sealroom::seal::state::{Config, Machine, OwnNode, WhenStale};

fn gate() -> String {
    let metrics = Metrics::of_model(Engine::LlamaCpp);
    let route = Route::ChatCompletions;
    let (route_label, code) = (route.path(), 200);
    let labels = Requests {
        route: route_label,
        code,
    };
    drop(metrics.requests.get_or_create(&labels));
    metrics.refused(Limit::QueueFull);
    let second = Duration::from_secs(1);
    metrics.gen_ai.as_ref().unwrap().observe(&Request {
        model: "assistant",
        route,
        status: code,
        outcome: Outcome::Ok,
        took: 2 * second,
        first_event: Some(second),
        usage: Some(Usage {
            prompt: 2,
            completion: 2,
        }),
    });
    let config = Config {
        when_stale: WhenStale::Serve,
        grace: second,
        own_node: OwnNode::Report,
    };
    let core = Core::new(Machine::new(config, "pod", Session::random()));
    let tokens = Tokens {
        prompt: 1,
        generated: 1,
    };
    metrics.text(&core, Some(tokens))
}

fn operator() -> String {
    let metrics = sealroom::telemetry::Metrics::default();
    metrics.reconciled("ModelDeployment", "done", Duration::from_secs(1));
    metrics.queued("ModelDeployment", 0);
    metrics.encode()
}

/// Words that begin as our series and labels do.
fn names(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("sealroom_") || word.starts_with("gen_ai_"))
        .collect()
}

#[test]
fn every_series_and_label_that_is_named_is_there() {
    let (gate, operator) = (gate(), operator());
    let samples = |text: &str| -> String {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.collect::<Vec<_>>().join("\n")
    };
    let known = samples(&gate) + "\n" + &samples(&operator);
    let known = names(&known);
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/sealroom");
    for (file, at_least) in [
        ("templates/monitoring.yaml", 6),
        ("dashboards/sealroom.json", 12),
    ] {
        let text = fs::read_to_string(chart.join(file)).unwrap();
        let named = names(&text);
        assert!(named.len() >= at_least, "{file}: {named:?}");
        let invented: Vec<_> = named.difference(&known).collect();
        assert!(invented.is_empty(), "{file}: {invented:?} not in {known:?}");
    }
}

#[test]
fn every_panel_asks_something() {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/sealroom");
    let text = fs::read_to_string(chart.join("dashboards/sealroom.json")).unwrap();
    let board: serde_json::Value = serde_json::from_str(&text).unwrap();
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
