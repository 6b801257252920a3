//! COSE receipts (RFC 9942), alone or in the event that they speak of.
//!
//! What holds one up is the signature of one log key. That a quorum of validators stands by the event is
//! not shown by it, nor when it came into the log; and without the key not even its own bytes can be
//! judged, because the root that is signed is computed and never stated.

use consign_types::codec::Canonical as _;
use consign_types::cose_receipt::{CoseReceipt, ReceiptKey, TransparentEvent};
use consign_types::digest::encode_hex;
use consign_types::event::SignedEvent;
use consign_types::party::PartyId;
use consign_types::trust::Trust;

use super::{Answer, Verdict, Verification, assembled, broken, claim, describe, unfinished};
use crate::failure::chain;

/// What a tagged `COSE_Sign1` begins with; neither a passport nor a text does.
pub const FIRST_BYTE: u8 = 0xd2;

/// Verifies an event with its receipt, or a receipt with the event beside it.
///
/// One log key's word is no quorum's: what holds is verified only where the caller takes that for enough.
pub fn verify(bytes: &[u8], event: Option<&[u8]>, trust: Option<&Trust>) -> Verification {
    let (carried, receipt) = match read(bytes) {
        Ok(read) => read,
        Err(why) => return broken("unreadable", why),
    };
    let given = match event.map(SignedEvent::decode).transpose() {
        Ok(given) => given,
        Err(error) => return broken("unreadable", chain(&error)),
    };
    let event = match (carried, given) {
        (Some(carried), Some(given)) if carried != given => {
            let (subject, ..) = describe(given.bytes());
            return broken(&subject, "the event given is not the one in the file".to_owned());
        }
        (Some(event), _) | (None, Some(event)) => event,
        (None, None) => {
            let why = "the receipt does not carry the event that it speaks of";
            let subject = format!("leaf {}", receipt.proof.index);
            return unfinished(&subject, Verdict::NotEstablished, why.to_owned());
        }
    };
    judge(&event, &receipt, trust)
}

/// The event, where the file carries it, and its receipt.
fn read(bytes: &[u8]) -> Result<(Option<SignedEvent>, CoseReceipt), String> {
    let whole = match TransparentEvent::from_bytes(bytes) {
        Ok(whole) => return Ok((Some(whole.event), whole.receipt)),
        Err(error) => error,
    };
    if SignedEvent::decode(bytes).is_ok() {
        return Err(
            "this is an event without a receipt; nothing says that it is in a log".to_owned()
        );
    }
    // Of the two forms, the one that it nearly is says what is wrong with it.
    CoseReceipt::from_bytes(bytes)
        .map(|receipt| (None, receipt))
        .map_err(|error| if is_detached(bytes) { chain(&error) } else { chain(&whole) })
}

/// Whether these bytes have the label of proofs where an event has that of receipts.
fn is_detached(bytes: &[u8]) -> bool {
    bytes.windows(3).find(|three| matches!(three, [0x19, 0x01, 0x8a | 0x8c]))
        == Some(&[0x19, 0x01, 0x8c])
}

