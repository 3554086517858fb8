//! The header of a GGUF file and the memory that a model needs.
