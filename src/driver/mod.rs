//! Drives the proofs: evaluates policies, runs the challenges, keeps the board of pods and their seals.
