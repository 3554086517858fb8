//! What the derived schemas need before an API server gets them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// Removes `nullable` everywhere: an API server then drops a `null` before it applies defaults and rules,
/// so `has(self.field)` in a rule means what it says. Joins the lines of descriptions, which wrap in source.
/// Gives unsigned numbers a format that the API knows, with the bound that the other implied.
pub fn tidy(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|s| s.open_api_v3_schema.as_mut())
        {
            tidy_schema(schema);
        }
    }
    crd
}

fn tidy_schema(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(unsigned @ ("uint32" | "uint64")) = schema.format.as_deref() {
        if unsigned == "uint32" {
            schema.maximum.get_or_insert(f64::from(u32::MAX));
        }
        schema.format = Some("int64".to_owned());
    }
    if let Some(text) = schema.description.as_mut() {
        let paragraphs: Vec<_> = text.split("\n\n").map(|p| p.replace('\n', " ")).collect();
        *text = paragraphs.join("\n\n");
    }
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|map| map.values_mut())
    {
        tidy_schema(property);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = schema.additional_properties.as_mut() {
        tidy_schema(values);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = schema.items.as_mut() {
        tidy_schema(items);
    }
}

/// Gives every list, map and string of an embedded Kubernetes type the bound that the type itself lacks.
///
/// Kubernetes checks these types when we hand them on; here the bounds keep objects and the cost of rules
/// small. 63 and 253 are the lengths of labels and of DNS names (RFC 1035, RFC 1123).
pub fn bounded(schema: &mut Schema) {
    let mut value = std::mem::take(schema).to_value();
    bound(&mut value);
    if let Ok(bounded) = Schema::try_from(value) {
        *schema = bounded;
    }
}

/// [`bounded`] peers of a NetworkPolicy, whose address blocks are such: an error here names the field, one of the
/// NetworkPolicy that is made of it would not.
pub fn peers(schema: &mut Schema) {
    bounded(schema);
    let block = "/items/properties/ipBlock/properties";
    for field in ["cidr", "except/items"] {
        ruled(
            schema,
            &format!("{block}/{field}"),
            "isCIDR(self)",
            "write an address block such as 192.0.2.0/24 or 2001:db8::/64",
        );
    }
}

/// [`bounded`] entries of `/etc/hosts`, whose addresses are such.
pub fn host_aliases(schema: &mut Schema) {
    bounded(schema);
    ruled(
        schema,
        "/items/properties/ip",
        "isIP(self)",
        "write an IP address such as 192.0.2.40 or 2001:db8::40",
    );
}

/// Gives what is at a JSON pointer a rule (CEL).
fn ruled(schema: &mut Schema, at: &str, rule: &str, message: &str) {
    if let Some(Value::Object(there)) = schema.pointer_mut(at) {
        let rules = json!([{ "rule": rule, "message": message }]);
        there.insert("x-kubernetes-validations".to_owned(), rules);
    }
}

fn bound(value: &mut Value) {
    let Value::Object(map) = value else { return };
    let is = |name: &str, map: &serde_json::Map<String, Value>| match map.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(many)) => many.iter().any(|one| one == name),
        _ => false,
    };
    if is("array", map) {
        map.entry("maxItems").or_insert(json!(16));
    }
    if is("string", map) && !map.contains_key("enum") && !map.contains_key("format") {
        map.entry("maxLength").or_insert(json!(317));
    }
    if map.contains_key("additionalProperties") {
        map.entry("maxProperties").or_insert(json!(16));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(key) {
            bound(inner);
        }
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(bound);
    }
}

/// The conditions of a status: a list keyed by `type`, at most 12.
pub fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut item = generator
        .subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>()
        .to_value();
    for (field, length) in [
        ("type", 64),
        ("status", 8),
        ("reason", 64),
        ("message", 1024),
    ] {
        item["properties"][field]["maxLength"] = json!(length);
    }
    json_schema!({
        "type": "array",
        "description": "What is known about the object, one entry per type. Ready, Reconciling and Stalled follow kstatus.",
        "items": item,
        "maxItems": 12,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// A Kubernetes quantity such as `2Gi` or `500m`.
pub fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "maxLength": 32,
        "pattern": QUANTITY,
    })
}

/// A port's number, or its name (RFC 6335).
pub fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "description": "The number, or the name of a container's port.",
        "maxLength": 15,
        "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    })
}

/// Quantities by resource name, at most 16.
pub fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
            "pattern": QUANTITY,
        },
    })
}

/// A JSON object whose shape another program fixes.
pub fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

const QUANTITY: &str =
    r"^(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?[0-9]+))?$";
