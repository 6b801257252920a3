//! Making evidence out of what an auditor or a node holds. Whatever comes out was verified; where nobody
//! did anything that can be shown for certain, nothing comes out.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use consign_types::checkpoint::{Checkpoint, Cosignature};
use consign_types::codec::Canonical as _;
use consign_types::digest::{EventId, LeafHash};
use consign_types::double_vote::DoubleVote;
use consign_types::event::{Action, SignedEvent, Subject};
use consign_types::limits::EVIDENCE_BYTES_MAX;
use consign_types::merkle::InclusionProof;
use consign_types::note::{Note, NoteSignature, VerifierKey};
use consign_types::party::SignerId;
use consign_types::validator::ValidatorSet;

use super::notes::{bound_in_time, cosigners, goes_back, log_keys, signed_text};
use super::{Anchor, Believed, Case, DoubleOffer, Evidence, Leaf, Notes, Who, verify};
use crate::entry::EntryKey;
use crate::passport::{
    BuildError, Passport, Proven, SetLink, Source, cosigned, follow_sets, without_outsiders,
};

/// A leaf that was seen under a checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The checkpoint, with whatever signatures it has.
    pub note: &'a Note,
    /// The leaf.
    pub leaf: LeafHash,
    /// Its proof.
    pub proof: &'a InclusionProof,
}

/// Evidence of a double vote that consensus reports.
pub fn double_vote(
    believed: Believed<'_>,
    sets: &[SetLink],
    votes: DoubleVote,
) -> Option<Evidence> {
    checked(believed, sets, Case::DoubleVote(votes))
}

/// Evidence against whoever cosigned both: two roots at one size, or a smaller size after a larger one.
pub fn two_checkpoints(
    believed: Believed<'_>,
    sets: &[SetLink],
    one: &Note,
    other: &Note,
) -> Option<Evidence> {
    let (first, second) = in_order(one, other)?;
    let (a, b) = (of(first)?, of(second)?);
    if a.size == b.size {
        let notes = common(believed, sets, (first, &a), (second, &b), |_, _| true)?;
        return checked(believed, sets, Case::TwoRoots(notes));
    }
    let notes = common(believed, sets, (first, &a), (second, &b), |who, times| {
        bound_in_time(who) && goes_back(times)
    })?;
    checked(believed, sets, Case::Rollback(notes))
}

/// Evidence against whoever cosigned both: different leaves at one index.
pub fn growth(
    believed: Believed<'_>,
    sets: &[SetLink],
    one: Seen<'_>,
    other: Seen<'_>,
) -> Option<Evidence> {
    let (a, b) = (of(one.note)?, of(other.note)?);
    let (first, second) = if a.size <= b.size { (one, other) } else { (other, one) };
    let (a, b) = if a.size <= b.size { (a, b) } else { (b, a) };
    let notes = common(believed, sets, (first.note, &a), (second.note, &b), |_, _| true)?;
    let index = first.proof.index;
    if second.proof.index != index {
        return None;
    }
    let leaf = |seen: Seen<'_>| Leaf { hash: seen.leaf, path: seen.proof.path.clone() };
    let (first, second) = (leaf(first), leaf(second));
    checked(believed, sets, Case::Growth { notes, index, first, second })
}

/// Evidence against the party of a log key that signed both: two roots at one size.
pub fn log_signature(believed: Believed<'_>, one: &Note, other: &Note) -> Option<Evidence> {
    let (first, second) = in_order(one, other)?;
    for (key, name) in log_keys(believed.trust) {
        let line =
            |note: &Note| note.by(&name).find(|line| signed_text(&key, note.text(), line)).cloned();
        if let (Some(a), Some(b)) = (line(first), line(second)) {
            let notes = Notes { first: with(first, &[a])?, second: with(second, &[b])? };
            if let Some(found) = checked(believed, &[], Case::LogSignature(notes)) {
                return Some(found);
            }
        }
    }
    None
}

/// Evidence against a device that signed both events, or events inside of them, under one number.
pub fn same_number(
    believed: Believed<'_>,
    sets: &[SetLink],
    anchor: &Anchor,
    one: &SignedEvent,
    other: &SignedEvent,
) -> Option<Evidence> {
    for a in with_inner(one) {
        for b in with_inner(other) {
            let (first, second) = if a.id() < b.id() { (a, b) } else { (b, a) };
            let (first, second) = (first.bytes().to_vec(), second.bytes().to_vec());
            let case = Case::SameNumber { anchor: anchor.clone(), first, second };
            if let Some(found) = checked(believed, sets, case) {
                return Some(found);
            }
        }
    }
    None
}

