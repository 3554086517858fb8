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
            Condition {
                type_: finding.kind.as_str().to_owned(),
                status: finding.truth.as_str().to_owned(),
                reason: finding.reason.as_str().to_owned(),
                message: finding.message.chars().take(LONGEST).collect(),
                observed_generation: generation,
                last_transition_time: same
                    .map_or_else(|| now.clone(), |old| old.last_transition_time.clone()),
            }
        })
        .collect()
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
