//! Sealroom.
