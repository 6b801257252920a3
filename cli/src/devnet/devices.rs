//! The devices of a party on this machine: keys, numbers, enrolments.
//!
//! Keys lie in `<party>/devices/<label>.key`; `state.json` beside them holds what is not secret. A
//! number is written down before it is used, so that none is used twice, not even after a crash; an
//! enrolment is made of what is written down, so that making it again makes the same event.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use consign_types::digest::NetworkId;
use consign_types::event::{
    Action, Event, Kind, KindSet, SignedEvent, Subject, possession_message,
};
use consign_types::key::SecretKey;
use consign_types::party::{PartyId, SignerId};
use consign_types::signer_key::Algorithm;
use consign_types::time::Millis;
use serde::{Deserialize, Serialize};

use crate::durable::{self, Mode};
use crate::failure::Failure;
use crate::instant;
use crate::keys::{self, Purpose};
use crate::network::Layout;
use crate::replay::sign::Device;

const FORMAT: &str = "consign-devices-v1";

/// The devices of one party.
#[derive(Debug)]
pub struct DeviceBook {
    party: PartyId,
    dir: PathBuf,
    member: SecretKey,
    state: State,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct State {
    format: String,
    /// Next number of the member's key.
    member_next: u64,
    devices: BTreeMap<String, Enrolled>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Enrolled {
    /// Number of the enrolment among the member's events.
    member_sequence: u64,
    /// Device time of the enrolment.
    time_ms: u64,
    /// Kinds of event that the device may sign.
    kinds: Vec<String>,
    /// Next number of the device, where numbers are taken here.
    next: u64,
}

impl DeviceBook {
    /// The devices of `party`; none yet where nothing is written down.
    ///
    /// # Errors
    /// When a file cannot be read or is not of the expected form.
    pub fn open(layout: &Layout, party: &PartyId) -> Result<Self, Failure> {
        let dir = layout.party(party).join("devices");
        let path = dir.join("state.json");
        let member = keys::read(&layout.key(party, Purpose::Member), Purpose::Member)?;
        let state = match fs::read(&path) {
            Ok(bytes) => read_state(&path, &bytes)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                State { format: FORMAT.to_owned(), member_next: 1, devices: BTreeMap::new() }
            }
            Err(e) => return Err(Failure::file("read", &path, e)),
        };
        Ok(Self { party: party.clone(), dir, member, state })
    }

    /// Sees to it that a device of this label has a key and an enrolment of its own.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn ensure(&mut self, label: &str, kinds: &[Kind]) -> Result<(), Failure> {
        self.ensure_on(Algorithm::Ed25519, label, kinds)
    }

    /// As [`Self::ensure`], with a key of this algorithm where one is made.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn ensure_on(
        &mut self,
        algorithm: Algorithm,
        label: &str,
        kinds: &[Kind],
    ) -> Result<(), Failure> {
        if self.state.devices.contains_key(label) {
            return Ok(());
        }
        keys::private_dir(&self.dir)?;
        // The key first: what the state names exists. One left over by a crash is taken.
        if !self.key_path(label).exists() {
            keys::create_device_key(&self.key_path(label), algorithm)?;
        }
        let enrolled = Enrolled {
            member_sequence: self.state.member_next,
            time_ms: instant::now().0,
            kinds: kinds.iter().map(ToString::to_string).collect(),
            next: 1,
        };
        self.state.member_next += 1;
        self.state.devices.insert(label.to_owned(), enrolled);
        self.save()
    }

    /// The device of this label, to sign with.
    ///
    /// # Errors
    /// When its key cannot be read.
    pub fn device(&self, label: &str) -> Result<Device, Failure> {
        let id = SignerId::device(self.party.clone(), label)
            .map_err(|e| Failure::usage("bad_device", e, "choose another label"))?;
        let key = keys::read_signer(&self.key_path(label), &id)?;
        Ok(Device { id, key })
    }

    /// The enrolment of this device on `network`: the same bytes each time.
    ///
    /// # Errors
    /// When the device is not in the book.
    pub fn enrolment(&self, network: NetworkId, label: &str) -> Result<SignedEvent, Failure> {
        let enrolled = self.enrolled(label)?;
        let device = self.device(label)?;
        let subject = Subject::Signer(device.id);
        let key = device.key.public();
        let kinds: Vec<Kind> = enrolled.kinds.iter().filter_map(|kind| kind.parse().ok()).collect();
        let event = Event {
            network,
            signer: SignerId::member(self.party.clone()),
            sequence: enrolled.member_sequence,
            floor: 0,
            time: Millis(enrolled.time_ms),
            place: None,
            basis: None,
            action: Action::Enrol {
                key,
                possession: device.key.sign(&possession_message(network, &subject, &key)),
                kinds: KindSet::of(&kinds),
                places: Vec::new(),
                classes: Vec::new(),
                until: None,
            },
            subject,
        };
        Ok(SignedEvent::sign(event, &self.member))
    }

    /// The device's next number, written down as used.
    ///
    /// # Errors
    /// When the device is not in the book, or the book cannot be written.
    pub fn take_number(&mut self, label: &str) -> Result<u64, Failure> {
        let mut enrolled = self.enrolled(label)?.clone();
        let number = enrolled.next;
        enrolled.next += 1;
        self.state.devices.insert(label.to_owned(), enrolled);
        self.save()?;
        Ok(number)
    }

    fn enrolled(&self, label: &str) -> Result<&Enrolled, Failure> {
        self.state.devices.get(label).ok_or_else(|| {
            let message = format!("{} has no device {label} here", self.party);
            Failure::operational("device_missing", message, "run `consign devnet up` first")
        })
    }

    fn key_path(&self, label: &str) -> PathBuf {
        self.dir.join(format!("{label}.key"))
    }

    fn save(&self) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(&self.state).unwrap_or_default();
        durable::replace(&self.dir.join("state.json"), &text, Mode::Private)
    }
}

fn read_state(path: &Path, bytes: &[u8]) -> Result<State, Failure> {
    let help = "restore the file, or begin anew with `consign devnet reset`";
    let bad = |why: String| {
        Failure::operational("device_state", format!("{} is damaged: {why}", path.display()), help)
    };
    let state: State = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
    if state.format != FORMAT {
        return Err(bad(format!("format {:?} is not {FORMAT:?}", state.format)));
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devnet::home::Devnet;
    use crate::network::Ports;

    #[test]
    fn an_enrolment_is_the_same_event_each_time_and_numbers_are_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let ports = Ports { rpc: 9101, p2p: 9201 };
        let devnet = Devnet::create(&dir.path().join("devnet"), ports).unwrap();
        let party = devnet.nodes()[1].party.clone();
        let network = devnet.genesis().network();

        let mut book = DeviceBook::open(devnet.layout(), &party).unwrap();
        book.ensure("dock-1", &[Kind::Accept]).unwrap();
        book.ensure("dock-2", &[Kind::Accept]).unwrap();
        let first = book.enrolment(network, "dock-2").unwrap();
        assert_eq!(book.take_number("dock-2"), Ok(1));
        drop(book);

        let mut book = DeviceBook::open(devnet.layout(), &party).unwrap();
        book.ensure("dock-2", &[Kind::Accept]).unwrap();
        assert_eq!(book.enrolment(network, "dock-2").unwrap(), first);
        assert_eq!(first.event().sequence, 2);
        assert_eq!(book.take_number("dock-2"), Ok(2));
    }
}
