//! What NetworkPolicies allow a pod: pure.
