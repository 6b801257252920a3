//! `consign config`: the node's own check, so that what passes here passes at the start.

use std::path::PathBuf;
use std::process::Command as Process;

use clap::{Args, Subcommand};

use crate::args::Global;
use crate::console::Format;
use crate::devnet::process::consignd;
use crate::failure::{Exit, Failure};

/// `consign config`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a configuration with the code that a start runs
    Check(Named),
    /// Print every setting in force, and who set it: default, file, environment or command line
    Show(Named),
}

/// The configuration of a node.
#[derive(Args, Debug)]
pub struct Named {
    /// The configuration of a node
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Set one setting, above the file and the environment (CONSIGN__RPC__LISTEN)
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

/// Carries out `consign config`.
///
/// # Errors
/// When the check cannot be run, or the configuration does not pass it.
pub fn run(global: &Global, command: &Command) -> Result<(), Failure> {
    let (words, named) = match command {
        Command::Check(named) => (["config", "check"], named),
        Command::Show(named) => (["config", "show"], named),
    };
    let exit = ask(global, &words, named)?;
    let message = format!("{} does not pass the check", named.config.display());
    exit.map_or(Ok(()), |exit| {
        Err(Failure::new(exit, "bad_config", message, "change what the lines above name"))
    })
}

/// Has `consignd` do it, which prints for itself; none where it succeeds.
///
/// # Errors
/// When it cannot be started.
pub fn ask(global: &Global, words: &[&str], named: &Named) -> Result<Option<Exit>, Failure> {
    let consignd = consignd()?;
    let mut process = Process::new(&consignd);
    process.args(words).arg("--config").arg(&named.config);
    named.set.iter().for_each(|pair| {
        process.arg("--set").arg(pair);
    });
    if global.output == Format::Json {
        process.args(["--output", "json"]);
    }
    let status = process.status().map_err(|e| Failure::file("start", &consignd, e))?;
    // It has said what is wrong; its code is passed on.
    Ok(match status.code() {
        Some(0) => None,
        Some(2) => Some(Exit::Usage),
        Some(7) => Some(Exit::Refused),
        _ => Some(Exit::Operational),
    })
}

impl Named {
    /// The file.
    pub fn config(&self) -> &std::path::Path {
        &self.config
    }
}
