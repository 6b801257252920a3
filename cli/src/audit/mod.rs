//! `consign audit`: checks a whole log, from a folder or from whoever serves it, and believes nobody.
//!
//! Every entry is hashed again up to a root that a quorum of the trusted validators cosigned; every
//! signature, every rule and every root of the unit map is computed again. An auditor that runs regularly
//! keeps its own copy, and holds every source to what it saw before, there and elsewhere.

mod compare;
mod entries;
mod export;
pub(crate) mod fetch;
mod finding;
mod folder;
mod judge;
mod own;
mod report;
mod rerun;
mod round;
mod scan;
mod source;
mod state;
mod watch;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report as _};
use crate::failure::{Exit, Failure};
use crate::instant;
use crate::verify::read_trust;

pub use compare::{Comparison, compare};
pub use export::{Command as Export, run as export};
pub use finding::{Code, Finding};
pub use folder::audit as files;
pub use report::{Audit, Covered};
pub use round::{Step, again, audit as round};
pub use source::{Source, agent};
pub use state::State;

/// `consign audit`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an auditor's folder: whom to believe, and whom to ask
    Init {
        /// The folder
        #[arg(long, value_name = "DIR", default_value = "audit")]
        dir: PathBuf,
        /// A node, `http://host:port`, or a folder of tiles; two at least, or nobody sees a fork
        #[arg(long = "source", value_name = "URL|DIR", required = true)]
        sources: Vec<Source>,
    },
    /// Audit what the sources have more than last time
    Run(RunArgs),
    /// Audit a folder of tiles by itself, with no node
    Files {
        /// The folder, with `checkpoint` and `tile/` in it or in its `tlog/`
        dir: PathBuf,
        /// Also write the report as a page
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Show the first event in which two copies of a log differ
    Compare {
        /// A folder of tiles, or a node
        a: Source,
        /// The other
        b: Source,
    },
    /// List the addresses of a log's files, for other programs to mirror: wget -x -nH -i
    Urls {
        /// A checkpoint that was fetched: its size says which files there are
        checkpoint: PathBuf,
        /// Where they are served
        #[arg(long, value_name = "URL", default_value = crate::node::DEFAULT_URL)]
        base: String,
    },
}

/// `consign audit run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The auditor's folder
    #[arg(long, value_name = "DIR", default_value = "audit")]
    dir: PathBuf,
    /// Audit once, and exit with what was found
    #[arg(long, conflicts_with = "every")]
    once: bool,
    /// Audit again and again: 60s, 5m
    #[arg(long, value_name = "TIME", value_parser = instant::age)]
    every: Option<u64>,
    /// Serve metrics at this address, for Prometheus
    #[arg(long, value_name = "ADDR", requires = "every")]
    metrics: Option<SocketAddr>,
    /// Post new findings here, as CloudEvents in JSON
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
}

#[derive(Serialize)]
struct Made {
    dir: PathBuf,
    sources: Vec<String>,
}

impl crate::console::Report for Made {
    fn text(&self) -> String {
        let dir = self.dir.display();
        format!("made {dir}; next: consign audit run --once --dir {dir}")
    }
}

/// Carries out `consign audit`.
///
/// # Errors
/// What was found, by its exit code; or that the audit itself could not be done.
pub fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    let trust = global.trust.as_deref();
    match command {
        Command::Init { dir, sources } => {
            State::init(&dir, needed(trust)?, &sources)?;
            if sources.len() < 2 {
                console
                    .note("one source shows one history: add another member's node to see a fork");
            }
            console.result(&Made { dir, sources: sources.iter().map(Source::name).collect() })
        }
        Command::Run(args) => {
            let mut state = State::open(&args.dir)?;
            state.sources.iter_mut().try_for_each(|source| source.show(global))?;
            match args.every {
                Some(seconds) => {
                    watch::every(console, &state, seconds, args.metrics, args.webhook.as_deref())
                }
                None => watch::once(console, &state, args.webhook.as_deref()),
            }
        }
        Command::Files { dir, html } => {
            let trust = read_trust(needed(trust)?)?;
            let bar = console.bar(1);
            let audit = files(&dir, &trust, &mut |done, total| {
                bar.set_length(total);
                bar.set_position(done);
            })?;
            bar.finish_and_clear();
            if let Some(path) = html {
                fs::write(&path, audit.html()).map_err(|e| Failure::file("write", &path, e))?;
            }
            console.result(&audit)?;
            finding::outcome(&audit.findings)
        }
        Command::Compare { a, b } => {
            let comparison = compare([&a, &b])?;
            console.result(&comparison)?;
            comparison.outcome()
        }
        Command::Urls { checkpoint, base } => urls(console, &checkpoint, &base),
    }
}

fn needed(trust: Option<&Path>) -> Result<&Path, Failure> {
    trust.ok_or_else(|| {
        let message = "no trust file says whom to believe";
        Failure::new(
            Exit::Trust,
            "no_trust",
            message,
            "name the network's trust file: --trust FILE",
        )
    })
}

/// Leaves of the longest log that is believed to be one before anybody was found to have signed for the number.
const LOG_SIZE_MAX: u64 = 1 << 32;

fn urls(console: &Console, checkpoint: &Path, base: &str) -> Result<(), Failure> {
    use consign_ledger::log::TilePath;
    use consign_types::block::TreeSize;
    use consign_types::checkpoint::Checkpoint;
    use consign_types::note::Note;

    let text = fs::read_to_string(checkpoint).map_err(|e| Failure::file("read", checkpoint, e))?;
    let parsed = text.parse::<Note>().and_then(|note| Checkpoint::from_text(note.text()));
    let size = parsed.map_err(|e| {
        let message = format!("{} is no checkpoint: {e}", checkpoint.display());
        Failure::usage("bad_checkpoint", message, "fetch it again: wget -x -nH URL/tlog/checkpoint")
    })?;
    if size.size.0 > LOG_SIZE_MAX {
        let message = format!("the checkpoint says that the log has {} leaves", size.size);
        let help = "no log is that long: fetch the checkpoint again, or from another node";
        return Err(Failure::new(Exit::Refused, "bad_checkpoint", message, help));
    }
    let base = base.trim_end_matches('/');
    let lines = TilePath::new_between(TreeSize(0), size.size);
    let lines: String = lines.iter().map(|path| format!("{base}/tlog/{path}\n")).collect();
    console.data(lines.as_bytes())
}

/// What a round says on the screen.
fn say(console: &Console, state: &State, audit: &Audit) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(audit)
        .map_err(|e| Failure::operational("output", e, "report this as a defect"))?;
    state.keep("report.txt", format!("{}\n", audit.text()).as_bytes())?;
    state.keep("report.json", json.as_bytes())?;
    state.keep("report.html", audit.html().as_bytes())?;
    console.result(audit)
}
