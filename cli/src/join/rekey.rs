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
    let part = part_of(to);
    // The copy has the mode of what is copied, and its name only when it is whole.
    fs::copy(from, &part).map_err(|e| Failure::file("copy", from, e))?;
    into_place(&part, to)
}

/// What will be at `path`, until it is whole.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

fn into_place(part: &Path, to: &Path) -> Result<(), Failure> {
    let synced = fs::File::open(part).and_then(|file| file.sync_all());
    synced.map_err(|e| Failure::file("sync", part, e))?;
    rename(part, to)
}

fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to).map_err(|e| Failure::file("rename", from, e))?;
    keys::sync_parent(to)
}

/// Where the keys of a node lie while they change places.
struct Places {
    config: PathBuf,
    present: PathBuf,
    next: PathBuf,
    before: PathBuf,
}

type Step = fn(&Places) -> Result<(), Failure>;

/// The steps, in their order. Each does nothing where it was done: after a crash between any two, or in one, the same
/// command goes on. The configuration comes first: it holds for the keys before as well, and without it a node does
/// not start under the new ones.
const STEPS: [Step; 4] =
    [Places::note_in_config, Places::bring_along, Places::put_away, Places::put_in_place];

fn finish(home: &Path) -> Result<Finished, Failure> {
    let places = Places::of(home);
    places.need_something_to_do()?;
    STEPS.iter().try_for_each(|step| step(&places))?;
    Ok(Finished { keys: places.present, before: places.before })
}

impl Places {
    fn of(home: &Path) -> Self {
        Self {
            config: home.join("consignd.toml"),
            present: home.join("keys"),
            next: home.join(NEXT),
            before: home.join(BEFORE),
        }
    }

    fn need_something_to_do(&self) -> Result<(), Failure> {
        match (self.present.is_dir(), self.next.is_dir()) {
            // Nothing was done yet, but perhaps to the configuration.
            (true, true) => network::refuse_unless_empty(&self.before),
            // Everything was done, but perhaps to the configuration; or it was cut off between the two renames.
            (true, false) | (false, true) if self.before.is_dir() => Ok(()),
            (_, false) => {
                let message = format!("{} is not there", self.next.display());
                let help = "make the keys first: the same command without --finish";
                Err(Failure::new(Exit::Operational, "no_keys", message, help))
            }
            (false, true) => {
                let message = format!("{} is not there", self.present.display());
                let help = "name the node's own directory with --home";
                Err(Failure::new(Exit::Operational, "no_keys", message, help))
            }
        }
    }

    fn note_in_config(&self) -> Result<(), Failure> {
        let path = &self.config;
        let text = fs::read_to_string(path).map_err(|e| Failure::file("read", path, e))?;
        let noted = after_genesis(&text);
        if noted == text {
            return Ok(());
        }
        let part = part_of(path);
        // With the mode that it has, and never half of it.
        fs::copy(path, &part).map_err(|e| Failure::file("copy", path, e))?;
        fs::write(&part, noted).map_err(|e| Failure::file("write", &part, e))?;
        into_place(&part, path)
    }

    /// The receipt key and whatever else lies there go along.
    fn bring_along(&self) -> Result<(), Failure> {
        if !self.present.is_dir() || !self.next.is_dir() {
            return Ok(());
        }
        let read = |e| Failure::file("read", &self.present, e);
        for entry in fs::read_dir(&self.present).map_err(read)? {
            let entry = entry.map_err(read)?;
            let to = self.next.join(entry.file_name());
            if !to.exists() && entry.path().is_file() {
                copy_key(&entry.path(), &to)?;
            }
        }
        Ok(())
    }

    fn put_away(&self) -> Result<(), Failure> {
        if !self.present.is_dir() || !self.next.is_dir() {
            return Ok(());
        }
        if self.before.is_dir() {
            fs::remove_dir(&self.before).map_err(|e| Failure::file("remove", &self.before, e))?;
        }
        rename(&self.present, &self.before)
    }

