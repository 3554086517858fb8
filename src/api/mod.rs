//! The custom resources, one kind per file.
