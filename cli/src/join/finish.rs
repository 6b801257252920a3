//! `consign node rekey --finish`: the new keys take the place of the present ones.
//!
//! What was not replaced is taken from where it lies now, not from when the new keys were made: in between a key may
//! have been put under a passphrase, taken off the machine, or rotated.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::rekey::{BEFORE, NEXT, REPLACED};
use crate::durable::{self, mode_of};
use crate::failure::{Exit, Failure};
use crate::network;

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

/// Where the keys are, and where those before.
#[derive(Debug)]
pub(super) struct Finished {
    pub keys: PathBuf,
    pub before: PathBuf,
}

pub(super) fn finish(home: &Path) -> Result<Finished, Failure> {
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
            (true, true) => {
                self.replaced()?;
                network::refuse_unless_empty(&self.before)
            }
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
        // With the mode that it has, and never half of it.
        durable::replace(path, noted.as_bytes(), mode_of(path)?)
    }

    /// The files that are new. They are noted when the last of them lies there: without the note, keys are missing.
    fn replaced(&self) -> Result<Vec<String>, Failure> {
        let path = self.next.join(REPLACED);
        let refused = |message: String| {
            let help = format!(
                "remove {} and make the keys again; keys that an earlier version made: name the new files, one a line, in {}",
                self.next.display(),
                path.display()
            );
            Failure::new(Exit::Operational, "no_keys", message, help)
        };
        let text = fs::read_to_string(&path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => {
                refused(format!("{} does not say which keys are new", self.next.display()))
            }
            _ => Failure::file("read", &path, e),
        })?;
        let names: Vec<String> = text.lines().map(str::to_owned).collect();
        match names.iter().find(|name| !self.next.join(name).is_file()) {
            Some(name) => Err(refused(format!("{} is not there", self.next.join(name).display()))),
            None => Ok(names),
        }
    }

    /// The receipt key and whatever else lies there go along.
    fn bring_along(&self) -> Result<(), Failure> {
        if !self.present.is_dir() || !self.next.is_dir() {
            return Ok(());
        }
        let replaced = self.replaced()?;
        let stays = |name: &str| name != REPLACED && !replaced.iter().any(|new| new == name);
        // What an earlier run that was cut off brought along may be gone from here since.
        for name in files_of(&self.next)?.iter().filter(|name| stays(name)) {
            let path = self.next.join(name);
            fs::remove_file(&path).map_err(|e| Failure::file("remove", &path, e))?;
        }
        for name in files_of(&self.present)?.iter().filter(|name| stays(name)) {
            durable::copy(&self.present.join(name), &self.next.join(name))?;
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
        durable::rename(&self.present, &self.before)
    }

    fn put_in_place(&self) -> Result<(), Failure> {
        if self.next.is_dir() {
            durable::rename(&self.next, &self.present)?;
        }
        // The note has done its work.
        let note = self.present.join(REPLACED);
        match fs::remove_file(&note) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Failure::file("remove", &note, e)),
            _ => Ok(()),
        }
    }
}

/// The names of the files in a directory.
fn files_of(dir: &Path) -> Result<Vec<String>, Failure> {
    let read = |e| Failure::file("read", dir, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(read)? {
        let entry = entry.map_err(read)?;
        if entry.path().is_file() {
            names.push(entry.file_name().into_string().map_err(|name| {
                let message = format!("{} holds a file named {}", dir.display(), name.display());
                Failure::operational(
                    "file",
                    message,
                    "give it a name in plain text, or move it away",
                )
            })?);
        }
    }
    Ok(names)
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
            ("keys.next/replaced", "consensus.key\n"),
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

    /// Cut off once, after everything was brought along. Since then one key was put under a passphrase, one came and
    /// one was taken off the machine: what holds now is what lies there now, and what was replaced is new all the same.
    #[test]
    fn what_changed_while_members_decided_stays_changed() {
        let home = home();
        let home = home.path();
        let write = |name: &str, text: &str| fs::write(home.join(name), text).expect("written");
        write("keys/member.key", "member");
        let places = Places::of(home);
        STEPS[..2].iter().try_for_each(|step| step(&places)).expect("the first steps");
        write("keys/receipt.key", "receipt under a passphrase");
        write("keys/consensus.key", "old under a passphrase");
        write("keys/log.key", "log");
        fs::remove_file(home.join("keys/member.key")).expect("it can be removed");
        finish(home).expect("it goes on");
        let noted = after_genesis(CONFIG);
        let lies = [
            ("consignd.toml", noted.as_str()),
            ("keys/consensus.key", "new"),
            ("keys/log.key", "log"),
            ("keys/receipt.key", "receipt under a passphrase"),
            ("keys.before/consensus.key", "old under a passphrase"),
            ("keys.before/log.key", "log"),
            ("keys.before/receipt.key", "receipt under a passphrase"),
        ];
        let mut lies = lies.map(|(path, text)| (home.join(path), text.to_owned())).to_vec();
        lies.sort();
        assert_eq!(files(home), lies);
    }

    /// As a version that wrote the configuration last left it.
    #[test]
    fn what_was_done_but_for_the_configuration_is_finished() {
        let home = home();
        let home = home.path();
        finish(home).expect("it is done");
        fs::write(home.join("consignd.toml"), CONFIG).expect("it can be written");
        fs::write(home.join("keys/replaced"), "consensus.key\n").expect("it can be written");
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

        // Keys that were not made to the end, and one that is gone.
        let note = home.join("keys.next/replaced");
        fs::write(&note, "consensus.key\ncosigner.key\n").expect("it can be written");
        assert_eq!(code(finish(home)), Err("no_keys".to_owned()));
        fs::remove_file(&note).expect("it can be removed");
        assert_eq!(code(finish(home)), Err("no_keys".to_owned()));

        fs::remove_dir_all(home.join(BEFORE)).expect("it can be removed");
        fs::remove_dir_all(home.join(NEXT)).expect("it can be removed");
        let lies = files(home);
        assert_eq!(code(finish(home)), Err("no_keys".to_owned()));
        assert_eq!(files(home), lies);
    }
}
