//! A device's own directory: its key, its numbers, and a rotation that is under way.
//!
//! ```text
//! device.key       0600, the present key
//! device.json      what is not secret: name, network, next number
//! claim.txt        what its member enrols it by
//! next.key         while a rotation is under way: the new key
//! rotation.event   and the event that was signed for it
//! before-17.key    the key of the numbers below 17
//! ```
//!
//! Invariant: a number is written down as used before anything is signed under it, so that none is used
//! twice, not even after a crash. One process at a time has the directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use consign_types::claim::{Claim, DeviceClass};
use consign_types::digest::NetworkId;
use consign_types::event::{Action, Event, SignedEvent, Subject, possession_message};
use consign_types::party::SignerId;
use consign_types::signer_key::{Algorithm, SignerSecret};
use serde::{Deserialize, Serialize};

use crate::durable::{self, Mode};
use crate::failure::{Exit, Failure};
use crate::instant;
use crate::keys;

const FORMAT: &str = "consign-device-v1";
const KEY: &str = "device.key";
const STATE: &str = "device.json";
const CLAIM: &str = "claim.txt";
const NEXT_KEY: &str = "next.key";
const ROTATION: &str = "rotation.event";
/// Numbers that the key before keeps while a rotation is under way. Together with what may be missing
/// anyway they stay below the 32 that a device may leave open.
const KEPT_NUMBERS: u64 = 16;

/// A device and its directory, held by this process.
#[derive(Debug)]
pub struct Book {
    dir: PathBuf,
    state: State,
    _lock: File,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct State {
    format: String,
    network: String,
    device: String,
    class: String,
    /// Number of the next event.
    next: u64,
    /// First number of the present key.
    first: u64,
    /// Missing numbers below this are closed: those that a key before kept and did not use.
    floor: u64,
    /// First number of the new key, while a rotation is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotates_at: Option<u64>,
}

impl Book {
    /// Makes a device with a fresh key in `dir`, which must be empty or absent.
    ///
    /// # Errors
    /// When the directory holds something, or cannot be written.
    pub fn create(
        dir: &Path,
        network: NetworkId,
        device: SignerId,
        class: DeviceClass,
        algorithm: Algorithm,
    ) -> Result<(Self, Claim), Failure> {
        let taken = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
        if taken {
            let message = format!("{} is not empty", dir.display());
            let help = "choose another --out: a device has a directory of its own";
            return Err(Failure::new(Exit::Refused, "device_exists", message, help));
        }
        keys::private_dir(dir)?;
        let lock = lock(dir)?;
        let key = keys::create_device_key(&dir.join(KEY), algorithm)?;
        let state = State {
            format: FORMAT.to_owned(),
            network: network.to_string(),
            device: device.to_string(),
            class: class.to_string(),
            next: 1,
            first: 1,
            floor: 0,
            rotates_at: None,
        };
        let bad = |e| Failure::usage("bad_device", e, "name a device, not a member");
        let claim = Claim::new(network, device, class, &key).map_err(bad)?;
        write(&dir.join(CLAIM), format!("{claim}\n").as_bytes())?;
        let book = Self { dir: dir.to_owned(), state, _lock: lock };
        book.save()?;
        Ok((book, claim))
    }