fn judge(event: &SignedEvent, receipt: &CoseReceipt, trust: Option<&Trust>) -> Verification {
    let (subject, device_time, network) = describe(event.bytes());
    let root = match receipt.root(event) {
        Ok(root) => root,
        Err(error) => return broken(&subject, chain(&error)),
    };
    let place = format!("leaf {} of {}", receipt.proof.index, receipt.proof.size);
    let time = Answer::new(
        Verdict::NotEstablished,
        format!("a COSE receipt holds no time{}", claim(device_time)),
    );
    let unknown = |why: String| {
        let integrity = format!(
            "{place} only if root {root} is the log's, which the log's signature would say"
        );
        Verification {
            needs_trust: true,
            ..assembled(
                subject.clone(),
                Answer::new(Verdict::NotEstablished, integrity),
                Answer::new(Verdict::NotEstablished, why),
                time.clone(),
            )
        }
    };
    let Some(trust) = trust else {
        return unknown("no trust file says whom to believe".to_owned());
    };
    if network.is_some_and(|network| network != trust.network) {
        return broken(&subject, "the event is meant for another network".to_owned());
    }
    let Some((party, key)) = listed(receipt, trust) else {
        return unknown(format!(
            "the {} key with id {} that signed is none of the trust file's log keys",
            receipt.algorithm,
            encode_hex(&receipt.key_id)
        ));
    };
    if let Err(error) = receipt.verify(event, &trust.origin, &key) {
        return broken(&subject, chain(&error));
    }
    let integrity = Answer::new(Verdict::Ok, format!("{place}, root {root}"));
    let trust = format!(
        "one log key, that of {party}, says so; that a quorum of validators made it final is not shown"
    );
    // OK means a quorum; one log's word is less.
    assembled(subject, integrity, Answer::new(Verdict::Bounded, trust), time)
}

