//! The data directories are embedded into the binary. Cargo notices a changed file by itself, a new
//! one only when told to watch the directory.
#![allow(clippy::print_stdout, reason = "how a build script talks to Cargo")]

fn main() {
    for directory in ["profiles", "bootstrap", "secrets"] {
        println!("cargo:rerun-if-changed={directory}");
    }
}
