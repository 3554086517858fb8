//! Tasks (2025-11-25, Tasks): a call may go on as one, and whoever names it hears what came of it. A server on stdio has
//! one client and nothing by which it could tell the tasks of several apart, so where several share it there are none.

use super::object::{Object, folded};

/// Whether a method is one of theirs, also to a reader who takes any case, or spaces around a name.
#[must_use]
pub fn is_method(method: &str) -> bool {
    folded(method.trim()).starts_with("TASKS/")
}

/// Takes out of a request's parameters that it is to go on as a task; whether that was there. A server that has declared
/// no tasks would take no notice of it either.
pub fn take(params: &mut Object) -> bool {
    params.remove("task").is_some()
}

/// What a server says of itself, without its tasks.
#[must_use]
pub fn without(mut hello: Object) -> Object {
    if let Some(mut capabilities) = hello.object("capabilities")
        && capabilities.remove("tasks").is_some()
    {
        hello.put("capabilities", &capabilities);
    }
    hello
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::listed("tasks/list", true)]
    #[case::of_a_later_revision("tasks/update", true)]
    #[case::other_case("Tasks/Result", true)]
    #[case::spaces(" tasks/get", true)]
    #[case::long_s("ta\u{17f}ks/get", true)]
    #[case::tools("tools/list", false)]
    #[case::another_word("task/list", false)]
    #[case::inside("x/tasks/list", false)]
    fn methods_of_tasks_are_known(#[case] method: &str, #[case] theirs: bool) {
        assert_eq!(is_method(method), theirs);
    }

    #[test]
    fn a_server_and_a_call_go_on_without_them() {
        let read = |text: &str| Object::parse(text.as_bytes()).unwrap();
        let text = |object: &Object| String::from_utf8(object.to_line()).unwrap();
        let hello = r#"{"capabilities":{"tools":{},"tasks":{"list":{}}},"x":1}"#;
        let without = without(read(hello));
        assert_eq!(text(&without), r#"{"capabilities":{"tools":{}},"x":1}"#);
        let mut params = read(r#"{"name":"a","task":{"ttl":1}}"#);
        assert!(take(&mut params) && !take(&mut params));
        assert_eq!(text(&params), r#"{"name":"a"}"#);
    }
}
