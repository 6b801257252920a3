//! One living process for each validator's key.
//!
//! Two processes with one key would sign two things at one place, and each would believe itself honest. So a
//! validator signs only while enough others have promised its place (a data directory on a machine that has
//! not been started anew since) that they give the key to no other: with the validator itself, a quorum.
//! Two places cannot both have that, unless more validators lie than consensus bears.
//!
//! A promise is counted by the asker from before it asked, and by the giver from when it answered, and the
//! giver's lasts longer; both by a clock that never goes back. So the asker has stopped before another
//! begins, without any clock being compared with another. The last place of each key is on disk before it is
//! promised: a giver that is started anew keeps its word.
//!
//! With the promise comes the latest that the asker's key is known to have signed, against which it
//! holds its own sign-state. What was heard in a former life is found again in what that left on disk: the
//! consensus log, and the certificates of the newest blocks.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use consign_consensus::Message;
use consign_consensus::message::{Vote, VoteKind};
use consign_types::block::Height;
use consign_types::certificate::Certificate;
use consign_types::codec::Canonical as _;
use consign_types::digest::Digest;
use consign_types::key::PublicKey;
use consign_types::validator::ValidatorSet;
use tracing::debug;

use crate::clock::since_boot_ms;
use crate::driver::files::LogFile;
use crate::driver::{Event, Events, Promise};
use crate::parts::Parts;
use crate::state::Committed;
use crate::store::Fault;
use crate::wire::{Leased, Request, Response};

/// How long the asker counts on a promise, from before it asked.
pub const LASTS_MS: u64 = 10_000;
/// How long the giver keeps it, from when it answered. The difference is what clocks may run apart meanwhile.
const KEPT_MS: u64 = 12_000;
/// How often each validator asks each other.
pub const ASKED_EVERY: Duration = Duration::from_secs(1);
/// How long an answer is waited for.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// How long a peer refuses this node its own key before it is hung up on. One that promised the key to this
/// node's former life, or to a place that has just died, says so for [`KEPT_MS`] and then no more.
const REFUSED_FOR_MS: u64 = 15_000;

/// Validators' keys that are remembered; more than can be members at once.
const HOLDERS_MAX: usize = 1_024;

/// What this node has promised to others, and what it heard of their keys.
pub struct Leases {
    path: PathBuf,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    holders: BTreeMap<PublicKey, Holder>,
    latest: BTreeMap<PublicKey, Message>,
    /// Until then nobody is promised anything whose place is not known: what was promised may be forgotten.
    closed_until_ms: u64,
    /// Since when each peer has refused this node its own key, without a promise between.
    refused_since: BTreeMap<PublicKey, u64>,
}

#[derive(Clone, Copy)]
struct Holder {
    place: Digest,
    until_ms: u64,
}

