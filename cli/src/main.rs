//! The `consign` program: parses the command line and says how it went.

#![allow(rustdoc::invalid_html_tags, reason = "clap prints these comments as they are")]

use std::process::ExitCode;

/// An audit runs every rule again over many small values, as a node does, and gains by it as a node does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    consign_cli::run()
}
