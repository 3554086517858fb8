//! The retry by which a client answers what it was asked, and how it is known to be of the same call (2026-07-28, Multi
//! Round-Trip Requests). Pure.

use sha2::{Digest, Sha256};

use super::canon::Json;
use super::object::Object;

/// Longest `requestState` that is looked at, in bytes: the gate's own are shorter.
const MAX_STATE: usize = 256;
/// A member of parameters up to so many bytes is compared by what it means, a longer one by its text: read in full, it
/// takes many times its length.
const MAX_READ: usize = 64 * 1024;
/// What a retry has beside the parameters of the call, and what may be another with each request.
const BESIDE: [&str; 3] = ["_meta", "inputResponses", "requestState"];

/// A client comes back with answers.
#[derive(Clone, Debug)]
pub struct Retry {
    /// What it was given with the questions.
    pub state: String,
    /// Its answers by the keys of the questions: each is an object.
    pub answers: Object,
}

/// Why something is no retry, and no first request either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRetry {
    /// Answers to nothing.
    #[error("inputResponses come without the requestState of their questions")]
    NoState,
    /// It is none of the gate's.
    #[error("requestState is none that was given here")]
    BadState,
    /// They cannot be read.
    #[error("inputResponses is no object of objects")]
    BadAnswers,
}

impl Retry {
    /// Reads the parameters of a request; `None` where it is the first of its call.
    ///
    /// # Errors
    /// [`NoRetry`].
    pub fn of(params: &Object) -> Result<Option<Self>, NoRetry> {
        let answers = match params.get("inputResponses") {
            None => None,
            Some(_) => Some(params.object("inputResponses").ok_or(NoRetry::BadAnswers)?),
        };
        let Some(state) = params.get("requestState") else {
            return answers.map_or(Ok(None), |_| Err(NoRetry::NoState));
        };
        if state.get().len() > MAX_STATE {
            return Err(NoRetry::BadState);
        }
        let state = params.text("requestState").ok_or(NoRetry::BadState)?;
        let answers = answers.unwrap_or_default();
        if !(answers.members()).all(|(_, answer)| answer.get().starts_with('{')) {
            return Err(NoRetry::BadAnswers);
        }
        Ok(Some(Self { state, answers }))
    }
}

/// By what a retry is known to be of the same call: its method and its parameters, without what a retry adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a request.
    #[must_use]
    pub fn of(method: &str, params: &Object) -> Self {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        add(method);
        let mut members: Vec<_> = params
            .members()
            .filter(|(name, _)| !BESIDE.contains(name))
            .collect();
        members.sort_by_key(|(name, _)| *name);
        for (name, value) in members {
            let text = value.get();
            let read = (text.len() <= MAX_READ).then(|| serde_json::from_str::<Json>(text));
            add(name);
            match read {
                Some(Ok(value)) => add(&value.canonical()),
                Some(Err(_)) | None => add(text),
            }
        }
        Self(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object::parse(text.as_bytes()).unwrap()
    }

    #[rstest::rstest]
    #[case::first(r#"{"name":"a"}"#, Ok(None))]
    #[case::bare(r#"{"requestState":"s"}"#, Ok(Some("s")))]
    #[case::full(r#"{"requestState":"s","inputResponses":{"q1":{}}}"#, Ok(Some("s")))]
    #[case::stateless(r#"{"inputResponses":{}}"#, Err(NoRetry::NoState))]
    #[case::number(r#"{"requestState":7}"#, Err(NoRetry::BadState))]
    #[case::list(
        r#"{"requestState":"s","inputResponses":[]}"#,
        Err(NoRetry::BadAnswers)
    )]
    #[case::text(
        r#"{"requestState":"s","inputResponses":{"q1":"yes"}}"#,
        Err(NoRetry::BadAnswers)
    )]
    fn retries_are_read(#[case] params: &str, #[case] expected: Result<Option<&str>, NoRetry>) {
        let read = Retry::of(&object(params)).map(|retry| retry.map(|retry| retry.state));
        assert_eq!(read, expected.map(|state| state.map(str::to_owned)));
    }

    #[test]
    fn a_retry_is_of_the_same_call() {
        let of = |text| Fingerprint::of("tools/call", &object(text));
        let call = of(r#"{"name":"a","arguments":{"x":1,"y":"z"}}"#);
        let retry = r#"{"arguments":{ "y":"z", "x":1.0 },"name":"a","requestState":"s","inputResponses":{},"_meta":{"k":1}}"#;
        assert_eq!(call, of(retry));
        for other in [
            r#"{"name":"b","arguments":{"x":1,"y":"z"}}"#,
            r#"{"name":"a","arguments":{"x":2,"y":"z"}}"#,
            r#"{"name":"a"}"#,
        ] {
            assert_ne!(call, of(other));
        }
        let other = Fingerprint::of("prompts/get", &object(r#"{"name":"a"}"#));
        assert_ne!(of(r#"{"name":"a"}"#), other);
        let long = format!(r#"{{"arguments":"{}"}}"#, "x".repeat(MAX_READ));
        assert_eq!(of(&long), of(&long));
    }
}