impl Leases {
    /// What the node in `dir` promised in its former life. `is_new` says that it had none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(dir: &Path, is_new: bool, now_ms: u64) -> Result<Self, Fault> {
        let path = dir.join("leases");
        let until_ms = now_ms.saturating_add(KEPT_MS);
        let text = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(Fault::File { path, what: "read", source }),
        };
        let lines = text.iter().flat_map(|text| text.lines());
        let read = |line: &str| {
            let (key, place) = line.split_once(' ')?;
            Some((key.parse().ok()?, Holder { place: place.parse().ok()?, until_ms }))
        };
        let holders: Option<BTreeMap<PublicKey, Holder>> = lines.map(read).collect();
        let forgotten = holders.is_none() || (text.is_none() && !is_new);
        let table = Table {
            holders: holders.unwrap_or_default(),
            latest: BTreeMap::new(),
            closed_until_ms: if forgotten { until_ms } else { 0 },
            refused_since: BTreeMap::new(),
        };
        Ok(Self { path, table: Mutex::new(table) })
    }

    /// Notes the latest proposal or vote that came from `from` itself. What stands before what is noted,
    /// and certificates, are passed over.
    pub fn heard(&self, from: &PublicKey, message: &Message) {
        let Some(place) = message.place() else { return };
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let last = table.latest.get(from).and_then(Message::place);
        let room = table.latest.len() < HOLDERS_MAX || table.latest.contains_key(from);
        if last.is_none_or(|last| last < place) && room {
            table.latest.insert(*from, message.clone());
        }
    }

    /// Notes what the node in `dir` heard in its former life.
    ///
    /// # Errors
    /// When what it left cannot be read.
    pub fn recall(&self, dir: &Path, committed: &Committed) -> Result<(), Fault> {
        const BLOCKS: u64 = 64;
        let tip = committed.tip().height().0;
        for height in tip.saturating_sub(BLOCKS)..=tip {
            let block = committed.store().block(Height(height))?;
            if let Some(certificate) = block.and_then(|block| block.certificate) {
                let set = committed.validators_at(certificate.height);
                precommits(&certificate).for_each(|vote| self.recalled(&set, &vote));
            }
        }
        let log = LogFile::look(dir)?;
        if let Some(height) = log.height {
            let set = committed.validators_at(height);
            log.latest().values().for_each(|message| self.recalled(&set, message));
        }
        Ok(())
    }

    fn recalled(&self, set: &ValidatorSet, message: &Message) {
        if let Some(validator) = message.author().and_then(|author| set.get(author)) {
            self.heard(&validator.network_key, message);
        }
    }

    /// Promises the key of `from`, a validator, to `place`, or says that another has it; and says what was
    /// heard of the key last. A new place is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn ask(
        &self,
        from: &PublicKey,
        place: Digest,
        now_ms: u64,
    ) -> Result<(Leased, Option<Message>), Fault> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = table.latest.get(from).cloned();
        let holder = table.holders.get(from).copied();
        let free = match holder {
            Some(holder) => holder.place == place || holder.until_ms <= now_ms,
            None => table.closed_until_ms <= now_ms && table.holders.len() < HOLDERS_MAX,
        };
        if !free {
            return Ok((Leased::Held, latest));
        }
        let until_ms = now_ms.saturating_add(KEPT_MS);
        table.holders.insert(*from, Holder { place, until_ms });
        if holder.is_none_or(|holder| holder.place != place) {
            self.save(&table.holders).map_err(|source| {
                let path = self.path.clone();
                Fault::File { path, what: "write", source }
            })?;
        }
        Ok((Leased::Granted, latest))
    }

    /// Where there is no room any more, makes some: forgets promises that are over and what was heard, of keys that no
    /// validator of `set` has. A promise that is over binds nobody, on disk or not.
    pub fn make_room(&self, set: &ValidatorSet, now_ms: u64) {
        let votes = |key: &PublicKey| set.validators().iter().any(|v| v.network_key == *key);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.holders.len() >= HOLDERS_MAX {
            table.holders.retain(|key, holder| holder.until_ms > now_ms || votes(key));
        }
        if table.latest.len() >= HOLDERS_MAX {
            table.latest.retain(|key, _| votes(key));
        }
    }

    /// Notes what `peer` answered about this node's own key. True where it has refused for so long that no
    /// former life of this node explains it: it is then counted anew.
    fn answered(&self, peer: &PublicKey, leased: Leased, now_ms: u64) -> bool {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if leased != Leased::Held {
            table.refused_since.remove(peer);
            return false;
        }
        if table.refused_since.len() >= HOLDERS_MAX && !table.refused_since.contains_key(peer) {
            return false;
        }
        let since_ms = *table.refused_since.entry(*peer).or_insert(now_ms);
        let lasts = now_ms.saturating_sub(since_ms) >= REFUSED_FOR_MS;
        if lasts {
            table.refused_since.remove(peer);
        }
        lasts
    }

    fn save(&self, holders: &BTreeMap<PublicKey, Holder>) -> io::Result<()> {
        let lines = holders.iter().map(|(key, holder)| format!("{key} {}\n", holder.place));
        let beside = self.path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(lines.collect::<String>().as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        self.path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    }
}

/// The votes that a certificate is made of.
fn precommits(certificate: &Certificate) -> impl Iterator<Item = Message> + '_ {
    let Certificate { height, round, block, precommits } = certificate;
    precommits.iter().map(|(validator, signature)| {
        let (height, round, kind) = (*height, *round, VoteKind::Precommit);
        let (validator, signature) = (*validator, *signature);
        Message::Vote(Vote { height, round, kind, block: Some(*block), validator, signature })
    })
}

/// The place of the data directory `dir`: another one for a copy of it, and for the same one on a machine that
/// was started anew. A process that opened the store there is the only one at its place.
///
/// # Errors
/// When the file that marks it cannot be made or looked at.
pub fn place(dir: &Path) -> Result<Digest, Fault> {
    let path = dir.join("place");
    let failed = |source| Fault::File { path: path.clone(), what: "read", source };
    if !path.exists() {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.and_then(|file| file.sync_all())
            .and_then(|()| File::open(dir)?.sync_all())
            .map_err(|source| Fault::File { path: path.clone(), what: "create", source })?;
    }
    let at = fs::metadata(&path).map_err(failed)?;
    // Where there is none, a machine that was started anew is taken for the same: as before a reboot.
    let boot = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let (device, file) = (at.dev().to_be_bytes(), at.ino().to_be_bytes());
    let (made_s, made_ns) = (at.mtime().to_be_bytes(), at.mtime_nsec().to_be_bytes());
    let parts: [&[u8]; 6] = [b"consign/place/v1\0", &device, &file, &made_s, &made_ns, &boot];
    Ok(Digest::of(&parts))
}

