//! `consign passport`: fetches the whole history of a unit, to be verified without the node; shows such a file.

mod show;

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;
use consign_rpc::params::GetPassport;
use consign_types::unit::UnitId;
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::failure::Failure;
use crate::node::{Node, within};
use crate::verify::read_trust;

/// `consign passport`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch a unit's passport: its whole history, in a file that proves itself
    Get {
        /// The unit
        unit: UnitId,
        /// File to write; standard output where absent
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show what a passport file says, unchecked; the JSON view with --output json
    Show {
        /// The passport
        file: PathBuf,
    },
}

/// Carries out `consign passport`.
///
/// # Errors
/// When no node answers, or has no such unit; when a file is no passport.
pub async fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Get { unit, out } => get(console, global, unit, out).await,
        Command::Show { file } => show::run(console, &file),
    }
}

async fn get(
    console: &Console,
    global: &Global,
    unit: UnitId,
    out: Option<PathBuf>,
) -> Result<(), Failure> {
    let since = global.trust.as_deref().map(read_trust).transpose()?.map(|trust| trust.height.0);
    let node = Node::first(global).await?;
    let params = GetPassport { unit_id: unit.into(), since_height: since };
    let view = within(global.patience(), node.call(params)).await?;
    let Some(out) = out else { return console.data(&view.passport.0) };
    fs::write(&out, &view.passport.0).map_err(|e| Failure::file("write", &out, e))?;
    let (unit, bytes) = (view.unit.to_string(), view.passport.0.len());
    console.result(&Written { unit, height: view.height, bytes, file: out })
}

#[derive(Serialize)]
struct Written {
    unit: String,
    height: u64,
    bytes: usize,
    file: PathBuf,
}

impl Report for Written {
    fn text(&self) -> String {
        let (file, height, bytes) = (self.file.display(), self.height, self.bytes);
        format!(
            "wrote {file}: {bytes} bytes, complete up to block {height}\n\
             next: consign verify {file} --trust network.trust.json"
        )
    }
}
