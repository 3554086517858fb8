//! What of one volume is compared: where it comes from; pure.

use k8s_openapi::api::core::v1::Volume;
use serde_json::{Map, Value};

use super::{Facts, json};

/// The source that no pod of ours has.
pub(super) const HOST_PATH: &str = "hostPath";
/// The mode of files where none is written: 0644.
const DEFAULT_MODE: i64 = 0o644;

/// Its source, by kind. A volume without one is an empty directory.
pub(super) fn facts(volume: &Volume) -> Facts {
    let mut facts = Facts::default();
    let Ok(Value::Object(sources)) = serde_json::to_value(volume) else {
        return facts;
    };
    for (kind, source) in sources {
        match source {
            Value::Object(source) => facts.hide(&kind, &json(&written(source))),
            Value::String(_) if kind == "name" => {}
            other => facts.hide(&kind, &json(&other)),
        }
    }
    facts
}

/// Without what the API server writes itself, and without a size, which it writes in its own units.
fn written(mut source: Map<String, Value>) -> Map<String, Value> {
    source.remove("sizeLimit");
    source.retain(|key, value| match key.as_str() {
        "defaultMode" => value.as_i64() != Some(DEFAULT_MODE),
        "optional" | "readOnly" => value.as_bool() != Some(false),
        _ => true,
    });
    source
}
