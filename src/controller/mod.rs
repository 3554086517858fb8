//! The reconcilers: dereference, validate, build, apply, status.