    /// The device in `dir`.
    ///
    /// # Errors
    /// When there is none, its files are damaged, or another process has it.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join(STATE);
        let bytes = fs::read(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                let message = format!("{} holds no device", dir.display());
                Failure::usage("no_device", message, "make one with `consign device new`")
            }
            _ => Failure::file("read", &path, e),
        })?;
        let lock = lock(dir)?;
        let state: State =
            serde_json::from_slice(&bytes).map_err(|e| damaged(&path, &e.to_string()))?;
        if state.format != FORMAT {
            return Err(damaged(&path, &format!("format {:?} is not {FORMAT:?}", state.format)));
        }
        let book = Self { dir: dir.to_owned(), state, _lock: lock };
        book.id()?;
        book.network()?;
        Ok(book)
    }

    /// The device's name.
    ///
    /// # Errors
    /// When the book was changed by hand.
    pub fn id(&self) -> Result<SignerId, Failure> {
        let id: Option<SignerId> = self.state.device.parse().ok();
        let id = id.filter(|id| !id.is_member());
        id.ok_or_else(|| damaged(&self.path(STATE), "the device has no name"))
    }

    /// The network that it signs for.
    ///
    /// # Errors
    /// When the book was changed by hand.
    pub fn network(&self) -> Result<NetworkId, Failure> {
        let network = self.state.network.parse();
        network.map_err(|_| damaged(&self.path(STATE), "the network has no name"))
    }

    /// The number of the next event.
    pub const fn next(&self) -> u64 {
        self.state.next
    }

    /// First number of the new key, while a rotation is under way.
    pub const fn rotates_at(&self) -> Option<u64> {
        self.state.rotates_at
    }

    /// Signs what `event` makes of the device's next number and its floor. The number is used up.
    ///
    /// # Errors
    /// When the book cannot be written, or the numbers of the key before a rotation are used up.
    pub fn sign(
        &mut self,
        event: impl FnOnce(SignerId, NetworkId, u64, u64) -> Result<Event, Failure>,
    ) -> Result<SignedEvent, Failure> {
        if self.state.rotates_at.is_some_and(|first| self.state.next >= first) {
            let message = "the numbers that the key before keeps are used up";
            let help = "finish the rotation: `consign device rotate` again";
            return Err(Failure::new(Exit::Refused, "rotation_open", message, help));
        }
        let key = self.key()?;
        // Made before the number is taken: what means nothing uses none up.
        let event = event(self.id()?, self.network()?, self.state.next, self.state.floor)?;
        self.state.next += 1;
        self.save()?;
        Ok(SignedEvent::sign(event, &key))
    }

    /// The event that takes the device to a new key, made here; the same one until it is finished. The new key
    /// is of this algorithm, or of that of the present one.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn begin_rotation(&mut self, algorithm: Option<Algorithm>) -> Result<SignedEvent, Failure> {
        let path = self.path(ROTATION);
        if self.state.rotates_at.is_some() {
            let bytes = fs::read(&path).map_err(|e| Failure::file("read", &path, e))?;
            return SignedEvent::decode(&bytes).map_err(|e| damaged(&path, &e.to_string()));
        }
        // A key that a crash left over was in no event: the book would know.
        let next = self.path(NEXT_KEY);
        let algorithm = algorithm.map_or_else(|| Ok(self.key()?.public().algorithm()), Ok)?;
        if next.exists() && keys::read_signer(&next, &self.id()?)?.public().algorithm() != algorithm
        {
            fs::remove_file(&next).map_err(|e| Failure::file("remove", &next, e))?;
        }
        let new = if next.exists() {
            keys::read_signer(&next, &self.id()?)?
        } else {
            keys::create_device_key(&next, algorithm)?
        };
        // What the key before the present one left open has had all the time of the present one to come.
        self.state.floor = self.state.first;
        let signed = self.sign(|signer, network, sequence, floor| {
            let subject = Subject::Signer(signer.clone());
            let key = new.public();
            let possession = new.sign(&possession_message(network, &subject, &key));
            let first = sequence + 1 + KEPT_NUMBERS;
            let action = Action::Rotate { key, possession, first };
            let time = instant::now();
            Ok(Event {
                network,
                signer,
                subject,
                sequence,
                floor,
                time,
                place: None,
                basis: None,
                action,
            })
        })?;
        write(&path, signed.bytes())?;
        self.state.rotates_at = Some(self.state.next + KEPT_NUMBERS);
        self.save()?;
        Ok(signed)
    }

    /// The rotation is on the log for good: the new key takes the place of the one before, which is kept.
    ///
    /// # Errors
    /// When a file cannot be moved.
    pub fn finish_rotation(&mut self) -> Result<(), Failure> {
        let Some(first) = self.state.rotates_at else { return Ok(()) };
        let (key, next) = (self.path(KEY), self.path(NEXT_KEY));
        // Without the new key a crash came between the move and the book.
        if next.exists() {
            let before = self.path(&format!("before-{first}.key"));
            if !before.exists() {
                fs::hard_link(&key, &before).map_err(|e| Failure::file("keep", &key, e))?;
            }
            durable::rename(&next, &key)?;
        }
        self.state.next = self.state.next.max(first);
        self.state.first = first;
        self.state.rotates_at = None;
        self.save()?;
        let path = self.path(ROTATION);
        fs::remove_file(&path).map_err(|e| Failure::file("remove", &path, e))
    }

    /// The rotation was refused: the present key stays, and the new one was never in use.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn drop_rotation(&mut self) -> Result<(), Failure> {
        self.state.rotates_at = None;
        self.save()
    }

    /// The present key.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn key(&self) -> Result<SignerSecret, Failure> {
        keys::read_signer(&self.path(KEY), &self.id()?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn save(&self) -> Result<(), Failure> {
        let mut text = serde_json::to_vec_pretty(&self.state).unwrap_or_default();
        text.push(b'\n');
        write(&self.path(STATE), &text)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    durable::replace(path, bytes, Mode::Private)
}

fn lock(dir: &Path) -> Result<File, Failure> {
    let file = File::open(dir).map_err(|e| Failure::file("open", dir, e))?;
    // Signing takes no time: whoever comes second waits.
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|e| Failure::file("lock", dir, std::io::Error::from(e)))?;
    Ok(file)
}

