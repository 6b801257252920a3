//! Checking evidence against what is believed. Nobody is named before everything was checked.

use alloc::format;
use alloc::vec::Vec;

use consign_types::block::Height;
use consign_types::certificate::{Domain, Statement};
use consign_types::codec::Canonical as _;
use consign_types::double_vote::DoubleVote;
use consign_types::event::{SignedEvent, Subject};
use consign_types::party::SignerId;
use consign_types::validator::ValidatorSet;

use super::{Accused, Anchor, BadEvidence, Believed, Case, Evidence, Part, Who, Why};
use super::{custodian, notes};
use crate::passport::{self, BadPassport, follow_sets};
use crate::signer::SignerState;

/// Reads evidence and checks it; who is named, in the order of the file.
///
/// # Errors
/// [`BadEvidence`] names the part.
pub fn read(bytes: &[u8], believed: Believed<'_>) -> Result<Vec<Accused>, BadEvidence> {
    let malformed = |why| Part::File.bad(Why::Malformed(why));
    verify(&Evidence::from_bytes(bytes).map_err(malformed)?, believed)
}

/// Checks evidence; who is named, at least one.
///
/// # Errors
/// [`BadEvidence`] names the part.
pub fn verify(evidence: &Evidence, believed: Believed<'_>) -> Result<Vec<Accused>, BadEvidence> {
    // A deed stays done: how fresh a checkpoint is says nothing about it.
    let trust = &believed.trust.undemanding();
    let believed = Believed { trust, ..believed };
    if evidence.network != trust.network {
        return Err(Part::Network.bad(Why::Network));
    }
    // Entries and passports have their own way to the set; log keys belong to none.
    let needs_sets = !matches!(evidence.case, Case::DoubleOffer(_) | Case::LogSignature(_));
    if !needs_sets && !evidence.sets.is_empty() {
        return Err(Part::Sets(0).bad(Why::Unused));
    }
    let set = follow_sets(&evidence.sets, trust, None).map_err(bad_anchor)?.set;
    let by_present = judge(evidence, believed, set);
    if !evidence.sets.is_empty() || by_present.is_ok() {
        return by_present;
    }
    // What was made under a set that the trust file names as an earlier one needs no changes either.
    let mut earlier = trust.earlier.iter().rev();
    let by_earlier = earlier.find_map(|set| judge(evidence, believed, &set.validators).ok());
    by_earlier.map_or(by_present, Ok)
}

fn judge(
    evidence: &Evidence,
    believed: Believed<'_>,
    set: &ValidatorSet,
) -> Result<Vec<Accused>, BadEvidence> {
    let trust = believed.trust;
    match &evidence.case {
        Case::DoubleVote(votes) => double_vote(votes, &trust.domain(), set),
        Case::TwoRoots(pair) => notes::two_roots(pair, believed, set),
        Case::Growth { notes: pair, index, first, second } => {
            notes::growth(pair, *index, [first, second], believed, set)
        }
        Case::Rollback(pair) => notes::rollback(pair, believed, set),
        Case::SameNumber { anchor, first, second } => {
            let (signer, state) = signer_of(anchor, evidence, believed)?;
            same_number(&signer, &state, [first, second], evidence)
        }
        Case::DoubleOffer(double) => custodian::double_offer(double, trust),
        Case::LogSignature(pair) => notes::log_signature(pair, trust),
    }
}

fn double_vote(
    votes: &DoubleVote,
    domain: &Domain,
    set: &ValidatorSet,
) -> Result<Vec<Accused>, BadEvidence> {
    votes.verify(domain).map_err(|why| Part::Votes.bad(Why::Votes(why)))?;
    let validator = set.get(votes.validator).filter(|v| v.consensus_key == votes.key);
    let validator = validator.ok_or(Part::Votes.bad(Why::UnknownKey))?;
    let what = match votes.first.0 {
        Statement::Prevote(_) => "prevotes",
        Statement::Precommit(_) => "precommits",
        Statement::Proposal(..) => "proposals",
    };
    let (Height(height), round) = (votes.height, votes.round.0);
    let did = format!("signed two different {what} at height {height}, round {round}");
    Ok(Vec::from([Accused { who: Who::Party(validator.party.clone()), did }]))
}

/// The signer of the entry that the anchor proves, and what is known of it.
fn signer_of(
    anchor: &Anchor,
    evidence: &Evidence,
    believed: Believed<'_>,
) -> Result<(SignerId, SignerState), BadEvidence> {
    let established = passport::Anchor {
        sets: &evidence.sets,
        checkpoint: &anchor.checkpoint,
        record: &anchor.record,
        path: &anchor.path,
        witnesses: None,
    };
    established.check(believed.trust).map_err(bad_anchor)?;
    let entry = &anchor.entry;
    let Subject::Signer(signer) = &entry.key else {
        return Err(Part::Entry.bad(Why::OtherEntry));
    };
    entry
        .proof
        .verify(anchor.record.map_root, &entry.entry_key(), Some(&entry.value))
        .map_err(|why| Part::Entry.bad(Why::MapProof(why)))?;
    // First proven, then decoded: decoders of entries trust the ledger that wrote them.
    let state = SignerState::from_bytes(&entry.value)
        .map_err(|why| Part::Entry.bad(Why::Malformed(why)))?;
    Ok((signer.clone(), state))
}

fn same_number(
    signer: &SignerId,
    state: &SignerState,
    events: [&Vec<u8>; 2],
    evidence: &Evidence,
) -> Result<Vec<Accused>, BadEvidence> {
    let [first, second] = events;
    let first = event(first, Part::First, evidence)?;
    let second = event(second, Part::Second, evidence)?;
    if first.event().signer != *signer {
        return Err(Part::Entry.bad(Why::OtherEntry));
    }
    if second.event().signer != *signer {
        return Err(Part::Second.bad(Why::OtherSigner));
    }
    for (event, part) in [(&first, Part::First), (&second, Part::Second)] {
        let key = state.key_of(event.event().sequence);
        event.check_with(&key).map_err(|_| part.bad(Why::Signature))?;
    }
    let number = first.event().sequence;
    if second.event().sequence != number {
        return Err(Part::Second.bad(Why::Number));
    }
    if first.id() >= second.id() {
        return Err(Part::Second.bad(Why::Order));
    }
    let did = format!("signed two events under its number {number}");
    Ok(Vec::from([Accused { who: Who::Device(signer.clone()), did }]))
}

fn event(bytes: &[u8], part: Part, evidence: &Evidence) -> Result<SignedEvent, BadEvidence> {
    let event = SignedEvent::decode(bytes).map_err(|why| part.bad(Why::Malformed(why)))?;
    if event.event().network != evidence.network {
        return Err(part.bad(Why::Network));
    }
    Ok(event)
}

/// What is wrong with the way from the trust file to a record, by its part.
fn bad_anchor(bad: BadPassport) -> BadEvidence {
    match bad {
        BadPassport::SetLink { at, why } => Part::Sets(at).bad(Why::SetLink(why)),
        BadPassport::Checkpoint(why) => Part::Checkpoint.bad(Why::Checkpoint(why)),
        BadPassport::CheckpointLines => Part::Checkpoint.bad(Why::Lines),
        other => Part::Record.bad(Why::Anchor(other)),
    }
}