    fn put_in_place(&self) -> Result<(), Failure> {
        if self.next.is_dir() { rename(&self.next, &self.present) } else { Ok(()) }
    }
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

    /// Every file below `dir` with what is in it.
    fn files(dir: &Path) -> Vec<(PathBuf, String)> {
        let mut files = Vec::new();
        for entry in fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("one").path())
        {
            if entry.is_dir() {
                files.extend(self::files(&entry));
            } else {
                let text = fs::read_to_string(&entry).expect("text");
                files.push((entry, text));
            }
        }
        files.sort();
        files
    }

    const CONFIG: &str = "[node]\nparty = \"airline\"\n";

    /// A node with another consensus key to come, and a receipt key that stays.
    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("a directory");
        let lies = [
            ("consignd.toml", CONFIG),
            ("keys/consensus.key", "old"),
            ("keys/receipt.key", "receipt"),
            ("keys.next/consensus.key", "new"),
        ];
        for (path, text) in lies {
            let path = home.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("it can be made");
            fs::write(path, text).expect("it can be written");
        }
        home
    }

    fn expected(home: &Path) -> Vec<(PathBuf, String)> {
        let noted = after_genesis(CONFIG);
        let lies = [
            ("consignd.toml", noted.as_str()),
            ("keys/consensus.key", "new"),
            ("keys/receipt.key", "receipt"),
            ("keys.before/consensus.key", "old"),
            ("keys.before/receipt.key", "receipt"),
        ];
        let mut lies = lies.map(|(path, text)| (home.join(path), text.to_owned())).to_vec();
        lies.sort();
        lies
    }

    /// Cut off before each step, after the last one, and in the two that write files.
    #[test]
    fn keys_change_places_though_it_was_cut_off() {
        for cut in 0..=STEPS.len() {
            let home = home();
            let home = home.path();
            let places = Places::of(home);
            STEPS[..cut].iter().try_for_each(|step| step(&places)).expect("the steps before");
            let finished =
                finish(home).unwrap_or_else(|e| panic!("cut off before step {cut}: {e}"));
            assert_eq!((finished.keys, finished.before), (home.join("keys"), home.join(BEFORE)));
            assert_eq!(files(home), expected(home), "cut off before step {cut}");
        }
        for half in ["consignd.toml.part", "keys.next/receipt.key.part"] {
            let home = home();
            let home = home.path();
            fs::write(home.join(half), "re").expect("it can be written");
            finish(home).expect("it goes on");
            assert_eq!(files(home), expected(home), "cut off in {half}");
        }
    }

    /// As a version that wrote the configuration last left it.
    #[test]
    fn what_was_done_but_for_the_configuration_is_finished() {
        let home = home();
        let home = home.path();
        finish(home).expect("it is done");
        fs::write(home.join("consignd.toml"), CONFIG).expect("it can be written");
        finish(home).expect("it goes on");
        assert_eq!(files(home), expected(home));
    }

    #[test]
    fn without_new_keys_or_with_others_in_the_way_nothing_changes() {
        let home = home();
        let home = home.path();
        fs::create_dir(home.join(BEFORE)).expect("it can be made");
        fs::write(home.join("keys.before/consensus.key"), "older").expect("it can be written");
        let lies = files(home);
        let code = |refused: Result<Finished, Failure>| refused.map(|_| ()).map_err(|e| e.code);
        assert_eq!(code(finish(home)), Err("directory_not_empty".to_owned()));
        assert_eq!(files(home), lies);

        fs::remove_dir_all(home.join(BEFORE)).expect("it can be removed");
        fs::remove_dir_all(home.join(NEXT)).expect("it can be removed");
        let lies = files(home);
        assert_eq!(code(finish(home)), Err("no_keys".to_owned()));
        assert_eq!(files(home), lies);
    }
}
