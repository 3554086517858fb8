//! What is a message, and what it is.

use super::*;

#[rstest::rstest]
#[case::none("{}", true)]
#[case::plain(r#"{"_meta":{"progressToken":1}}"#, true)]
#[case::twice(r#"{"_meta":{"progressToken":1,"progressToken":7}}"#, false)]
#[case::any_case(r#"{"_meta":{"ProgressToken":7}}"#, false)]
#[case::another_meta(r#"{"_Meta":{"progressToken":7}}"#, false)]
#[case::no_object(r#"{"_meta":7}"#, false)]
fn a_progress_token_has_one_place(#[case] params: &str, #[case] plain: bool) {
    assert_eq!(
        is_meta_plain(&Object::parse(params.as_bytes()).unwrap()),
        plain
    );
}

fn id(text: &str) -> Id {
    Id::parse(serde_json::from_str(text).unwrap()).unwrap()
}

fn request(text: &str, method: &str) -> Kind {
    Kind::Request {
        id: id(text),
        method: method.to_owned(),
    }
}

#[rstest::rstest]
#[case(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, request("1", "ping"))]
#[case(
    r#"{"method":"a","id":"\u0031","jsonrpc":"2.0"}"#,
    request("\"\\u0031\"", "a")
)]
#[case(r#"{"jsonrpc":"2.0","method":"a"}"#, Kind::Notification { method: "a".to_owned() })]
#[case(r#"{"jsonrpc":"2.0","id":-4,"result":null}"#, Kind::Response { id: id("-4") })]
#[case(r#"{"jsonrpc":"2.0","id":4,"error":{}}"#, Kind::Response { id: id("4") })]
fn heads_are_read(#[case] text: &str, #[case] kind: Kind) {
    assert_eq!(Message::parse(text.as_bytes()).unwrap().kind, kind);
}

#[rstest::rstest]
#[case::no_json("{", Malformed::NoJson)]
#[case::batch(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, Malformed::NoObject)]
#[case::two_methods(
    r#"{"jsonrpc":"2.0","id":1,"method":"a","Method":"b"}"#,
    Malformed::NoObject
)]
#[case::old(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, Malformed::NoMessage)]
#[case::no_id(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, Malformed::NoMessage)]
#[case::odd_id(r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, Malformed::NoMessage)]
#[case::both(
    r#"{"jsonrpc":"2.0","id":1,"method":"a","result":1}"#,
    Malformed::NoMessage
)]
#[case::result_and_error(
    r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#,
    Malformed::NoMessage
)]
#[case::number(r#"{"jsonrpc":"2.0","id":1,"method":7}"#, Malformed::NoMessage)]
#[case::nothing(r#"{"jsonrpc":"2.0","id":1}"#, Malformed::NoMessage)]
#[case::disguised(
    r#"{"jsonrpc":"2.0","id":1,"result":{},"Method":"tools/call"}"#,
    Malformed::NoMessage
)]
#[case::call_without_id(r#"{"jsonrpc":"2.0","method":"tools/call"}"#, Malformed::NoMessage)]
#[case::deep(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{}{}}}"#, "[".repeat(200), "]".repeat(200)), Malformed::TooDeep)]
fn everything_else_is_refused(#[case] text: &str, #[case] why: Malformed) {
    assert_eq!(Message::of_client(text.as_bytes()).map(|_| ()), Err(why));
}

#[test]
fn an_id_goes_back_as_it_came() {
    let text = r#"{"jsonrpc":"2.0","id":"a\"b","method":"ping","x":[1]}"#;
    let message = Message::parse(text.as_bytes()).unwrap();
    let Kind::Request { id, .. } = message.kind.clone() else {
        panic!()
    };
    let there = message.with_id(&Id::number(7));
    assert_eq!(
        there.to_line(),
        br#"{"jsonrpc":"2.0","id":7,"method":"ping","x":[1]}"#
    );
    let answer = Message::result(&Id::number(7), &1).with_id(&id);
    assert_eq!(
        answer.to_line(),
        br#"{"jsonrpc":"2.0","id":"a\"b","result":1}"#
    );
}
