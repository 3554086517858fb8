//! Label selectors in a normal form that can be matched and compared.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::Labels;

/// A label selector: what it asks of each key, all of which must hold. The empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(BTreeMap<String, Constraint>);

/// What one selector asks of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Constraint {
    /// The key must be there.
    present: bool,
    /// The key must not be there.
    absent: bool,
    /// The value is one of these. Implies `present`.
    one_of: Option<BTreeSet<String>>,
    /// The value, if the key is there, is none of these.
    none_of: BTreeSet<String>,
}

impl Selector {
    /// The selector of an object; an operator that the API does not know makes one that matches nothing.
    #[must_use]
    pub fn parse(selector: &LabelSelector) -> Self {
        let mut all = Self::default();
        for (key, value) in selector.match_labels.iter().flatten() {
            all.at(key).narrow([value.clone()]);
        }
        for expression in selector.match_expressions.iter().flatten() {
            let constraint = all.at(&expression.key);
            let values = expression.values.iter().flatten().cloned();
            match expression.operator.as_str() {
                "In" => constraint.narrow(values),
                "NotIn" => constraint.none_of.extend(values),
                "Exists" => constraint.present = true,
                "DoesNotExist" => constraint.absent = true,
                _ => constraint.narrow([]),
            }
        }
        all
    }

    /// The selector of exactly one key and value.
    #[must_use]
    pub fn label(key: &str, value: &str) -> Self {
        let mut selector = Self::default();
        selector.at(key).narrow([value.to_owned()]);
        selector
    }

    /// Each thing asked, in the notation of `kubectl --selector`.
    pub(super) fn terms(&self) -> Vec<String> {
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(",");
        let mut terms = Vec::new();
        for (key, asked) in &self.0 {
            match &asked.one_of {
                Some(set) if set.len() == 1 => terms.push(format!("{key}={}", list(set))),
                Some(set) => terms.push(format!("{key} in ({})", list(set))),
                None if asked.present => terms.push(key.clone()),
                None => {}
            }
            if asked.absent {
                terms.push(format!("!{key}"));
            }
            if !asked.none_of.is_empty() {
                terms.push(format!("{key} notin ({})", list(&asked.none_of)));
            }
        }
        terms
    }

    fn at(&mut self, key: &str) -> &mut Constraint {
        self.0.entry(key.to_owned()).or_default()
    }

    /// Whether these labels have all that is asked.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0
            .iter()
            .all(|(key, constraint)| constraint.admits(labels.get(key).map(String::as_str)))
    }

    /// Whether it matches everything because it asks nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether no labels at all can match.
    #[must_use]
    pub fn matches_nothing(&self) -> bool {
        self.0.values().any(Constraint::contradicts)
    }

    /// Whether every label set that this selector matches is matched by `other` too.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        let free = Constraint::default();
        self.matches_nothing()
            || other
                .0
                .iter()
                .all(|(key, asked)| self.0.get(key).unwrap_or(&free).implies(asked))
    }
}

impl Constraint {
    fn narrow(&mut self, values: impl IntoIterator<Item = String>) {
        let values: BTreeSet<String> = values.into_iter().collect();
        self.present = true;
        self.one_of = Some(match self.one_of.take() {
            Some(before) => before.intersection(&values).cloned().collect(),
            None => values,
        });
    }

    fn admits(&self, value: Option<&str>) -> bool {
        match value {
            None => !self.present,
            Some(value) => {
                !self.absent
                    && !self.none_of.contains(value)
                    && self.one_of.as_ref().is_none_or(|set| set.contains(value))
            }
        }
    }

    fn contradicts(&self) -> bool {
        (self.present && self.absent)
            || self
                .one_of
                .as_ref()
                .is_some_and(|set| set.is_subset(&self.none_of))
    }

