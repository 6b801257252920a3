//! Faults to report: what somebody signed twice, as evidence files.

use consign_ledger::evidence::{Anchor, Believed, Evidence, double_vote, same_number};
use consign_types::block::Height;
use consign_types::certificate::{Round, Statement};
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, Digest};
use consign_types::double_vote::DoubleVote;
use consign_types::event::{Action, Event, Subject, Verified};
use consign_types::party::SignerId;
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::validator::ValidatorIndex;

use super::node::Node;
use super::scene::{EXCEPTION, OBSERVE};
use super::{Desk, PARTIES, genesis, key, sign, unit};

/// Two prevotes of the `at`th validator at this height: for a block of this number, and for none.
pub fn votes(at: usize, height: u64, block: u8) -> Evidence {
    let secret = key(&format!("{} consensus", PARTIES[at]));
    let domain = genesis().domain();
    let (height, round) = (Height(height), Round(0));
    let [one, other] = [Some(BlockId(Digest([block; 32]))), None].map(|block| {
        let statement = Statement::Prevote(block);
        (statement, secret.sign(&domain.sign_bytes(height, round, &statement)))
    });
    let index = ValidatorIndex(u16::try_from(at).unwrap());
    let votes = DoubleVote::new((height, round), (index, secret.public()), one, other);
    let trust = Trust::of_genesis(&genesis(), Vec::new());
    double_vote(Believed::from(&trust), &[], votes).unwrap()
}

/// Two events of a device under one number.
pub fn number(desk: &Desk, device: &str, number: u64) -> Evidence {
    let said = [OBSERVE, EXCEPTION].map(|action| {
        let draft = desk.draft(device, &unit("A"), action);
        sign(Event { sequence: number, ..draft }).into_signed()
    });
    said_twice(desk, device, &[said[0].clone(), said[1].clone()]).unwrap()
}

/// Evidence that a signer signed both under one number.
pub fn said_twice(
    desk: &Desk,
    signer: &str,
    [one, other]: &[consign_types::event::SignedEvent; 2],
) -> Option<Evidence> {
    let anchor = Anchor::of(&Node::of(desk), &signer.parse().unwrap()).unwrap().unwrap();
    let trust = Trust::of_genesis(&genesis(), Vec::new());
    same_number(Believed::from(&trust), &[], &anchor, one, other)
}

/// A report of the evidence, which names `accused` first.
pub fn report(desk: &Desk, by: &str, accused: &str, evidence: &Evidence) -> Verified {
    let subject = Subject::Signer(accused.parse::<SignerId>().unwrap());
    sign(desk.event(by, subject, Action::Report { evidence: evidence.to_bytes() }))
}

/// A member revokes a device of its own.
pub fn revoke(desk: &Desk, by: &str, device: &str) -> Verified {
    revoke_since(desk, by, device, None)
}

/// The same, saying since when the key may have been in other hands.
pub fn revoke_since(desk: &Desk, by: &str, device: &str, since: Option<Millis>) -> Verified {
    let subject = Subject::Signer(device.parse().unwrap());
    sign(desk.event(by, subject, Action::Revoke { suspected_since: since }))
}

/// A member files what a device of its own signed.
pub fn testimony(desk: &Desk, by: &str, said: &Verified) -> Verified {
    let event = Box::new(said.signed().clone());
    sign(desk.event(by, said.event().subject.clone(), Action::Testimony { event }))
}
