use super::*;

/// What is told of a text that passes in these pieces.
fn glanced<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Option<Answer> {
    let mut glance = Glance::default();
    parts.into_iter().for_each(|part| glance.push(part));
    glance.answer()
}

fn id(text: &str) -> Id {
    let raw: &RawValue = serde_json::from_str(text).unwrap();
    Id::parse(raw).unwrap()
}

/// What is expected is the id, and the code of an error.
#[rstest::rstest]
#[case::result(r#"{"jsonrpc":"2.0","id":7,"result":{"a":[1,"b"]}}"#, Some(("7", None)))]
#[case::id_last(r#"{"result":{"id":8},"jsonrpc":"2.0","id":7}"#, Some(("7", None)))]
#[case::id_between(r#"{"result":[],"id":7,"jsonrpc":"2.0"}"#, Some(("7", None)))]
#[case::beside_others(
    r#"{"x":{"id":8,"method":"a"},"jsonrpc":"2.0","y":[{"id":9}],"id":7,"result":1,"z":null}"#,
    Some(("7", None))
)]
#[case::empty(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, Some(("7", None)))]
#[case::null(r#"{"jsonrpc":"2.0","id":7,"result":null}"#, Some(("7", None)))]
#[case::nested(
    r#"{"jsonrpc":"2.0","result":{"id":8,"error":{"code":1},"method":"a","x":[{"id":9},[[]]]},"id":7}"#,
    Some(("7", None))
)]
#[case::in_a_string(
    r#"{"jsonrpc":"2.0","id":7,"result":"\",\"id\":8,\"method\":\"a\"}"}"#,
    Some(("7", None))
)]
#[case::behind_backslashes(
    r#"{"result":"a\\","jsonrpc":"2.0","id":"\\\"}{,:[","x":"\\\\"}"#,
    Some((r#""\\\"}{,:[""#, None))
)]
#[case::text(r#"{"jsonrpc":"2.0","id":"a, b","result":{}}"#, Some((r#""a, b""#, None)))]
#[case::number_as_text(r#"{"jsonrpc":"2.0","id":"7","result":{}}"#, Some((r#""7""#, None)))]
#[case::negative(r#"{"jsonrpc":"2.0","id":-7,"result":{}}"#, Some(("-7", None)))]
#[case::fraction(r#"{"jsonrpc":"2.0","id":7.0,"result":{}}"#, Some(("7.0", None)))]
#[case::escaped_names(
    r#"{"json\u0072pc":"2\u002e0","\u0069d":7,"res\u0075lt":{}}"#,
    Some(("7", None))
)]
#[case::spaces(
    "\n { \"jsonrpc\" :\t\"2.0\" ,\r\n \"id\" : 7 , \"result\" : { } } \n",
    Some(("7", None))
)]
#[case::more_than_ascii(
    r#"{"jsonrpc":"2.0","id":"é","result":{"ü":"…"}}"#,
    Some((r#""é""#, None))
)]
#[case::error(
    r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"no","data":{"code":1}}}"#,
    Some(("7", Some(-32602)))
)]
#[case::code_last(
    r#"{"error":{"data":[{"code":1}],"message":"\"code\":1","code": -32602 },"id":7,"jsonrpc":"2.0"}"#,
    Some(("7", Some(-32602)))
)]
#[case::code_of_a_result(
    r#"{"jsonrpc":"2.0","id":7,"result":{"code":1,"error":{"code":2}}}"#,
    Some(("7", None))
)]
#[case::code_of_another_member(
    r#"{"jsonrpc":"2.0","id":7,"error":{"message":"no"},"x":{"code":1},"code":2}"#,
    Some(("7", None))
)]
#[case::strange_error(r#"{"jsonrpc":"2.0","id":7,"error":[1,2]}"#, Some(("7", None)))]
#[case::strange_code(
    r#"{"jsonrpc":"2.0","id":7,"error":{"code":"1"}}"#,
    Some(("7", None))
)]
#[case::id_null(r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, None)]
#[case::id_object(r#"{"jsonrpc":"2.0","id":{"id":7},"result":{}}"#, None)]
#[case::id_list(r#"{"jsonrpc":"2.0","id":[7],"result":{}}"#, None)]
#[case::id_nested_alone(r#"{"jsonrpc":"2.0","result":{"id":7}}"#, None)]
#[case::request(
    r#"{"jsonrpc":"2.0","id":7,"method":"roots/list","params":{"result":{}}}"#,
    None
)]
#[case::notification(r#"{"jsonrpc":"2.0","method":"a","params":{"id":7}}"#, None)]
#[case::both_kinds(r#"{"jsonrpc":"2.0","id":7,"method":"a","result":{}}"#, None)]
#[case::two_answers(r#"{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":1}}"#, None)]
#[case::neither(r#"{"jsonrpc":"2.0","id":7}"#, None)]
#[case::another_version(r#"{"jsonrpc":"1.0","id":7,"result":{}}"#, None)]
#[case::no_version(r#"{"id":7,"result":{}}"#, None)]
#[case::batch(r#"[{"jsonrpc":"2.0","id":7,"result":{}}]"#, None)]
#[case::two_objects(
    r#"{"jsonrpc":"2.0","id":7,"result":{}}{"jsonrpc":"2.0","id":7,"result":{}}"#,
    None
)]
#[case::more_behind_it(r#"{"jsonrpc":"2.0","id":7,"result":{}} x"#, None)]
#[case::another_end(r#"{"jsonrpc":"2.0","id":7,"result":{]}"#, None)]
#[case::crossed_ends(r#"{"jsonrpc":"2.0","id":7,"result":[{]}}"#, None)]
#[case::no_value(r#"{"jsonrpc":"2.0","id":7,"result":}"#, None)]
#[case::no_value_first(r#"{"result":,"jsonrpc":"2.0","id":7}"#, None)]
#[case::no_member(r#"{"jsonrpc":"2.0","id":7,"result":{"a":1,}}"#, None)]
#[case::no_json("no json", None)]
#[case::nothing("", None)]
fn an_answer_is_known_however_it_comes(
    #[case] text: &str,
    #[case] expected: Option<(&str, Option<i64>)>,
) {
    let expected = expected.map(|(text, error)| Answer {
        id: id(text),
        error,
    });
    let bytes = text.as_bytes();
    let read = Message::parse(bytes).ok();
    let read = read.as_ref().and_then(Answer::of);
    assert_eq!(read, expected, "as a message that is read whole");
    for at in 0..=bytes.len() {
        let (one, other) = bytes.split_at(at);
        assert_eq!(glanced([one, other]), expected, "at {at}");
    }
    assert_eq!(glanced(bytes.chunks(1)), expected);
}

