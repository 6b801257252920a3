//! COSE receipts (RFC 9942), alone or in the event that they speak of.
//!
//! What holds one up is the signature of one log key. That a quorum of validators stands by the event is
//! not shown by it, nor when it came into the log; and without the key not even its own bytes can be
//! judged, because the root that is signed is computed and never stated.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;

use consign_types::causes::on_one_line;
use consign_types::codec::Canonical as _;
use consign_types::cose_receipt::{CoseReceipt, ReceiptKey, TransparentEvent};
use consign_types::digest::encode_hex;
use consign_types::event::SignedEvent;
use consign_types::party::PartyId;
use consign_types::trust::Trust;

use super::receipt::{claim, describe};
use super::{Answer, Verdict, Verification, assembled, broken, unfinished};

/// What a tagged `COSE_Sign1` begins with; neither a passport nor a text does.
pub(super) const FIRST_BYTE: u8 = 0xd2;

/// Verifies an event with its receipt, or a receipt with the event beside it.
///
/// One log key's word is no quorum's: what holds is verified only where the caller takes that for enough.
pub(super) fn verify(bytes: &[u8], event: Option<&[u8]>, trust: Option<&Trust>) -> Verification {
    let (carried, receipt) = match read(bytes) {
        Ok(read) => read,
        Err(why) => return broken("unreadable", why),
    };
    let given = match event.map(SignedEvent::decode).transpose() {
        Ok(given) => given,
        Err(error) => return broken("unreadable", on_one_line(&error)),
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
        .map_err(|error| if is_detached(bytes) { on_one_line(&error) } else { on_one_line(&whole) })
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
        Err(error) => return broken(&subject, on_one_line(&error)),
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
        return broken(&subject, on_one_line(&error));
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
