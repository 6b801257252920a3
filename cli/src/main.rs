//! The `consign` program: parses the command line and says how it went.

use std::process::ExitCode;

fn main() -> ExitCode {
    consign_cli::run()
}
