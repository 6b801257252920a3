//! The `consign` program: parses the command line and says how it went.

#![allow(rustdoc::invalid_html_tags, reason = "clap prints these comments as they are")]

use std::process::ExitCode;

fn main() -> ExitCode {
    consign_cli::run()
}
