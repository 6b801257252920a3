//! What a witness cosigned last, on disk before anybody is told.
//!
//! One file for each log: the checkpoint as it is served, with the witness' own cosignature under it, from
//! which everything else follows. A file is replaced whole ([`crate::durable`]). A witness that lost the directory does not begin anew: it could be led to cosign a
//! fork of what it forgot. Only a new key may, and is marked (`FILE.new`) until its first start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use consign_types::block::TreeSize;
use consign_types::causes::on_one_line;
use consign_types::key::SecretKey;
use consign_types::note::{Note, VerifierKey};
use consign_types::trust::Trust;
use consign_types::witness::{Refusal, Seen, decide, remember, state_file};
use rustix::fs::FlockOperation;

use crate::durable::{self, Mode};
use crate::failure::{Exit, Failure};
use crate::keys;

/// Stands in a directory that holds what a witness cosigned; its text is the witness' key.
const MARKER: &str = "witness";

/// A witness' memory, and the only one that signs.
#[derive(Debug)]
pub(super) struct State {
    dir: PathBuf,
    own: VerifierKey,
    secret: SecretKey,
    logs: RwLock<Vec<Trust>>,
    seen: Mutex<BTreeMap<String, (Seen, String)>>,
    /// Keeps others away for as long as it is open.
    _lock: File,
}

/// Marks the key at `path` as one that has cosigned nothing yet.
pub(super) fn mark_new(path: &Path) -> Result<(), Failure> {
    let mark = mark_of(path);
    fs::write(&mark, "").map_err(|e| Failure::file("write", &mark, e))
}

