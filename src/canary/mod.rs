//! A target that controls reach and sealed pods must not.
