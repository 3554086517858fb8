//! Conditions: one place sets them, and time stamps move only with the status value.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{ConditionType, Reason};

/// The value of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

impl Truth {
    /// As the status writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// One condition before it has a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub kind: ConditionType,
    /// Its value.
    pub truth: Truth,
    /// Why.
    pub reason: Reason,
    /// For people, at most 1,024 characters.
    pub message: String,
}

impl Finding {
    /// A finding.
    #[must_use]
    pub fn new(
        kind: ConditionType,
        truth: Truth,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            truth,
            reason,
            message: message.into(),
        }
    }
}

const LONGEST: usize = 1_024;

/// The conditions to write: in the order of the findings, each with the old time while its value is the old.
#[must_use]
pub fn conditions(
    findings: &[Finding],
    old: &[Condition],
    generation: Option<i64>,
    now: Time,
) -> Vec<Condition> {
    findings
        .iter()
        .map(|finding| {
            let before = find(old, finding.kind);
            let same = before.filter(|old| old.status == finding.truth.as_str());
            let message: String = finding.message.chars().take(LONGEST).collect();
            let told = same.filter(|old| {
                old.observed_generation == generation
                    && old.reason == finding.reason.as_str()
                    && says_the_same(finding.reason, &old.message, &message)
            });
            Condition {
                type_: finding.kind.as_str().to_owned(),
                status: finding.truth.as_str().to_owned(),
                reason: finding.reason.as_str().to_owned(),
                message: told.map_or(message, |old| old.message.clone()),
                observed_generation: generation,
                last_transition_time: same
                    .map_or_else(|| now.clone(), |old| old.last_transition_time.clone()),
            }
        })
        .collect()
}

/// Whether other words of the API server say nothing new: they may have names of requests in them. A status
/// that is written wakes its object, so that one with other names each time would be tried without a pause.
fn says_the_same(reason: Reason, old: &str, new: &str) -> bool {
    let step = |text| str::split_once(text, ": ").map(|(step, _)| step);
    match reason {
        // Nobody has to act on what follows the step that failed; the log has it each time.
        Reason::RetryingAfterError => step(old).is_some() && step(old) == step(new),
        Reason::ChildRefused => without_names(old).eq(without_names(new)),
        _ => false,
    }
}

/// The text in pieces, without UUIDs and other runs of eight hexadecimal digits or more. A quota's numbers are shorter.
fn without_names(text: &str) -> impl Iterator<Item = &str> {
    let of_name = |c: char| c.is_ascii_hexdigit() || c == '-';
    text.split_inclusive(move |c: char| !of_name(c))
        .map(move |piece| {
            let rest = piece.trim_start_matches(of_name);
            let is_name = piece.len() - rest.len() >= 8;
            if is_name { rest } else { piece }
        })
}

/// The condition of that type.
#[must_use]
pub fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == kind.as_str())
}

/// Whether the condition of that type is true.
#[must_use]
pub fn is_true(conditions: &[Condition], kind: ConditionType) -> bool {
    find(conditions, kind).is_some_and(|c| c.status == Truth::True.as_str())
}

/// Conditions whose value or reason is not what it was: what Events tell.
pub fn transitions<'a>(
    old: &'a [Condition],
    new: &'a [Condition],
) -> impl Iterator<Item = &'a Condition> {
    new.iter().filter(move |now| {
        old.iter()
            .find(|old| old.type_ == now.type_)
            .is_none_or(|old| old.status != now.status || old.reason != now.reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time(k8s_openapi::jiff::Timestamp::from_second(second).unwrap())
    }

    fn ready(truth: Truth, reason: Reason, message: &str) -> [Finding; 1] {
        [Finding::new(ConditionType::Ready, truth, reason, message)]
    }

    #[test]
    fn time_moves_with_the_value_alone() {
        let first = conditions(
            &ready(Truth::False, Reason::Planning, "a"),
            &[],
            Some(1),
            at(1),
        );
        let same = conditions(
            &ready(Truth::False, Reason::Pulling, "b"),
            &first,
            Some(2),
            at(2),
        );
        assert_eq!(same[0].last_transition_time, at(1));
        assert_eq!(same[0].observed_generation, Some(2));
        let other = conditions(
            &ready(Truth::True, Reason::Pulling, "b"),
            &same,
            Some(2),
            at(3),
        );
        assert_eq!(other[0].last_transition_time, at(3));
        assert_eq!(transitions(&first, &same).count(), 1);
        assert_eq!(transitions(&same, &same).count(), 0);
    }

    #[rstest::rstest]
    #[case::another_port(
        Reason::RetryingAfterError,
        "failed to write Service a: read 10.0.0.1:41234: reset",
        "failed to write Service a: read 10.0.0.1:50312: reset",
        true
    )]
    #[case::another_child(
        Reason::RetryingAfterError,
        "failed to write Service a: reset",
        "failed to write Deployment a: reset",
        false
    )]
    #[case::another_request(
        Reason::ChildRefused,
        "the API server refuses Service a: denied (request 0a1b2c3d-0000-4000-8000-000000000001)",
        "the API server refuses Service a: denied (request 2c3d0a1b-0000-4000-8000-000000000002)",
        true
    )]
    #[case::another_short_request(
        Reason::ChildRefused,
        "the API server refuses Service a: denied, request 0a1b2c3d",
        "the API server refuses Service a: denied, request 91827364",
        true
    )]
    #[case::another_quota(
        Reason::ChildRefused,
        "the API server refuses Deployment a: exceeded quota, used: 4, limited: 4",
        "the API server refuses Deployment a: exceeded quota, used: 6, limited: 6",
        false
    )]
    #[case::another_webhook(
        Reason::ChildRefused,
        "the API server refuses Service a: denied by one",
        "the API server refuses Service a: denied by two",
        false
    )]
    #[case::numbers_of_ours(Reason::RollingOut, "1 of 2 pods", "2 of 2 pods", false)]
    fn what_is_tried_again_is_not_written_again_for_other_words(
        #[case] reason: Reason,
        #[case] before: &str,
        #[case] now: &str,
        #[case] same: bool,
    ) {
        let of = |text, old: &[Condition], generation| {
            conditions(
                &ready(Truth::False, reason, text),
                old,
                Some(generation),
                at(1),
            )
        };
        let first = of(before, &[], 1);
        assert_eq!(of(now, &first, 1) == first, same);
        assert_eq!(of(now, &first, 2)[0].message, now, "of another generation");
    }

    #[test]
    fn messages_are_bounded() {
        let long = "ä".repeat(3_000);
        let written = conditions(
            &ready(Truth::False, Reason::Planning, &long),
            &[],
            None,
            at(1),
        );
        assert_eq!(written[0].message.chars().count(), LONGEST);
    }
}
