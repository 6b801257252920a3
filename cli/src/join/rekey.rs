//! `consign node rekey`: other keys for a member's node, and the request to vote under them.
//!
//! New keys lie beside the present ones until members have decided; then the two change places while the node
//! is stopped. What the node signed before stays where it is: its sign-state holds for every key.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use consign_types::party::PartyId;
use serde::Serialize;

use super::{SHOWN, key_file, request_of};
use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};
use crate::keys::{self, Purpose};
use crate::network;

const NEXT: &str = "keys.next";
const BEFORE: &str = "keys.before";

/// `consign node rekey`.
#[derive(Args, Debug)]
#[command(after_help = "\
First the keys are made; members decide (`consign gov propose validator --request FILE`, for a member key
`consign gov propose key --request FILE`). Once it is in force, stop the node, run the same with --finish, start it.")]
pub struct RekeyArgs {
    /// The node's directory, with keys/, genesis.cbor and consignd.toml
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// Whose node it is
    #[arg(long, value_name = "PARTY", required_unless_present = "finish")]
    party: Option<PartyId>,
    /// A key to replace; repeat to name more. Those that vote where absent
    #[arg(long = "replace", value_name = "PURPOSE", value_enum)]
    replace: Vec<Replaced>,
    /// Where other nodes dial it; repeat to name more
    #[arg(long, value_name = "MULTIADDR")]
    announce: Vec<String>,
    /// Put the new keys in the place of the present ones; the node is stopped
    #[arg(long, conflicts_with_all = ["replace", "announce"])]
    finish: bool,
}

/// A key that can be replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Replaced {
    /// Speaks for the party. For one that is lost: who has it still signs `consign device rotate`.
    Member,
    /// Signs votes.
    Consensus,
    /// Cosigns checkpoints.
    Cosigner,
    /// Identity among nodes.
    Network,
    /// Signs checkpoints as the serving log: on no ledger, so nobody has to decide.
    Log,
}

impl Replaced {
    const fn purpose(self) -> Purpose {
        match self {
            Self::Member => Purpose::Member,
            Self::Consensus => Purpose::Consensus,
            Self::Cosigner => Purpose::Cosigner,
            Self::Network => Purpose::Network,
            Self::Log => Purpose::Log,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    keys: PathBuf,
    request: PathBuf,
    fingerprint: Option<String>,
    validator_fingerprint: Option<String>,
}

impl Report for Made {
    fn text(&self) -> String {
        format!(
            "keys       {}\nrequest    {}\nfingerprint of the member key and the node {}, of the validator {}",
            self.keys.display(),
            self.request.display(),
            self.fingerprint.as_deref().unwrap_or("-"),
            self.validator_fingerprint.as_deref().unwrap_or("-")
        )
    }
}

#[derive(Serialize)]
struct Finished {
    keys: PathBuf,
    before: PathBuf,
}

impl Report for Finished {
    fn text(&self) -> String {
        format!(
            "keys       {}\nthe keys before lie in {}: destroy them when the node votes again",
            self.keys.display(),
            self.before.display()
        )
    }
}

/// Makes new keys, or puts them in force.
///
/// # Errors
/// When a file is missing, in the way, or cannot be written.
pub fn rekey(console: &Console, args: &RekeyArgs) -> Result<(), Failure> {
    let home = &args.home;
    match (&args.party, args.finish) {
        (_, true) => console.result(&finish(home)?),
        (Some(party), false) => console.result(&make(home, party, &args.replace, &args.announce)?),
        (None, false) => Err(Failure::usage("usage", "no party is named", "add --party")),
    }
}

fn make(
    home: &Path,
    party: &PartyId,
    replace: &[Replaced],
    announce: &[String],
) -> Result<Made, Failure> {
    let (present, next) = (home.join("keys"), home.join(NEXT));
    let voting = [Purpose::Consensus, Purpose::Cosigner, Purpose::Network];
    let named: Vec<Purpose> = match replace {
        [] => voting.to_vec(),
        named => named.iter().map(|replaced| replaced.purpose()).collect(),
    };
    network::refuse_unless_empty(&next)?;
    let genesis = network::read_genesis(&home.join("genesis.cbor"))?;
    keys::private_dir(&next)?;
    for purpose in SHOWN.into_iter().chain([Purpose::Log]) {
        if named.contains(&purpose) {
            keys::create(&key_file(&next, purpose), purpose)?;
        } else {
            // As it stands, under its passphrase where it has one.
            copy_key(&key_file(&present, purpose), &key_file(&next, purpose))?;
        }
    }
    let request = request_of(&next, genesis.network(), party, announce)?;
    let path = home.join("rekey-request.json");
    network::write_file(&path, request.to_text().as_bytes())?;
    let joining = super::read(&path)?;
    let print = |change: &consign_types::governance::Change| {
        change.fingerprint(genesis.network()).map(|f| f.to_string())
    };
    Ok(Made {
        keys: next,
        request: path,
        fingerprint: print(&joining.admission(false)),
        validator_fingerprint: print(&joining.validator()),
    })
}

fn copy_key(from: &Path, to: &Path) -> Result<(), Failure> {
    // The copy has the mode of what is copied.
    fs::copy(from, to).map(|_| ()).map_err(|e| Failure::file("copy", from, e))
}

fn finish(home: &Path) -> Result<Finished, Failure> {
    let (present, next, before) = (home.join("keys"), home.join(NEXT), home.join(BEFORE));
    if !next.is_dir() {
        let message = format!("{} is not there", next.display());
        let help = "make the keys first: the same command without --finish";
        return Err(Failure::new(Exit::Operational, "no_keys", message, help));
    }
    network::refuse_unless_empty(&before)?;
    let config = home.join("consignd.toml");
    let text = fs::read_to_string(&config).map_err(|e| Failure::file("read", &config, e))?;
    let text = after_genesis(&text);
    // The receipt key and whatever else lies there go along.
    let others = fs::read_dir(&present).map_err(|e| Failure::file("read", &present, e))?;
    for entry in others.filter_map(Result::ok) {
        let to = next.join(entry.file_name());
        if !to.exists() && entry.path().is_file() {
            copy_key(&entry.path(), &to)?;
        }
    }
    if before.is_dir() {
        fs::remove_dir(&before).map_err(|e| Failure::file("remove", &before, e))?;
    }
    fs::rename(&present, &before).map_err(|e| Failure::file("rename", &present, e))?;
    fs::rename(&next, &present).map_err(|e| Failure::file("rename", &next, e))?;
    fs::write(&config, text).map_err(|e| Failure::file("write", &config, e))?;
    Ok(Finished { keys: present, before })
}

/// The configuration of a node whose keys are no more those of the genesis.
fn after_genesis(text: &str) -> String {
    if text.lines().any(|line| line.trim_start().starts_with("after_genesis")) {
        return text.to_owned();
    }
    text.replacen(
        "[node]\n",
        "[node]\n# Its keys changed: the ledger says who it is.\nafter_genesis = true\n",
        1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_says_once_that_its_keys_are_not_of_the_genesis() {
        let once = after_genesis("[network]\nid = \"x\"\n\n[node]\nparty = \"airline\"\n");
        let expected = "[network]\nid = \"x\"\n\n[node]\n# Its keys changed: the ledger says who it is.\n\
                        after_genesis = true\nparty = \"airline\"\n";
        assert_eq!(once, expected);
        assert_eq!(after_genesis(&once), once);
    }
}
