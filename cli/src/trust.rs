//! `consign trust`: what a trust file says, and the way to the validators of today.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use consign_ledger::passport::{SetLink, advanced};
use consign_rpc::params::GetSets;
use consign_types::causes::on_one_line;
use consign_types::codec::Canonical as _;
use consign_types::key::PublicKey;
use consign_types::party::PartyId;
use consign_types::trust::{EARLIER_SETS_MAX, TRUST_BYTES_MAX, Trust};
use consign_types::witness::Witness;
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::durable::{self, Mode};
use crate::failure::{Exit, Failure};
use crate::node::{Node, within};
use crate::verify::read_trust;

/// `consign trust`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the validator sets that a trust file names
    Show {
        /// The trust file
        file: PathBuf,
    },
    /// Follow the certified changes of the validator set since a trust file, in place; the node is not trusted
    Advance(AdvanceArgs),
}

/// `consign trust advance`.
#[derive(Args, Debug)]
pub struct AdvanceArgs {
    /// The trust file
    file: PathBuf,
    /// Write here instead
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Name the log key of a party besides, as that party says it; repeat for more
    #[arg(long = "log", value_name = "PARTY=KEY", value_parser = log_key)]
    logs: Vec<(PartyId, PublicKey)>,
    /// Name a witness besides, as it prints itself: NAME+ID+KEY@URL; repeat for more
    #[arg(long = "witness", value_name = "NAME+ID+KEY@URL")]
    witnesses: Vec<Witness>,
}

fn log_key(text: &str) -> Result<(PartyId, PublicKey), String> {
    let (party, key) = text.split_once('=').ok_or("write it as airline=<64 hex digits>")?;
    let party = party.parse().map_err(|e| format!("{party:?}: {e}"))?;
    Ok((party, key.parse().map_err(|e| format!("{key:?}: {e}"))?))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    network: String,
    origin: String,
    sets: Vec<ShownSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    /// Whether the file is another one now.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownSet {
    height: u64,
    quorum: usize,
    validators: Vec<String>,
}

impl Shown {
    fn of(trust: &Trust) -> Self {
        let parties = |set: &consign_types::validator::ValidatorSet| {
            set.validators().iter().map(|entry| entry.party.to_string()).collect()
        };
        let set = |(height, set): (consign_types::block::Height, _)| ShownSet {
            height: height.0,
            quorum: consign_types::validator::ValidatorSet::quorum(set),
            validators: parties(set),
        };
        Self {
            network: trust.network.to_string(),
            origin: trust.origin.clone(),
            sets: trust.sets().map(set).collect(),
            changes: None,
            file: None,
            written: None,
        }
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let mut text = format!("network    {}\norigin     {}\n", self.network, self.origin);
        for set in &self.sets {
            let (all, names) = (set.validators.len(), set.validators.join(", "));
            let _ = writeln!(
                text,
                "from block {}: {all} validators, {} are needed: {names}",
                set.height, set.quorum
            );
        }
        if let (Some(changes), Some(file)) = (self.changes, &self.file) {
            let file = file.display();
            let _ = match changes {
                0 if self.written == Some(true) => {
                    writeln!(text, "the set is the same since; wrote {file}")
                }
                0 => writeln!(text, "nothing changed since; {file} was not written"),
                1 => writeln!(text, "1 certified change followed; wrote {file}"),
                more => writeln!(text, "{more} certified changes followed; wrote {file}"),
            };
        }
        text.trim_end().to_owned()
    }
}

/// Carries out `consign trust`.
///
/// # Errors
/// When the file is no trust file, no node answers, or a change does not hold.
pub async fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Show { file } => console.result(&Shown::of(&read_trust(&file)?)),
        Command::Advance(args) => advance(console, global, args).await,
    }
}

async fn advance(console: &Console, global: &Global, args: AdvanceArgs) -> Result<(), Failure> {
    let before = read_trust(&args.file)?;
    let node = Node::first(global).await?;
    let asked = GetSets { since_height: before.height.0 };
    let told = within(global.patience(), node.call(asked)).await?;
    let links = told.links.iter().map(|link| SetLink::from_bytes(&link.0));
    let links = links.collect::<Result<Vec<_>, _>>().map_err(|e| {
        let help = "ask another member's node";
        Failure::new(Exit::Integrity, "bad_change", on_one_line(&e), help)
    })?;
    let mut after = advanced(&before, &links).map_err(|e| {
        let help = "ask another member's node; if that says the same, the trust file is not of this network's history";
        Failure::new(Exit::Trust, "bad_change", on_one_line(&e), help)
    })?;
    let new = args.logs.iter().filter(|log| !before.logs.contains(log));
    after.logs.extend(new.cloned());
    let known = before.witnesses.keys;
    let named = args.witnesses.iter().map(Witness::key).filter(|key| !known.contains(key));
    after.witnesses.keys.extend(named.cloned());
    let file = args.out.unwrap_or(args.file);
    let text = after.to_json();
    check_bounds(&after, &text, &file)?;
    // What cannot be read back helps nobody.
    Trust::from_json(&text).map_err(|e| {
        let help = "a witness shares no name and no key with another, a validator or the log";
        Failure::usage("bad_trust", on_one_line(&e), help)
    })?;
    // A copy is wanted whether or not anything changed.
    let is_new = !file.exists() || read_trust(&file).ok().as_ref() != Some(&after);
    if is_new {
        durable::replace(&file, text.as_bytes(), Mode::Shared)?;
    }
    let (changes, written) = (Some(links.len()), Some(is_new));
    console.result(&Shown { changes, written, file: Some(file), ..Shown::of(&after) })
}

fn check_bounds(trust: &Trust, text: &str, file: &Path) -> Result<(), Failure> {
    if trust.earlier.len() <= EARLIER_SETS_MAX && text.len() <= TRUST_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "{} would name more than {EARLIER_SETS_MAX} earlier sets, or have more than {TRUST_BYTES_MAX} bytes",
        file.display()
    );
    let help = "begin with a newer trust file of a member; keep this one for old passports";
    Err(Failure::new(Exit::Refused, "trust_too_large", message, help))
}
