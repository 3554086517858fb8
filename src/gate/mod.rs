//! The only listener of a serving pod.