impl Anchor {
    /// The entry of `signer` as of a node's latest checkpoint; none where it has no such entry.
    ///
    /// # Errors
    /// When the source fails.
    pub fn of<S: Source>(
        source: &S,
        signer: &SignerId,
    ) -> Result<Option<Self>, BuildError<S::Error>> {
        let latest = source.latest().map_err(BuildError::Source)?;
        let key = EntryKey::Signer(signer.clone());
        let (value, proof) = source.entry(&key).map_err(BuildError::Source)?;
        let Some(value) = value else { return Ok(None) };
        let checkpoint = Checkpoint::from_text(latest.note.text())?;
        let cosigned = cosigned(&latest.note, &checkpoint, &latest.set)?;
        Ok(Some(Self {
            checkpoint: without_outsiders(&cosigned)?,
            record: latest.record,
            path: latest.path,
            entry: Proven { key: Subject::Signer(signer.clone()), value, proof },
        }))
    }
}

impl Anchor {
    /// An entry of a passport, for whoever believes the validators alone; none where the checkpoint is none.
    pub fn of_passport(passport: &Passport, entry: &Proven) -> Option<Self> {
        Some(Self {
            checkpoint: without_outsiders(&passport.checkpoint).ok()?,
            record: passport.record.clone(),
            path: passport.path.clone(),
            entry: entry.clone(),
        })
    }
}

/// Evidence against a custodian that gave the unit of `passport` to two receivers. `beyond` are events
/// that are not in it, of any kind and number; `signers` entries under its record, of any signers.
pub fn double_offer(
    believed: Believed<'_>,
    passport: &Passport,
    signers: &[Proven],
    beyond: &[SignedEvent],
) -> Option<Evidence> {
    let recorded: Vec<SignedEvent> = passport
        .entered
        .iter()
        .filter_map(|entered| SignedEvent::decode(&entered.event).ok())
        .collect();
    let mut all: BTreeMap<EventId, &SignedEvent> = BTreeMap::new();
    let mut numbers: BTreeMap<(&SignerId, u64), &SignedEvent> = BTreeMap::new();
    for event in recorded.iter().chain(beyond).flat_map(with_inner) {
        all.entry(event.id()).or_insert(event);
        numbers.entry((&event.event().signer, event.event().sequence)).or_insert(event);
    }
    let mut offers: Vec<&SignedEvent> = all.values().copied().filter(|e| is_offer(e)).collect();
    offers.sort_by_key(|offer| offer.event().sequence);
    for (at, first) in offers.iter().enumerate() {
        for second in offers.iter().skip(at + 1) {
            let (a, b) = (first.event(), second.event());
            if a.signer != b.signer || a.basis != b.basis || a.subject != b.subject {
                continue;
            }
            let accepted = |offer: &SignedEvent| {
                let acceptance = |event: &&&SignedEvent| matches!(&event.event().action, Action::Accept { offer: of, .. } if *of == offer.id());
                all.values().find(acceptance).map(|event| event.bytes().to_vec())
            };
            let (Some(one), Some(other)) = (accepted(first), accepted(second)) else { continue };
            let between = numbers
                .range((&a.signer, a.sequence.saturating_add(1))..(&a.signer, b.sequence))
                .map(|(_, event)| event.bytes().to_vec());
            let double = DoubleOffer {
                passport: passport.to_bytes(),
                signers: needed(passport, signers, [&one, &other]),
                offers: [first.bytes().to_vec(), second.bytes().to_vec()],
                acceptances: [one, other],
                between: between.collect(),
            };
            if let Some(found) = checked(believed, &[], Case::DoubleOffer(double)) {
                return Some(found);
            }
        }
    }
    None
}

