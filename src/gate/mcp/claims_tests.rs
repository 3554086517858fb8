//! Header fields that say what the body says, and others.

use super::*;
use crate::mcp::Id;
use crate::mcp::params::annotated;

const PARAMS: &str = r#"{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}"#;

fn checked(fields: &[(&'static str, &str)], params: &str) -> Option<i64> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    let version = headers
        .get("mcp-protocol-version")
        .and_then(|v| v.to_str().ok());
    let version = version.and_then(Version::parse);
    let params = Object::parse(params.as_bytes()).unwrap();
    check(&headers, version, "tools/call", &params)
        .err()
        .map(|denied| denied.code())
}

const VERSION_FIELD: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
const METHOD: (&str, &str) = ("mcp-method", "tools/call");
const NAME: (&str, &str) = ("mcp-name", "a");

#[rstest::rstest]
#[case::fine(&[VERSION_FIELD, METHOD, NAME], None)]
#[case::base64(&[VERSION_FIELD, METHOD, ("mcp-name", "=?base64?YQ==?=")], None)]
#[case::no_version(&[METHOD, NAME], Some(-32020))]
#[case::other_version(&[("mcp-protocol-version", "2025-11-25"), METHOD, NAME], Some(-32020))]
#[case::no_method(&[VERSION_FIELD, NAME], Some(-32020))]
#[case::other_method(&[VERSION_FIELD, ("mcp-method", "tools/list"), NAME], Some(-32020))]
#[case::case_counts(&[VERSION_FIELD, ("mcp-method", "Tools/call"), NAME], Some(-32020))]
#[case::no_name(&[VERSION_FIELD, METHOD], Some(-32020))]
#[case::other_name(&[VERSION_FIELD, METHOD, ("mcp-name", "b")], Some(-32020))]
#[case::two_names(&[VERSION_FIELD, METHOD, NAME, ("mcp-name", "b")], Some(-32020))]
#[case::no_base64(&[VERSION_FIELD, METHOD, ("mcp-name", "=?base64?!?=")], Some(-32020))]
fn fields_say_what_the_body_says(
    #[case] fields: &[(&'static str, &str)],
    #[case] code: Option<i64>,
) {
    assert_eq!(checked(fields, PARAMS), code);
}

fn present(fields: &[(&'static str, &str)], method: &str, params: &str) -> Option<i64> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    let params = Object::parse(params.as_bytes()).unwrap();
    let message = Message::request(&Id::number(1), method, params);
    let schema = r#"{"properties":{"region":{"x-mcp-header":"Region"}}}"#;
    let annotated = |_: &str| annotated(&serde_json::from_str(schema).unwrap());
    let checked = check_present(&headers, &message, annotated);
    checked.err().map(|denied| denied.code())
}

#[rstest::rstest]
#[case::none(&[], None)]
#[case::fine(&[VERSION_FIELD, METHOD, NAME, ("mcp-param-region", "eu")], None)]
#[case::base64(&[("mcp-name", "=?base64?YQ==?=")], None)]
#[case::of_nobody(&[("mcp-param-other", "us")], None)]
#[case::other_method(&[("mcp-method", "tools/list")], Some(-32020))]
#[case::case_counts(&[("mcp-method", "Tools/call")], Some(-32020))]
#[case::two_methods(&[METHOD, METHOD], Some(-32020))]
#[case::other_name(&[("mcp-name", "b")], Some(-32020))]
#[case::name_of_a_uri(&[("mcp-name", "u")], Some(-32020))]
#[case::two_names(&[NAME, ("mcp-name", "b")], Some(-32020))]
#[case::no_base64(&[("mcp-name", "=?base64?!?=")], Some(-32020))]
#[case::other_version(&[("mcp-protocol-version", "2025-11-25")], Some(-32020))]
#[case::other_param(&[("mcp-param-region", "us")], Some(-32020))]
fn fields_that_are_there_say_what_the_body_says(
    #[case] fields: &[(&'static str, &str)],
    #[case] code: Option<i64>,
) {
    let params = r#"{"name":"a","uri":"u","arguments":{"region":"eu"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
    assert_eq!(present(fields, "tools/call", params), code);
}

#[rstest::rstest]
#[case::of_a_resource("resources/read", "u", None)]
#[case::of_a_task("tasks/get", "t", None)]
#[case::of_nothing("tools/list", "x", Some(-32020))]
fn a_name_is_that_of_what_is_asked_for(
    #[case] method: &str,
    #[case] name: &str,
    #[case] code: Option<i64>,
) {
    let params = r#"{"uri":"u","taskId":"t","_meta":{}}"#;
    assert_eq!(present(&[("mcp-name", name)], method, params), code);
}

#[rstest::rstest]
#[case::no_meta(r#"{"name":"a"}"#)]
#[case::no_capabilities(
    r#"{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#
)]
fn what_must_be_there_is(#[case] params: &str) {
    assert_eq!(
        checked(&[VERSION_FIELD, METHOD, NAME], params),
        Some(-32602)
    );
}