/// No reader of the gate's goes so deep, but that of a client may.
#[test]
fn an_answer_is_one_however_deep_it_is() {
    for (ends, fits) in [("}]", true), ("]}", false)] {
        let (begin, end) = ("[{\"a\":".repeat(100), ends.repeat(100));
        let text = format!(r#"{{"jsonrpc":"2.0","result":{begin}1{end},"id":7}}"#);
        assert_eq!(Glance::of(text.as_bytes()).answer().is_some(), fits);
    }
}

/// The same where nobody could read it: its middle is so long, and what comes behind it may be missing.
#[rstest::rstest]
#[case::answer(r#"{"jsonrpc":"2.0","id":7,"result":{"a":"…"}}"#, "answer 7")]
#[case::text(r#"{ "id" : "a-1" , "error" : {"a":"…"}}"#, r#"answer "a-1""#)]
#[case::id_last(r#"{"result":{"a":"…"},"jsonrpc":"2.0","id":12}"#, "answer 12")]
#[case::id_before_the_version(r#"{"result":{"a":"…"},"id":3,"jsonrpc":"2.0"} "#, "answer 3")]
#[case::fraction(r#"{"jsonrpc":"2.0","id":7.0,"result":{"a":"…"}}"#, "answer 7.0")]
#[case::broken_off(r#"{"jsonrpc":"2.0","id":7,"result":{"a":"…"#, "answer 7")]
#[case::no_json(r#"{"result":{"a":"…",},"x":[},"jsonrpc":"2.0","id":7}"#, "answer 7")]
// A result that holds what looks like an id.
#[case::id_within(r#"{"result":{"a":"…","id":12},"jsonrpc":"2.0"}"#, "nothing")]
#[case::id_within_alone(r#"{"result":{"a":"…","id":12}}"#, "nothing")]
#[case::id_in_a_string(r#"{"jsonrpc":"2.0","result":"…\",\"id\":5"}"#, "nothing")]
// Requests have ids of their own.
#[case::question(
    r#"{"jsonrpc":"2.0","id":7,"method":"a","params":{"a":"…"}}"#,
    "question 7"
)]
#[case::question_with_its_id_last(
    r#"{"method":"a\/b","params":{"a":"…"},"jsonrpc":"2.0","id":7}"#,
    "question 7"
)]
#[case::question_with_its_method_behind(
    r#"{"id":"\"7","params":{"a":"…"},"method":"a","jsonrpc":"2.0"}"#,
    r#"question "\"7""#
)]
#[case::question_with_all_behind(
    r#"{"params":{"a":"…"},"id":7,"method":"a","jsonrpc":"2.0"}"#,
    "question 7"
)]
// Notifications have none.
#[case::note(
    r#"{"jsonrpc":"2.0","method":"a","params":{"a":"…","id":12}}"#,
    "nothing"
)]
#[case::note_with_its_version_last(
    r#"{"method":"a","params":{"a":"…","id":12},"jsonrpc":"2.0"}"#,
    "nothing"
)]
#[case::strange_id(r#"{"jsonrpc":"2.0","id":{},"result":"…"}"#, "nothing")]
#[case::strange("…", "nothing")]
fn it_is_told_whose_it_is_as_far_as_that_can_be(#[case] text: &str, #[case] expected: &str) {
    let text = text.replace('…', &"x".repeat(8 * MAX_ID));
    let mut glance = Glance::default();
    text.as_bytes()
        .chunks(100)
        .for_each(|part| glance.push(part));
    let head = glance.head().map(|head| match head {
        Head::Answer(id) => ("answer", id),
        Head::Question(id) => ("question", id),
    });
    let head = head.map(|(what, id)| format!("{what} {}", serde_json::to_string(&id).unwrap()));
    assert_eq!(head.unwrap_or("nothing".to_owned()), expected);
}