/// Those of `signers` that accepted and that the passport does not have, ascending.
fn needed(passport: &Passport, signers: &[Proven], acceptances: [&Vec<u8>; 2]) -> Vec<Proven> {
    let takers: Vec<_> = acceptances
        .into_iter()
        .filter_map(|bytes| SignedEvent::decode(bytes).ok())
        .map(|event| Subject::Signer(event.event().signer.clone()))
        .collect();
    let mut needed: Vec<Proven> = signers
        .iter()
        .filter(|entry| takers.contains(&entry.key))
        .filter(|entry| passport.entries.iter().all(|known| known.key != entry.key))
        .cloned()
        .collect();
    needed.sort_by(|a, b| a.key.cmp(&b.key));
    needed.dedup_by(|a, b| a.key == b.key);
    needed
}

const fn is_offer(event: &SignedEvent) -> bool {
    matches!(event.event().action, Action::Offer { .. })
}

/// An event, and those inside of it.
fn with_inner(event: &SignedEvent) -> Vec<&SignedEvent> {
    core::iter::once(event).chain(event.event().action.inner()).collect()
}

/// Evidence of the case, if it holds and fits a file.
fn checked(believed: Believed<'_>, sets: &[SetLink], case: Case) -> Option<Evidence> {
    let evidence = Evidence { network: believed.trust.network, sets: sets.to_vec(), case };
    verify(&evidence, believed).ok()?;
    (evidence.to_bytes().len() <= EVIDENCE_BYTES_MAX).then_some(evidence)
}

fn of(note: &Note) -> Option<Checkpoint> {
    Checkpoint::from_text(note.text()).ok()
}

/// The smaller size first; of like sizes the smaller root.
fn in_order<'n>(one: &'n Note, other: &'n Note) -> Option<(&'n Note, &'n Note)> {
    let place = |note: &Note| of(note).map(|checkpoint| (checkpoint.size, checkpoint.root));
    Some(if place(one)? <= place(other)? { (one, other) } else { (other, one) })
}

/// Both notes with the lines of those who cosigned both at times that `fits` takes, of the set that `sets` lead
/// to. Without changes it may be any set of the trust file, as for whoever verifies: that of which most did
/// it, of several the newest.
fn common(
    believed: Believed<'_>,
    sets: &[SetLink],
    first: (&Note, &Checkpoint),
    second: (&Note, &Checkpoint),
    fits: fn(&Who, [u64; 2]) -> bool,
) -> Option<Notes> {
    let of = |set| common_of(believed, set, first, second, fits);
    if !sets.is_empty() {
        let (notes, _) = of(follow_sets(sets, believed.trust, None).ok()?.set)?;
        return Some(notes);
    }
    // Of several that are equal `max_by_key` takes the last, and the last set is the newest.
    let found = believed.trust.sets().filter_map(|(_, set)| of(set));
    found.max_by_key(|(_, lines)| *lines).map(|(notes, _)| notes)
}

/// As [`common`], of one set; and how many lines each note has. The newest line of each cosigner stands under
/// the first, the oldest under the second.
fn common_of(
    believed: Believed<'_>,
    set: &ValidatorSet,
    (first, a): (&Note, &Checkpoint),
    (second, b): (&Note, &Checkpoint),
    fits: fn(&Who, [u64; 2]) -> bool,
) -> Option<(Notes, usize)> {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for (key, who) in cosigners(believed, set).ok()? {
        let newest = held(first, a, &key).into_iter().max_by_key(|(time_s, _)| *time_s);
        let oldest = held(second, b, &key).into_iter().min_by_key(|(time_s, _)| *time_s);
        if let (Some((smaller, line)), Some((larger, opposite))) = (newest, oldest)
            && fits(&who, [smaller, larger])
        {
            one.push(line);
            other.push(opposite);
        }
    }
    let notes = Notes { first: with(first, &one)?, second: with(second, &other)? };
    Some((notes, one.len()))
}

/// The cosignatures of a key that hold, with their times.
fn held(note: &Note, checkpoint: &Checkpoint, key: &VerifierKey) -> Vec<(u64, NoteSignature)> {
    let holds = |line: &NoteSignature| {
        let cosignature = Cosignature::from_line(line)?;
        checkpoint.check(key.key(), &cosignature).ok()?;
        Some((cosignature.time_s, line.clone()))
    };
    note.by(key).filter_map(holds).collect()
}

/// The text of a note with these lines; none without any.
fn with(note: &Note, lines: &[NoteSignature]) -> Option<String> {
    let mut kept = Note::new(note.text().to_string()).ok()?;
    lines.iter().for_each(|line| kept.add(line.clone()));
    (!lines.is_empty()).then(|| kept.to_string())
}
