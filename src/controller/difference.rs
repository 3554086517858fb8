//! Does what is there already say what we want? Decides whether an apply is worth a request.

use std::fmt::Display;

use serde_json::Value;

/// What is in the place of a field that is missing.
static NOTHING: Value = Value::Null;

/// Whether everything that `wanted` says is so in `there`. What the API server adds (defaults, cluster IPs)
/// makes no difference; the length and order of lists do.
#[must_use]
pub fn satisfied(wanted: &Value, there: &Value) -> bool {
    all(wanted, there).is_empty()
}

/// The path of each field in which it is not so, such as `.spec.replicas`, and what is there. A list of another length is
/// one field.
#[must_use]
pub fn all<'a>(wanted: &Value, there: &'a Value) -> Vec<(String, &'a Value)> {
    let mut found = Vec::new();
    gather(wanted, there, &mut found);
    found
}

fn gather<'a>(wanted: &Value, there: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    match (wanted, there) {
        (Value::Object(wanted), Value::Object(there)) => {
            for (key, value) in wanted {
                let before = found.len();
                match there.get(key) {
                    Some(now) => gather(value, now, found),
                    None if is_empty(value) => {}
                    None => found.push((String::new(), &NOTHING)),
                }
                under(&mut found[before..], format_args!(".{key}"));
            }
        }
        (Value::Array(wanted), Value::Array(there)) if wanted.len() == there.len() => {
            for (at, (a, b)) in wanted.iter().zip(there).enumerate() {
                let before = found.len();
                gather(a, b, found);
                under(&mut found[before..], format_args!("[{at}]"));
            }
        }
        (a, b) if a == b || same_quantity(a, b) => {}
        (_, now) => found.push((String::new(), now)),
    }
}

/// Puts a step before these paths. They are made on the way back, so that none is made where nothing differs.
fn under(found: &mut [(String, &Value)], step: impl Display) {
    for (path, _) in found {
        *path = format!("{step}{path}");
    }
}

/// Whether both say the same: for specs in which a field that somebody else added changes the meaning.
#[must_use]
pub fn identical(wanted: &Value, there: &Value) -> bool {
    satisfied(wanted, there) && satisfied(there, wanted)
}

/// The API server drops empty lists, empty texts and nulls. An empty object can mean something: it stays.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn same_quantity(a: &Value, b: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let parse = |value| text(value).as_deref().and_then(quantity);
    matches!((parse(a), parse(b)), (Some(a), Some(b)) if a == b)
}

/// A quantity in thousandths (apimachinery `resource.Quantity`), for numbers that fit 128 bits.
#[must_use]
pub fn quantity(text: &str) -> Option<i128> {
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 9 || whole.len() > 18 {
        return None;
    }
    // Of a thousandth, and of what is smaller.
    let (scale, parts): (i128, i128) = match suffix {
        "n" => (1, 1_000_000),
        "u" => (1, 1_000),
        "m" => (1, 1),
        "" => (1_000, 1),
        "k" => (1_000_000, 1),
        "M" => (1_000_000_000, 1),
        "G" => (1_000_000_000_000, 1),
        "T" => (1_000_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000_000, 1),
        "Ki" => (1_000 << 10, 1),
        "Mi" => (1_000 << 20, 1),
        "Gi" => (1_000 << 30, 1),
        "Ti" => (1_000 << 40, 1),
        "Pi" => (1_000 << 50, 1),
        "Ei" => (1_000 << 60, 1),
        other => match other.strip_prefix(['e', 'E'])?.parse::<i32>().ok()? {
            power @ 0..=18 => (1_000 * 10_i128.pow(power.unsigned_abs()), 1),
            power @ -9..0 => (1_000, 10_i128.pow(power.unsigned_abs())),
            _ => return None,
        },
    };
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let divisor = parts * 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let scaled = digits.checked_mul(scale)?;
    // Rounded up, as the API server does with what is smaller than a thousandth.
    Some(scaled / divisor + i128::from(scaled % divisor != 0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[rstest::rstest]
    #[case::defaults_added(json!({"a": 1}), json!({"a": 1, "b": 2}), true)]
    #[case::value(json!({"a": 1}), json!({"a": 2}), false)]
    #[case::missing(json!({"a": {"b": "c"}}), json!({}), false)]
    #[case::empty_list_dropped(json!({"egress": []}), json!({}), true)]
    #[case::empty_object_means_something(json!({"podSelector": {}}), json!({}), false)]
    #[case::longer_list(json!([1]), json!([1, 2]), false)]
    #[case::quantity(json!({"memory": "1024Mi"}), json!({"memory": "1Gi"}), true)]
    #[case::cpu(json!({"cpu": "0.5"}), json!({"cpu": "500m"}), true)]
    #[case::number(json!({"cpu": "1"}), json!({"cpu": 1}), true)]
    #[case::empty_text_dropped(json!({"name": "a", "value": ""}), json!({"name": "a"}), true)]
    #[case::text_in_the_place_of_none(json!({"value": ""}), json!({"value": "a"}), false)]
    #[case::power(json!({"memory": "129e6"}), json!({"memory": "129M"}), true)]
    #[case::small_power(json!({"cpu": "1500e-3"}), json!({"cpu": "1.5"}), true)]
    #[case::exa(json!({"memory": "1E"}), json!({"memory": "1000P"}), true)]
    #[case::exbi(json!({"memory": "1Ei"}), json!({"memory": "1024Pi"}), true)]
    #[case::micro(json!({"cpu": "500000u"}), json!({"cpu": "500m"}), true)]
    #[case::less_than_a_thousandth(json!({"cpu": "1n"}), json!({"cpu": "1m"}), true)]
    #[case::no_power(json!({"cpu": "1e99"}), json!({"cpu": "1e99"}), true)]
    #[case::other_quantity(json!({"cpu": "1"}), json!({"cpu": "1k"}), false)]
    #[case::text(json!({"a": "b"}), json!({"a": "c"}), false)]
    fn compares(#[case] wanted: Value, #[case] there: Value, #[case] same: bool) {
        assert_eq!(satisfied(&wanted, &there), same);
    }

    #[rstest::rstest]
    #[case::field(json!({"spec": {"replicas": 1, "x": "y"}}), json!({"spec": {"replicas": 2, "x": "y"}}), json!([[".spec.replicas", 2]]))]
    #[case::missing(json!({"a": {"b": {"c": 1}}}), json!({"a": {}}), json!([[".a.b", null]]))]
    #[case::entry(json!({"ports": [{"port": 1}, {"port": 2}]}), json!({"ports": [{"port": 1}, {"port": 3}]}), json!([[".ports[1].port", 3]]))]
    #[case::longer_list(json!({"ports": [1]}), json!({"ports": [1, 2]}), json!([[".ports", [1, 2]]]))]
    #[case::several(json!({"a": {"b": 1, "c": [1]}, "d": 1}), json!({"a": {"b": 2, "c": []}, "d": 1}), json!([[".a.b", 2], [".a.c", []]]))]
    fn each_difference_is_named(
        #[case] wanted: Value,
        #[case] there: Value,
        #[case] differences: Value,
    ) {
        assert_eq!(json!(all(&wanted, &there)), differences);
    }

    #[test]
    fn identical_sees_what_was_added() {
        let wanted = json!({"podSelector": {"matchLabels": {"a": "b"}}});
        let narrowed = json!({"podSelector": {"matchLabels": {"a": "b", "c": "d"}}});
        assert!(satisfied(&wanted, &narrowed));
        assert!(!identical(&wanted, &narrowed));
    }
}
