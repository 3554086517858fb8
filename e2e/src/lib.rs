//! The cluster to test on, the images and the model for it, and what the end-to-end tests are made of.

pub mod artifact;
mod asking;
pub mod bench;
pub mod cli;
pub mod cluster;
pub mod demo;
mod describe;
pub mod dial;
mod forward;
pub mod gguf;
pub mod images;
pub mod install;
pub mod kube;
pub mod objects;
pub mod outside;
pub mod progress;
pub mod registry;
pub mod run;
pub mod suite;
pub mod tool;
pub mod world;
