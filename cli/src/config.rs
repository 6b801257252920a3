//! `consign config`: the node's own check, so that what passes here passes at the start.

use std::path::PathBuf;
use std::process::Command as Process;

use clap::Subcommand;

use crate::devnet::process::consignd;
use crate::failure::{Exit, Failure};

/// `consign config`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a configuration with the code that a start runs
    Check {
        /// The configuration of a node
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Carries out `consign config`.
///
/// # Errors
/// When the check cannot be run, or the configuration does not pass it.
pub fn run(command: Command) -> Result<(), Failure> {
    let Command::Check { config } = command;
    let consignd = consignd()?;
    let status = Process::new(&consignd)
        .args(["config", "check", "--config"])
        .arg(&config)
        .status()
        .map_err(|e| Failure::file("start", &consignd, e))?;
    if status.success() {
        return Ok(());
    }
    // The check has said what is wrong; its code is passed on.
    let exit = match status.code() {
        Some(2) => Exit::Usage,
        Some(7) => Exit::Refused,
        _ => Exit::Operational,
    };
    let message = format!("{} does not pass the check", config.display());
    Err(Failure::new(exit, "bad_config", message, "change what the line above names"))
}
