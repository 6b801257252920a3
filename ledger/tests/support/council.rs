//! What members decide, at the desk.

use consign_types::block::Height;
use consign_types::digest::EventId;
use consign_types::event::{Action, Event, Subject, Verified, possession_message};
use consign_types::genesis::Params;
use consign_types::governance::{Change, Motion, Node};
use consign_types::key::{SecretKey, Signature};
use consign_types::party::{PartyId, SignerId};
use consign_types::validator::Validator;
use consign_types::witness::{Witness, witness_key};

use super::{Desk, key, party, sign};

/// How long members may vote, where nothing else is said.
pub const WINDOW_MS: u64 = 1_000_000;

fn shows(desk: &Desk, party: &PartyId, secret: &SecretKey) -> Signature {
    let subject = Subject::Signer(SignerId::member(party.clone()));
    secret.sign(&possession_message(desk.network, &subject, &secret.public().into()))
}

pub fn admit(desk: &Desk, name: &str) -> Change {
    let (party, secret) = (party(name), key(name));
    let possession = shows(desk, &party, &secret);
    Change::Admit { party, key: secret.public(), possession, authority: false, node: None }
}

/// Another key of a member: the `nth` that it makes.
pub fn another_key(desk: &Desk, name: &str, nth: usize) -> (Change, SecretKey) {
    let (party, secret) = (party(name), key(&format!("{name} {nth}")));
    let possession = shows(desk, &party, &secret);
    (Change::Key { party, key: secret.public(), possession }, secret)
}

pub fn expel(name: &str) -> Change {
    Change::Expel { party: party(name) }
}

pub fn retire(name: &str) -> Change {
    Change::Retire { party: party(name) }
}

pub fn follows(name: &str, network_key: &str) -> Change {
    let network_key = key(network_key).public();
    let addresses = vec!["/dns4/node.example/tcp/9201".to_owned()];
    Change::Node { party: party(name), node: Some(Box::new(Node { network_key, addresses })) }
}

/// The validator that a party has after so many changes of its keys.
pub fn validator_of(name: &str, nth: usize) -> (Validator, [SecretKey; 3]) {
    let nth = if nth == 0 { String::new() } else { format!(" {nth}") };
    let secrets = ["consensus", "cosigner", "network"].map(|of| key(&format!("{name} {of}{nth}")));
    let [consensus_key, cosigner_key, network_key] = secrets.each_ref().map(SecretKey::public);
    (Validator { party: party(name), consensus_key, cosigner_key, network_key }, secrets)
}

pub fn validator(desk: &Desk, name: &str, nth: usize) -> Change {
    let (validator, secrets) = validator_of(name, nth);
    let possession = secrets.map(|secret| shows(desk, &validator.party, &secret));
    let (validator, possession) = (Box::new(validator), Box::new(possession));
    Change::Validator { validator, possession, addresses: Vec::new() }
}

pub fn interval(block_interval_ms: u32) -> Change {
    Change::Params(Params { block_interval_ms, ..Params::default() })
}

/// A witness of this name, under the key of whoever is named.
pub fn witness(name: &str, of: &str) -> Witness {
    let key = witness_key(name, key(of).public()).unwrap();
    Witness::new(&key, &format!("https://{name}")).unwrap()
}

pub fn motion(change: Change) -> Motion {
    Motion { change, from: Height(0), few: false }
}

fn own(desk: &Desk, by: &str, action: Action) -> Event {
    desk.event(by, Subject::Signer(by.parse().unwrap()), action)
}

/// A proposal, and not yet its commit.
pub fn proposes(desk: &Desk, by: &str, motion: Motion) -> Verified {
    let (motion, until) = (Box::new(motion), desk.time.plus(WINDOW_MS));
    sign(own(desk, by, Action::Propose { motion, until }))
}

/// A vote, and not yet its commit.
pub fn votes(desk: &Desk, by: &str, proposal: EventId, approve: bool) -> Verified {
    sign(own(desk, by, Action::Ballot { proposal, approve }))
}

/// Commits a proposal that `by` makes.
pub fn proposed(desk: &mut Desk, by: &str, motion: Motion) -> EventId {
    let event = proposes(desk, by, motion);
    desk.submit_verified(&event).unwrap()
}

pub fn voted(desk: &mut Desk, by: &str, proposal: EventId, approve: bool) {
    let event = votes(desk, by, proposal, approve);
    desk.submit_verified(&event).unwrap();
}

/// Commits a proposal and the votes of as many of the first members as it takes.
pub fn decided(desk: &mut Desk, motion: Motion) -> EventId {
    let id = proposed(desk, "airline", motion);
    for by in ["customs", "forwarder"] {
        voted(desk, by, id, true);
    }
    id
}
