//! How the binaries are linked.

fn main() {
    // A static position-independent binary relocates itself at its start; packed (DT_RELR) the list of what is to
    // be relocated takes a twentieth of the space. It needs binutils 2.38 and glibc 2.36: Debian 12.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    println!("cargo::rerun-if-changed=build.rs");
}
