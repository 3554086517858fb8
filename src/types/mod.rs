//! Newtypes that parse.

mod at_least_one;
mod digest;
mod image_ref;

pub use at_least_one::AtLeastOne;
pub use digest::{Digest, DigestError};
pub use image_ref::{ImageRef, ImageRefError};