#[test]
fn what_broke_off_is_no_answer() {
    let text = br#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"a"}}"#;
    for at in 0..text.len() {
        assert_eq!(glanced([&text[..at]]), None, "{at}");
    }
    assert!(glanced([&text[..]]).is_some());
}

#[test]
fn little_is_kept_of_it_whatever_is_long() {
    let long = "x".repeat(64 * MAX_ID);
    let digits = "7".repeat(64 * MAX_ID);
    for (text, is_answer) in [
        (r#"{"jsonrpc":"2.0","id":7,"result":"…"}"#, true),
        (r#"{"jsonrpc":"2.0","result":["…",{"…":1}],"id":7}"#, true),
        (r#"{"…":"…","jsonrpc":"2.0","id":7,"result":{}}"#, true),
        (
            r#"{"error":{"message":"…","…":1},"jsonrpc":"2.0","id":7}"#,
            true,
        ),
        (r#"{"jsonrpc":"2.0","id":"…","result":{}}"#, false),
        (r#"{"jsonrpc":"2.0","id":#,"result":{}}"#, false),
    ] {
        let text = text.replace('…', &long).replace('#', &digits);
        let mut glance = Glance::default();
        for part in text.as_bytes().chunks(100) {
            glance.push(part);
            assert!(glance.token.capacity() <= 4 * MAX_ID);
        }
        assert_eq!(glance.answer().is_some(), is_answer);
    }
}
