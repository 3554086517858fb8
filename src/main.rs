//! Sealroom.
fn main() {}