/// The key of the trust file that the receipt names, and whose it is.
fn listed<'t>(receipt: &CoseReceipt, trust: &'t Trust) -> Option<(&'t PartyId, ReceiptKey)> {
    let logs = trust.logs.iter().map(|(party, key)| (party, ReceiptKey::Ed25519(*key)));
    let es256 = trust.receipt_keys.iter().map(|(party, key)| (party, ReceiptKey::Es256(*key)));
    logs.chain(es256)
        .find(|(_, key)| (key.algorithm(), key.key_id()) == (receipt.algorithm, receipt.key_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;
    use consign_types::block::{Epoch, Height, LeafIndex, TreeSize};
    use consign_types::checkpoint::Checkpoint;
    use consign_types::cose_receipt::ReceiptSecret;
    use consign_types::digest::{Digest, NetworkId, TreeRoot};
    use consign_types::event::{Action, Event, Subject};
    use consign_types::key::SecretKey;
    use consign_types::merkle::node_hash;
    use consign_types::time::Millis;
    use consign_types::validator::{Validator, ValidatorSet};

    const ORIGIN: &str = "verify.example/consign";

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed([seed; 32])
    }

    fn event(network: NetworkId) -> SignedEvent {
        let event = Event {
            network,
            signer: "forwarder.dock1".parse().unwrap(),
            subject: Subject::Unit("00/106141412345678908".parse().unwrap()),
            sequence: 1,
            floor: 0,
            time: Millis(1_700_000_123_456),
            place: Some("414/9521321000018".parse().unwrap()),
            basis: None,
            action: Action::Register,
        };
        SignedEvent::sign(event, &key(1))
    }

    /// An event of this network, leaf 0 of a log of two, with the receipt of log key 9.
    fn receipted(network: NetworkId) -> TransparentEvent {
        let event = event(network);
        let sibling = Digest::of(&[b"the other leaf"]);
        let root = TreeRoot(node_hash(&event.leaf_hash().0, &sibling));
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: TreeSize(2), root };
        let secret = key(9);
        let secret = ReceiptSecret::Ed25519(&secret);
        let receipt = CoseReceipt::issue(&event, LeafIndex(0), vec![sibling], &checkpoint, secret);
        TransparentEvent { event, receipt: receipt.unwrap() }
    }

    /// A trust file that lists log key `log`.
    fn trust(log: u8) -> Trust {
        let validator = Validator {
            party: "airline".parse().unwrap(),
            consensus_key: key(2).public(),
            cosigner_key: key(3).public(),
            network_key: key(4).public(),
        };
        Trust {
            witnesses: Default::default(),
            origin: ORIGIN.to_owned(),
            network: NetworkId::default(),
            epoch: Epoch(0),
            height: Height(0),
            validators: ValidatorSet::new(vec![validator]).unwrap(),
            logs: vec![("airline".parse().unwrap(), key(log).public())],
            earlier: Vec::new(),
            receipt_keys: Vec::new(),
        }
    }

    fn exit(verification: &Verification) -> Option<Exit> {
        verification.outcome().err().map(|failure| failure.exit)
    }

    #[test]
    fn a_receipt_under_a_listed_log_key_is_verified_and_claims_no_quorum() {
        let whole = receipted(NetworkId::default());
        let seen = verify(&whole.to_bytes(), None, Some(&trust(9)));
        assert_eq!((seen.verified, exit(&seen)), (false, Some(Exit::Trust)));
        let accepted = seen.clone().accepting_log_key();
        assert_eq!((accepted.verified, exit(&accepted)), (true, None));
        assert_eq!(seen.integrity.verdict, Verdict::Ok);
        assert_eq!(
            seen.trust,
            Answer::new(
                Verdict::Bounded,
                "one log key, that of airline, says so; that a quorum of validators made it final is \
                 not shown"
            )
        );
        assert_eq!(seen.completeness, Answer::new(Verdict::Bounded, "one event; not a history"));
        assert_eq!(seen.time.verdict, Verdict::NotEstablished);
        // The receipt alone says the same, with the event beside it.
        let alone = verify(&whole.receipt.to_bytes(), Some(whole.event.bytes()), Some(&trust(9)));
        assert_eq!(alone, seen);
    }

    #[test]
    fn without_the_logs_key_neither_integrity_nor_trust_is_established() {
        let bytes = receipted(NetworkId::default()).to_bytes();
        for trust in [None, Some(trust(8))] {
            let seen = verify(&bytes, None, trust.as_ref());
            assert_eq!(seen.integrity.verdict, Verdict::NotEstablished);
            assert_eq!(seen.trust.verdict, Verdict::NotEstablished);
            assert_eq!(exit(&seen), Some(Exit::Trust));
        }
    }

    #[test]
    fn a_receipt_of_another_network_event_or_log_fails_by_name() {
        let whole = receipted(NetworkId::default());
        let why = |seen: Verification| {
            assert_eq!(exit(&seen), Some(Exit::Integrity));
            seen.integrity.detail
        };
        let foreign = NetworkId(Digest::of(&[b"another network"]));
        let seen = verify(&receipted(foreign).to_bytes(), None, Some(&trust(9)));
        assert_eq!(why(seen), "the event is meant for another network");
        let other = event(foreign);
        let seen = verify(&whole.to_bytes(), Some(other.bytes()), Some(&trust(9)));
        assert_eq!(why(seen), "the event given is not the one in the file");
        let seen = verify(&whole.receipt.to_bytes(), Some(other.bytes()), Some(&trust(9)));
        assert_eq!(why(seen), "the event is meant for another network");
        let elsewhere = Trust { origin: "another.example/log".to_owned(), ..trust(9) };
        let seen = verify(&whole.to_bytes(), None, Some(&elsewhere));
        assert_eq!(
            why(seen),
            "the receipt is of log \"verify.example/consign\", not \"another.example/log\""
        );
        let seen = verify(whole.event.bytes(), None, Some(&trust(9)));
        assert_eq!(
            why(seen),
            "this is an event without a receipt; nothing says that it is in a log"
        );
        let mut forged = whole.clone();
        forged.receipt.proof.path[0] = Digest::default();
        assert_eq!(
            why(verify(&forged.to_bytes(), None, Some(&trust(9)))),
            "the log's signature does not hold for the root that the event and its inclusion proof \
             lead to"
        );
    }

    #[test]
    fn a_receipt_without_its_event_is_incomplete() {
        let whole = receipted(NetworkId::default());
        let seen = verify(&whole.receipt.to_bytes(), None, Some(&trust(9)));
        assert_eq!(exit(&seen), Some(Exit::Incomplete));
        let cut = &whole.receipt.to_bytes()[..100];
        assert_eq!(exit(&verify(cut, None, Some(&trust(9)))), Some(Exit::Integrity));
    }
}