/// Asks every validator that is connected, again and again.
pub async fn ask_all(parts: Parts, driver: Events) {
    let mut every = tokio::time::interval(ASKED_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let set = parts.committed.validators();
        let is_validator =
            |peer: &PublicKey| set.validators().iter().any(|v| v.network_key == *peer);
        for peer in parts.net.connected().into_iter().filter(is_validator) {
            tokio::spawn(ask(parts.clone(), peer, driver.clone()));
        }
    }
}

/// Asks one peer, and tells the loop that signs what it said.
pub async fn ask(parts: Parts, peer: PublicKey, driver: Events) {
    // Before it is asked: what is counted on ends before what is kept.
    let until_ms = since_boot_ms().saturating_add(LASTS_MS);
    let request = Bytes::from(Request::Lease(parts.place).to_bytes());
    let Ok(answer) = parts.net.request(&peer, request, ANSWER_WAIT).await else { return };
    let Ok(Response::Lease(leased, latest)) = Response::from_bytes(&answer) else { return };
    let promise = Promise { from: peer, leased, until_ms, latest };
    if driver.try_send(Event::Promise(Box::new(promise))).is_err() {
        debug!(code = "consensus.lease.lost", peer = %peer, help = "it is asked for again");
    }
    if parts.leases.answered(&peer, leased, since_boot_ms()) {
        // The place that has it is the one that the peer should speak with.
        parts.net.hang_up(&peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::certificate::Round;
    use consign_types::key::{SecretKey, Signature};
    use consign_types::validator::{Validator, ValidatorIndex};

    const HERE: Digest = Digest([1; 32]);
    const THERE: Digest = Digest([2; 32]);

    fn key(n: u8) -> PublicKey {
        SecretKey::from_seed([n; 32]).public()
    }

    fn numbered(n: usize) -> PublicKey {
        let mut seed = [9; 32];
        seed[..8].copy_from_slice(&n.to_be_bytes());
        SecretKey::from_seed(seed).public()
    }

    fn vote(height: u64) -> Message {
        let (height, round, signature) = (Height(height), Round(0), Signature([0; 64]));
        let (kind, validator) = (VoteKind::Prevote, ValidatorIndex(0));
        Message::Vote(Vote { height, round, kind, block: None, validator, signature })
    }

    fn leased(leases: &Leases, place: Digest, now_ms: u64) -> Leased {
        leases.ask(&key(1), place, now_ms).unwrap().0
    }

    #[test]
    fn a_key_is_promised_to_one_place_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open(dir.path(), true, 0).unwrap();
        assert_eq!(leased(&leases, HERE, 0), Leased::Granted);
        assert_eq!(leased(&leases, THERE, 1), Leased::Held);
        assert_eq!(leased(&leases, HERE, 5_000), Leased::Granted);
        assert_eq!(leased(&leases, THERE, 5_000 + KEPT_MS - 1), Leased::Held);
        assert_eq!(leased(&leases, THERE, 5_000 + KEPT_MS), Leased::Granted);
        assert_eq!(leased(&leases, HERE, 5_001 + KEPT_MS), Leased::Held);
        assert_eq!(leases.ask(&key(2), HERE, 1).unwrap().0, Leased::Granted, "another's key");
        const { assert!(LASTS_MS < KEPT_MS) };
    }

    #[test]
    fn a_promise_outlives_who_gave_it() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open(dir.path(), true, 0).unwrap();
        assert_eq!(leased(&leases, HERE, 0), Leased::Granted);
        let again = Leases::open(dir.path(), false, 1_000).unwrap();
        assert_eq!(leased(&again, THERE, 1_000), Leased::Held);
        assert_eq!(leased(&again, HERE, 1_000), Leased::Granted);
        assert_eq!(leased(&again, THERE, 1_000 + KEPT_MS), Leased::Granted);
    }

    /// Where nobody knows what was promised, nothing is until every promise is over.
    #[test]
    fn who_lost_its_promises_gives_none_for_as_long_as_they_last() {
        let dir = tempfile::tempdir().unwrap();
        for text in [None, Some("neither a key nor a place\n")] {
            if let Some(text) = text {
                fs::write(dir.path().join("leases"), text).unwrap();
            }
            let leases = Leases::open(dir.path(), false, 1_000).unwrap();
            assert_eq!(leased(&leases, HERE, 999 + KEPT_MS), Leased::Held, "{text:?}");
            assert_eq!(leased(&leases, HERE, 1_000 + KEPT_MS), Leased::Granted, "{text:?}");
            fs::remove_file(dir.path().join("leases")).unwrap();
        }
    }

    #[test]
    fn who_is_refused_its_own_key_hangs_up_when_that_lasts() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open(dir.path(), true, 0).unwrap();
        let answered = |leased, now_ms| leases.answered(&key(1), leased, now_ms);
        assert!(!answered(Leased::Held, 1_000));
        assert!(!answered(Leased::Held, 999 + REFUSED_FOR_MS));
        assert!(!answered(Leased::Granted, 999 + REFUSED_FOR_MS));
        assert!(!answered(Leased::Held, 1_000 + REFUSED_FOR_MS), "it was promised meanwhile");
        assert!(answered(Leased::Held, 1_000 + 2 * REFUSED_FOR_MS));
        assert!(!answered(Leased::Held, 1_001 + 2 * REFUSED_FOR_MS), "counted anew");
        const { assert!(KEPT_MS < REFUSED_FOR_MS) };
    }

    #[test]
    fn the_latest_of_a_key_is_told_with_every_answer() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open(dir.path(), true, 0).unwrap();
        let vote = |height, kind| {
            let (height, round, signature) = (Height(height), Round(0), Signature([0; 64]));
            let validator = ValidatorIndex(0);
            Message::Vote(Vote { height, round, kind, block: None, validator, signature })
        };
        let (prevote, precommit) = (vote(7, VoteKind::Prevote), vote(7, VoteKind::Precommit));
        assert_eq!(leases.ask(&key(1), HERE, 0).unwrap(), (Leased::Granted, None));
        leases.heard(&key(1), &precommit);
        leases.heard(&key(1), &prevote);
        leases.heard(&key(1), &vote(6, VoteKind::Precommit));
        assert_eq!(
            leases.ask(&key(1), HERE, 0).unwrap(),
            (Leased::Granted, Some(precommit.clone()))
        );
        assert_eq!(leases.ask(&key(1), THERE, 0).unwrap(), (Leased::Held, Some(precommit)));
        assert_eq!(leases.ask(&key(2), HERE, 0).unwrap(), (Leased::Granted, None));
    }

    /// However many keys were heard of, those that are known are kept up to date.
    #[test]
    fn the_latest_of_a_known_key_moves_on_when_there_is_no_room_for_another() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open(dir.path(), true, 0).unwrap();
        (0..=HOLDERS_MAX).for_each(|n| leases.heard(&numbered(n), &vote(1)));
        (0..=HOLDERS_MAX).for_each(|n| leases.heard(&numbered(n), &vote(2)));
        let latest = |n| leases.ask(&numbered(n), HERE, 0).unwrap().1;
        assert_eq!(latest(0), Some(vote(2)));
        assert_eq!(latest(HOLDERS_MAX), None, "there was no room");
    }

    /// A network outlives many validators: what they were promised and said must not keep out those of today.
    #[test]
    fn room_is_made_of_former_validators_once_their_promises_are_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let lines = (0..HOLDERS_MAX).map(|n| format!("{} {HERE}\n", numbered(n)));
        fs::write(&path, lines.collect::<String>()).unwrap();
        let leases = Leases::open(dir.path(), false, 0).unwrap();
        (0..HOLDERS_MAX).for_each(|n| leases.heard(&numbered(n), &vote(1)));
        let of_today = Validator {
            party: "airline".parse().unwrap(),
            consensus_key: SecretKey::from_seed([3; 32]).public(),
            cosigner_key: SecretKey::from_seed([4; 32]).public(),
            network_key: numbered(0),
        };
        let set = ValidatorSet::new(vec![of_today]).unwrap();

        leases.make_room(&set, KEPT_MS - 1);
        assert_eq!(leased(&leases, HERE, KEPT_MS - 1), Leased::Held, "all promises hold");
        leases.make_room(&set, KEPT_MS);
        assert_eq!(leased(&leases, HERE, KEPT_MS), Leased::Granted);
        let mut kept = [numbered(0), key(1)].map(|key| format!("{key} {HERE}"));
        kept.sort();
        let mut on_disk: Vec<_> =
            fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        on_disk.sort();
        assert_eq!(on_disk, kept, "of a validator it is known where its key was");

        let heard = |key| leases.ask(&key, HERE, KEPT_MS).unwrap().1;
        assert_eq!((heard(numbered(0)), heard(numbered(1))), (Some(vote(1)), None));
        leases.heard(&key(1), &vote(2));
        assert_eq!(heard(key(1)), Some(vote(2)), "there is room to hear of it");
    }

    #[test]
    fn a_copy_of_a_data_directory_is_another_place() {
        let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let here = place(dir.path()).unwrap();
        assert_eq!(place(dir.path()).unwrap(), here);
        fs::copy(dir.path().join("place"), copy.path().join("place")).unwrap();
        assert_ne!(place(copy.path()).unwrap(), here);
    }
}
