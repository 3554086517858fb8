//! Do all policies together allow a pod more than its object declared?

use std::collections::BTreeMap;

use super::cover::{Atom, atoms};
use super::{Direction, Labels, Policy, PolicyRef, Rule, describe};

/// Longest [`Closure::detail`], in characters: it becomes part of a signed message and of a condition.
pub const MAX_DETAIL: usize = 1024;

/// What people add to the `podSelector` of a policy that means everybody but not sealed pods.
const CURE: &str = "exclude pods with the label sealroom.dev/sealed by matchExpressions {key: sealroom.dev/sealed, operator: DoesNotExist}";

/// What a direction allows a pod, all policies taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// No policy isolates the pod in this direction.
    Everything,
    /// Exactly what these rules allow, each with the policy that has it.
    Rules(Vec<(PolicyRef, Rule)>),
}

/// The union of what all policies that select the pod allow in one direction, rules included that some network
/// plugins carry out although the policy's `policyTypes` leave the direction out.
#[must_use]
pub fn allowed(
    policies: &[Policy],
    labels: &Labels,
    namespace: &str,
    direction: Direction,
) -> Allowed {
    let mut isolated = false;
    let mut all = Vec::new();
    for policy in policies
        .iter()
        .filter(|policy| policy.selects(namespace, labels))
    {
        if let Some(rules) = policy.rules(direction) {
            isolated = true;
            all.extend(rules.iter().map(|rule| (policy.id.clone(), rule.clone())));
        }
        let unlisted = policy.unlisted.iter().filter(|(at, _)| *at == direction);
        all.extend(unlisted.map(|(_, rule)| (policy.id.clone(), rule.clone())));
    }
    if isolated {
        Allowed::Rules(all)
    } else {
        Allowed::Everything
    }
}

/// What an object declares: the policies that the operator built for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// As built, in the pod's namespace: the shared one and the object's edges.
    pub policies: Vec<Policy>,
}

impl Declared {
    /// Whether it declares any way out.
    #[must_use]
    pub fn has_egress(&self) -> bool {
        let mut rules = self
            .policies
            .iter()
            .filter_map(|policy| policy.egress.as_deref());
        rules.any(|rules| rules.iter().any(|rule| atoms(rule).next().is_some()))
    }
}

/// One thing that is allowed and was not declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Widening {
    /// No policy isolates the pod in this direction.
    NotIsolated(Direction),
    /// A policy allows more.
    Policy {
        /// Which one.
        policy: PolicyRef,
        /// In which direction.
        direction: Direction,
        /// What it adds, and nothing else.
        adds: Rule,
        /// Whether it is one of the declared policies, altered.
        own: bool,
    },
}

/// The verdict on a pod's policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closure {
    /// Nothing is allowed that was not declared.
    Equal,
    /// Something is. Never empty; in the order of policy names.
    Widened(Vec<Widening>),
}

/// Compares what all policies allow a pod with what its object declared, in both directions.
///
/// A declared policy that is missing is no widening by itself as long as others isolate the pod: less is
/// allowed then, not more.
#[must_use]
pub fn closure(
    declared: &Declared,
    policies: &[Policy],
    namespace: &str,
    labels: &Labels,
) -> Closure {
    let mut widenings = Vec::new();
    for direction in [Direction::Egress, Direction::Ingress] {
        let Allowed::Rules(actual) = allowed(policies, labels, namespace, direction) else {
            widenings.push(Widening::NotIsolated(direction));
            continue;
        };
        let own: Vec<&Policy> = (declared.policies.iter())
            .filter(|policy| policy.selects(namespace, labels))
            .collect();
        let rules = own
            .iter()
            .filter_map(|policy| policy.rules(direction))
            .flatten();
        let declared_atoms: Vec<Atom<'_>> = rules.flat_map(atoms).collect();
        // One rule of a policy is enough to name it; the message is for somebody who will look at it.
        let mut named: BTreeMap<PolicyRef, Rule> = BTreeMap::new();
        for (policy, rule) in &actual {
            if let Some(extra) = atoms(rule).find(|atom| !atom.within_any(&declared_atoms)) {
                named
                    .entry(policy.clone())
                    .or_insert_with(|| extra.to_rule());
            }
        }
        widenings.extend(named.into_iter().map(|(policy, adds)| Widening::Policy {
            own: own.iter().any(|one| one.id.name == policy.name),
            policy,
            direction,
            adds,
        }));
    }
    if widenings.is_empty() {
        Closure::Equal
    } else {
        Closure::Widened(widenings)
    }
}

impl Closure {
    /// Whether nothing widens but policies that the object declares, by name.
    #[must_use]
    pub fn only_own(&self) -> bool {
        let own = |widening: &Widening| matches!(widening, Widening::Policy { own: true, .. });
        matches!(self, Self::Widened(widenings) if widenings.iter().all(own))
    }

    /// What widens and how to mend it, at most 1,024 characters; empty when nothing does.
    #[must_use]
    pub fn detail(&self) -> String {
        let Self::Widened(widenings) = self else {
            return String::new();
        };
        let mut text = String::new();
        for (index, widening) in widenings.iter().enumerate() {
            let next = widening.to_string();
            let left = widenings.len() - index;
            let more = format!("; and {left} more");
            if index > 0 {
                if text.chars().count() + next.chars().count() + more.len() + 2 > MAX_DETAIL {
                    text.push_str(&more);
                    break;
                }
                text.push_str("; ");
            }
            text.push_str(&next);
        }
        text.chars().take(MAX_DETAIL).collect()
    }
}

impl std::fmt::Display for Widening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotIsolated(direction) => {
                let what = match direction {
                    Direction::Egress => "egress",
                    Direction::Ingress => "ingress",
                };
                write!(
                    f,
                    "no NetworkPolicy isolates this pod for {what}: sealroom-sealed is missing, was changed or no longer selects it"
                )
            }
            Self::Policy {
                policy,
                direction,
                adds,
                own,
            } => {
                let what = describe::rule(*direction, adds);
                let cure = if *own {
                    "restore it as the operator made it"
                } else {
                    CURE
                };
                let PolicyRef {
                    namespace, name, ..
                } = policy;
                write!(f, "NetworkPolicy {namespace}/{name} {what}; {cure}")
            }
        }
    }
}
