//! An artifact into a volume: planned, verified, resumable.