fn mark_of(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

impl State {
    /// What lies in `dir` of the witness `own`; made where the key at `key_path` is new.
    pub(super) fn open(
        dir: &Path,
        key_path: &Path,
        own: VerifierKey,
        secret: SecretKey,
        logs: Vec<Trust>,
    ) -> Result<Self, Failure> {
        let (marker, mark) = (dir.join(MARKER), mark_of(key_path));
        if !marker.exists() {
            if !mark.exists() {
                let message = format!("{} does not hold what this witness cosigned", dir.display());
                let help = "restore it, or make a new witness: one that forgot can be led to cosign a fork";
                return Err(Failure::new(Exit::Refused, "state_lost", message, help));
            }
            keys::private_dir(dir)?;
        }
        let lock = File::open(dir).map_err(|e| Failure::file("open", dir, e))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            let message = format!("another witness works on {}", dir.display());
            Failure::operational("state_busy", message, "run one process for each key")
        })?;
        if !marker.exists() {
            replace(dir, MARKER, &format!("{own}\n"))?;
        }
        let marked = fs::read_to_string(&marker).map_err(|e| Failure::file("read", &marker, e))?;
        let mut known = marked.lines();
        let of = known.next().unwrap_or_default();
        if of != own.to_string() {
            let message = format!("{} is of another witness: {of}", dir.display());
            return Err(Failure::new(
                Exit::Refused,
                "state_foreign",
                message,
                "name its own --state",
            ));
        }
        if mark.exists() {
            fs::remove_file(&mark).map_err(|e| Failure::file("remove", &mark, e))?;
        }
        // What the marker names was cosigned: whoever forgot could be led to cosign a fork of it.
        let known: BTreeSet<&str> = known.collect();
        let mut seen = BTreeMap::new();
        for log in &logs {
            let (last, note) = read(dir, &log.origin, &own)?;
            if note.is_empty() && known.contains(state_file(&log.origin).as_str()) {
                let message =
                    format!("{} does not hold what was cosigned of {}", dir.display(), log.origin);
                let help =
                    "restore its file, or make a new witness: this one must not cosign that log";
                return Err(Failure::new(Exit::Refused, "state_lost", message, help));
            }
            seen.insert(log.origin.clone(), (last, note));
        }
        let dir = dir.to_owned();
        let (logs, seen) = (RwLock::new(logs), Mutex::new(seen));
        Ok(Self { dir, own, secret, logs, seen, _lock: lock })
    }

    /// Decides a request and answers it with a line, which is on disk by then.
    ///
    /// # Errors
    /// The refusal; or, outside, that the disk failed and nothing may be signed any more.
    pub(super) fn add(&self, body: &[u8], now_s: u64) -> Result<Result<String, Refusal>, Failure> {
        // One at a time, from the comparison to the disk.
        let mut seen = self.seen();
        let last =
            |log: &Trust| seen.get(&log.origin).map_or_else(Seen::default, |(last, _)| *last);
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        let (log, checkpoint, request) = match decide(body, &logs, last) {
            Ok(decided) => decided,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let time_s = now_s.max(last(log).time_s);
        let (size, root) = (checkpoint.size, checkpoint.root);
        let made = remember(&request, log, &checkpoint, &self.own, &self.secret, time_s);
        let (note, cosignature) =
            made.map_err(|e| Failure::operational("note", e, "report this as a defect"))?;
        let text = note.to_string();
        replace(&self.dir, &state_file(&log.origin), &text)?;
        let is_first = seen.get(&log.origin).is_none_or(|(_, before)| before.is_empty());
        if is_first {
            self.mark_known(&state_file(&log.origin))?;
        }
        seen.insert(log.origin.clone(), (Seen { size, root, time_s }, text));
        Ok(Ok(cosignature.line(&self.own).to_string()))
    }

    /// Believes these trust files from now on: of the same networks, whose validators may be others by now.
    ///
    /// # Errors
    /// When they are of other networks; then those before stay in force.
    pub(super) fn believe(&self, logs: Vec<Trust>) -> Result<(), Failure> {
        let names = |logs: &[Trust]| -> BTreeSet<_> {
            logs.iter().map(|log| (log.origin.clone(), log.network)).collect()
        };
        let mut known = self.logs.write().unwrap_or_else(PoisonError::into_inner);
        if names(&known) != names(&logs) {
            let message = "the trust files are of other networks than at the start";
            let help = "start the witness again to cosign for other networks";
            return Err(Failure::new(Exit::Refused, "bad_trust", message, help));
        }
        *known = logs;
        Ok(())
    }

    /// Notes in the marker that a log was cosigned.
    fn mark_known(&self, file: &str) -> Result<(), Failure> {
        let path = self.dir.join(MARKER);
        let marked = fs::read_to_string(&path).map_err(|e| Failure::file("read", &path, e))?;
        if marked.lines().any(|line| line == file) {
            return Ok(());
        }
        replace(&self.dir, MARKER, &format!("{}\n{file}\n", marked.trim_end()))
    }

    /// The newest checkpoint that was cosigned of the log whose origin has this hash.
    pub(super) fn checkpoint(&self, hash: &str) -> Option<String> {
        let seen = self.seen();
        let (_, (_, note)) = seen.iter().find(|(origin, _)| state_file(origin) == hash)?;
        (!note.is_empty()).then(|| note.clone())
    }

    /// How large each log was when it was cosigned last.
    pub(super) fn sizes(&self) -> Vec<(String, TreeSize)> {
        self.seen().iter().map(|(origin, (seen, _))| (origin.clone(), seen.size)).collect()
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, (Seen, String)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(dir: &Path, origin: &str, own: &VerifierKey) -> Result<(Seen, String), Failure> {
    let path = dir.join(state_file(origin));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(e) => return Err(Failure::file("read", &path, e)),
    };
    let damaged = |e: &dyn std::error::Error| {
        let message =
            format!("{} is not what this witness wrote: {}", path.display(), on_one_line(e));
        let help = "restore it; without it this witness must not cosign that log";
        Failure::new(Exit::Refused, "state_damaged", message, help)
    };
    let note: Note = text.parse().map_err(|e| damaged(&e))?;
    let seen = Seen::from_note(&note, origin, own).map_err(|e| damaged(&e))?;
    Ok((seen, text))
}

fn replace(dir: &Path, name: &str, text: &str) -> Result<(), Failure> {
    durable::replace(&dir.join(name), text.as_bytes(), Mode::Private)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Purpose;
    use consign_types::genesis::{Genesis, Member, Params};
    use consign_types::time::Millis;
    use consign_types::validator::{Validator, ValidatorSet};
    use consign_types::witness::{AddCheckpoint, witness_key};

    fn key(role: u8) -> SecretKey {
        SecretKey::from_seed([role; 32])
    }

    fn trust() -> Trust {
        let party = || "airline".parse().unwrap();
        let (time, params) = (Millis(1_700_000_000_000), Params::default());
        let member = Member { party: party(), key: key(4).public(), authority: false };
        let validator = Validator {
            party: party(),
            consensus_key: key(1).public(),
            cosigner_key: key(2).public(),
            network_key: key(3).public(),
        };
        let set = ValidatorSet::new(vec![validator]).unwrap();
        let genesis = Genesis::new("w.example/log", time, vec![member], set, params).unwrap();
        Trust::of_genesis(&genesis, vec![(party(), key(9).public())])
    }

    fn others() -> ValidatorSet {
        let validator = Validator {
            party: "handler".parse().unwrap(),
            consensus_key: key(5).public(),
            cosigner_key: key(6).public(),
            network_key: key(7).public(),
        };
        ValidatorSet::new(vec![validator]).unwrap()
    }

    fn request(old: u64, size: u64, root: u8) -> String {
        use consign_types::checkpoint::{Checkpoint, cosigner_key};
        use consign_types::digest::{Digest, TreeRoot};
        let root = TreeRoot(Digest([root; 32]));
        let checkpoint =
            Checkpoint { origin: "w.example/log".to_owned(), size: TreeSize(size), root };
        let mut note = checkpoint.signed(&key(9)).unwrap();
        let party = "airline".parse().unwrap();
        let line = cosigner_key("w.example/log", &party, key(2).public()).unwrap();
        note.add(checkpoint.cosign(&key(2), 5).line(&line));
        AddCheckpoint { old: TreeSize(old), path: Vec::new(), checkpoint: note }.to_string()
    }

    /// Answers of one run: what was cosigned is remembered by the next one.
    #[test]
    fn a_restarted_witness_remembers_and_one_that_lost_its_memory_does_not_start() {
        let dir = tempfile::tempdir().unwrap();
        let (file, memory) = (dir.path().join("witness.key"), dir.path().join("state"));
        let secret = keys::create(&file, Purpose::Cosigner).unwrap();
        let own = witness_key("w.example/1", secret.public()).unwrap();
        let open = || State::open(&memory, &file, own.clone(), secret.clone(), vec![trust()]);
        assert_eq!(open().unwrap_err().code, "state_lost", "no mark, no memory");
        mark_new(&file).unwrap();
        let first = open().unwrap();
        assert_eq!(open().unwrap_err().code, "state_busy");
        let hash = state_file("w.example/log");
        assert_eq!(first.checkpoint(&hash), None);
        let line = first.add(request(0, 3, 1).as_bytes(), 1_000).unwrap().unwrap();
        let note = first.checkpoint(&hash).unwrap();
        assert!(note.ends_with(&line), "{note}");
        drop(first);

        let again = open().unwrap();
        assert_eq!(again.sizes(), [("w.example/log".to_owned(), TreeSize(3))]);
        assert_eq!(again.checkpoint(&hash), Some(note));
        let answer = |text: String| again.add(text.as_bytes(), 900).unwrap();
        assert_eq!(answer(request(0, 2, 1)), Err(Refusal::Conflict(TreeSize(3))));
        assert_eq!(answer(request(3, 3, 2)), Err(Refusal::Conflict(TreeSize(3))));
        // The clock went back; the time of a cosignature does not.
        assert_eq!(answer(request(3, 3, 1)), Ok(line.clone()));
        // The validators change, and the witness is told; another network's file it does not take.
        let moved = Trust { validators: others(), ..trust() };
        again.believe(vec![moved]).unwrap();
        assert!(matches!(answer(request(3, 3, 1)), Err(Refusal::Untrusted(_))));
        let elsewhere = Trust { origin: "else.example/log".to_owned(), ..trust() };
        assert_eq!(again.believe(vec![elsewhere]).unwrap_err().code, "bad_trust");
        assert!(matches!(answer(request(3, 3, 1)), Err(Refusal::Untrusted(_))));
        again.believe(vec![trust()]).unwrap();
        assert_eq!(answer(request(3, 3, 1)), Ok(line));
        drop(again);

        fs::write(memory.join(&hash), "nonsense").unwrap();
        assert_eq!(open().unwrap_err().code, "state_damaged");
        fs::remove_file(memory.join(&hash)).unwrap();
        let lost = open().unwrap_err();
        assert_eq!((lost.code.as_str(), lost.exit), ("state_lost", Exit::Refused));
        fs::remove_dir_all(&memory).unwrap();
        assert_eq!(open().unwrap_err().code, "state_lost");
    }
}