    /// Whether every value (or absence) that this admits is admitted by `asked`.
    fn implies(&self, asked: &Self) -> bool {
        if let Some(set) = &self.one_of {
            return set
                .iter()
                .filter(|value| !self.none_of.contains(*value))
                .all(|value| asked.admits(Some(value)));
        }
        if self.absent {
            return asked.admits(None);
        }
        // Infinitely many values remain here, so only a constraint of the same kind can be implied.
        asked.one_of.is_none()
            && !asked.absent
            && asked.none_of.is_subset(&self.none_of)
            && (!asked.present || self.present)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;
    use proptest::prelude::*;

    use super::*;

    fn selector(expressions: &[(&str, &str, &[&str])]) -> Selector {
        Selector::parse(&LabelSelector {
            match_labels: None,
            match_expressions: Some(
                expressions
                    .iter()
                    .map(|(key, operator, values)| LabelSelectorRequirement {
                        key: (*key).to_owned(),
                        operator: (*operator).to_owned(),
                        values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
                    })
                    .collect(),
            ),
        })
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[rstest::rstest]
    #[case::empty_matches_all(&[], &[], true)]
    #[case::in_hits(&[("a", "In", &["1", "2"][..])], &[("a", "2")], true)]
    #[case::in_misses(&[("a", "In", &["1"][..])], &[("a", "2")], false)]
    #[case::in_needs_the_key(&[("a", "In", &["1"][..])], &[], false)]
    #[case::not_in_without_the_key(&[("a", "NotIn", &["1"][..])], &[], true)]
    #[case::not_in_hits(&[("a", "NotIn", &["1"][..])], &[("a", "1")], false)]
    #[case::exists(&[("a", "Exists", &[][..])], &[("a", "")], true)]
    #[case::exists_misses(&[("a", "Exists", &[][..])], &[("b", "")], false)]
    #[case::does_not_exist(&[("a", "DoesNotExist", &[][..])], &[("b", "")], true)]
    #[case::does_not_exist_misses(&[("a", "DoesNotExist", &[][..])], &[("a", "")], false)]
    #[case::unknown_operator(&[("a", "Near", &["1"][..])], &[("a", "1")], false)]
    #[case::all_must_hold(&[("a", "Exists", &[][..]), ("b", "Exists", &[][..])], &[("a", "")], false)]
    fn matching(
        #[case] expressions: &[(&str, &str, &[&str])],
        #[case] pairs: &[(&str, &str)],
        #[case] expected: bool,
    ) {
        assert_eq!(selector(expressions).matches(&labels(pairs)), expected);
    }

    fn any_selector() -> impl Strategy<Value = Selector> {
        let operator = prop::sample::select(vec!["In", "NotIn", "Exists", "DoesNotExist"]);
        let key = prop::sample::select(vec!["a", "b"]);
        let values = prop::sample::subsequence(vec!["1", "2", "3"], 1..=3);
        prop::collection::vec((key, operator, values), 0..4).prop_map(|list| {
            let list: Vec<(&str, &str, &[&str])> = list
                .iter()
                .map(|(key, operator, values)| (*key, *operator, values.as_slice()))
                .collect();
            selector(&list)
        })
    }

    /// Every label set over two keys and four values (one that no selector names), absent included.
    fn every_label_set() -> Vec<Labels> {
        let values = [None, Some("1"), Some("2"), Some("3"), Some("other")];
        let mut sets = Vec::new();
        for a in values {
            for b in values {
                let pairs = [("a", a), ("b", b)];
                sets.push(
                    pairs
                        .iter()
                        .filter_map(|(key, value)| Some(((*key).to_owned(), (*value)?.to_owned())))
                        .collect(),
                );
            }
        }
        sets
    }

    proptest! {
        #[test]
        fn within_is_what_matching_says(one in any_selector(), other in any_selector()) {
            let by_matching = every_label_set()
                .iter()
                .all(|labels| !one.matches(labels) || other.matches(labels));
            prop_assert_eq!(one.within(&other), by_matching);
        }

        #[test]
        fn contradictions_match_nothing(one in any_selector()) {
            let none = !every_label_set().iter().any(|labels| one.matches(labels));
            prop_assert_eq!(one.matches_nothing(), none);
        }
    }
}
