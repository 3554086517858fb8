//! Newtypes that parse.

mod digest;
mod image_ref;

pub use digest::{Digest, DigestError};
pub use image_ref::{ImageRef, ImageRefError};