fn damaged(path: &Path, why: &str) -> Failure {
    let message = format!("{} is damaged: {why}", path.display());
    let help = "restore the file as it was last; never an older one, its numbers are used up";
    Failure::operational("device_state", message, help)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use consign_types::digest::Digest;
    use consign_types::signer_key::SignerKey;

    use super::*;

    fn made(dir: &Path) -> PathBuf {
        let dir = dir.join("dock7");
        let (network, id) = (NetworkId(Digest([7; 32])), "handler.dock7".parse().unwrap());
        Book::create(&dir, network, id, DeviceClass::Scanner, Algorithm::Ed25519).unwrap();
        dir
    }

    fn secret(path: &Path) -> Result<SignerSecret, Failure> {
        keys::read_signer(path, &"handler.dock7".parse().unwrap())
    }

    fn arrive(dir: &Path) -> Result<(u64, u64, SignerKey), Failure> {
        let signed = Book::open(dir)?.sign(|signer, network, sequence, floor| {
            let subject = "00/106141412345678908".parse().unwrap();
            let time = instant::now();
            let action = Action::Arrive;
            Ok(Event {
                network,
                signer,
                subject,
                sequence,
                floor,
                time,
                place: None,
                basis: None,
                action,
            })
        })?;
        let names = ["device.key", "next.key", "before-18.key"];
        let keys = names.iter().filter_map(|name| secret(&dir.join(name)).ok());
        let signed_by =
            keys.map(|key| key.public()).find(|key| signed.clone().check_with(key).is_ok());
        Ok((signed.event().sequence, signed.event().floor, signed_by.unwrap()))
    }

    fn present(dir: &Path) -> SignerKey {
        Book::open(dir).unwrap().key().unwrap().public()
    }

    #[test]
    fn a_device_has_a_private_directory_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let dock7 = made(dir.path());
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&dock7), mode(&dock7.join(KEY))), (0o700, 0o600));
        let claim = fs::read_to_string(dock7.join(CLAIM)).unwrap();
        let claim: Claim = claim.trim_end().parse().unwrap();
        assert_eq!(
            (claim.device().to_string(), claim.key()),
            ("handler.dock7".to_owned(), present(&dock7))
        );

        let again = Book::create(
            &dock7,
            claim.network(),
            claim.device().clone(),
            claim.class(),
            Algorithm::Ed25519,
        );
        assert_eq!(again.unwrap_err().code, "device_exists");
        assert_eq!(present(&dock7), claim.key());
        assert_eq!(Book::open(dir.path()).unwrap_err().code, "no_device");
    }

    #[test]
    fn each_number_is_written_down_before_it_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let dock7 = made(dir.path());
        let numbers = [(); 3].map(|()| arrive(&dock7).unwrap().0);
        assert_eq!(numbers, [1, 2, 3]);
        // What cannot be written down is not signed.
        let none =
            Book::open(&dock7).unwrap().sign(|_, _, _, _| Err(Failure::usage("no", "no", "no")));
        assert_eq!(none.unwrap_err().code, "no");
        assert_eq!(arrive(&dock7).unwrap().0, 4);
    }

    /// A device rotates twice, and signs all the while.
    #[test]
    fn a_rotation_keeps_the_key_before_until_it_is_proven() {
        let dir = tempfile::tempdir().unwrap();
        let dock7 = made(dir.path());
        let old = present(&dock7);
        let rotation = Book::open(&dock7).unwrap().begin_rotation(None).unwrap();
        let Action::Rotate { key: new, possession, first } = rotation.event().action else {
            panic!()
        };
        assert_eq!((rotation.event().sequence, rotation.event().floor, first), (1, 1, 18));
        assert!(rotation.clone().check_with(&old).is_ok());
        let message = possession_message(rotation.event().network, &rotation.event().subject, &new);
        assert_eq!(new.verify(&message, &possession), Ok(()));

        // The same event each time, however often it is begun.
        assert_eq!(Book::open(&dock7).unwrap().begin_rotation(None).unwrap(), rotation);
        for number in 2..18 {
            assert_eq!(arrive(&dock7).unwrap(), (number, 1, old));
        }
        assert_eq!(arrive(&dock7).unwrap_err().code, "rotation_open");
        Book::open(&dock7).unwrap().finish_rotation().unwrap();
        assert_eq!(arrive(&dock7).unwrap(), (18, 1, new));
        assert_eq!(secret(&dock7.join("before-18.key")).unwrap().public(), old);

        let second = Book::open(&dock7).unwrap().begin_rotation(None).unwrap();
        assert_eq!(
            (second.event().sequence, second.event().floor),
            (19, 18),
            "closes what was left open"
        );
        Book::open(&dock7).unwrap().finish_rotation().unwrap();
        assert_eq!(arrive(&dock7).unwrap().0, 36);
    }

    /// The process ends between any two of the steps of finishing.
    #[test]
    fn a_rotation_is_finished_after_a_crash_at_any_step() {
        for crash in 0..3 {
            let dir = tempfile::tempdir().unwrap();
            let dock7 = made(dir.path());
            let rotation = Book::open(&dock7).unwrap().begin_rotation(None).unwrap();
            let Action::Rotate { key: new, .. } = rotation.event().action else { panic!() };
            if crash > 0 {
                fs::hard_link(dock7.join(KEY), dock7.join("before-18.key")).unwrap();
            }
            if crash > 1 {
                fs::rename(dock7.join(NEXT_KEY), dock7.join(KEY)).unwrap();
            }
            assert_eq!(Book::open(&dock7).unwrap().begin_rotation(None).unwrap(), rotation);
            Book::open(&dock7).unwrap().finish_rotation().unwrap();
            assert_eq!(arrive(&dock7).unwrap(), (18, 1, new), "crash {crash}");
            assert_eq!(Book::open(&dock7).unwrap().rotates_at(), None);
        }
    }

    /// A crash before the rotation was written down has sent nothing: its key is taken by the next.
    #[test]
    fn a_key_that_a_crash_left_over_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let dock7 = made(dir.path());
        let left =
            keys::create_device_key(&dock7.join(NEXT_KEY), Algorithm::Ed25519).unwrap().public();
        let rotation = Book::open(&dock7).unwrap().begin_rotation(None).unwrap();
        let Action::Rotate { key: new, .. } = rotation.event().action else { panic!() };
        assert_eq!(new, left);
    }

    /// A device that was made with one algorithm goes over to the other, and a left-over key of the first does
    /// not hinder it.
    #[test]
    fn a_rotation_can_change_the_algorithm() {
        let dir = tempfile::tempdir().unwrap();
        let dock7 = made(dir.path());
        keys::create_device_key(&dock7.join(NEXT_KEY), Algorithm::Ed25519).unwrap();
        let rotate = |algorithm| {
            Book::open(&dock7).unwrap().begin_rotation(algorithm).unwrap();
            Book::open(&dock7).unwrap().finish_rotation().unwrap();
            present(&dock7).algorithm()
        };
        assert_eq!(rotate(Some(Algorithm::P256)), Algorithm::P256);
        assert_eq!(arrive(&dock7).unwrap().2.algorithm(), Algorithm::P256);
        assert_eq!(rotate(None), Algorithm::P256, "stays as it is");
        assert_eq!(rotate(Some(Algorithm::Ed25519)), Algorithm::Ed25519);
    }
}
