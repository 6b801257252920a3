//! Evidence that consists of two signed checkpoints of one log.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use consign_types::block::LeafIndex;
use consign_types::checkpoint::{Checkpoint, Cosignature, cosigner_key};
use consign_types::codec::DecodeError;
use consign_types::key::Signature;
use consign_types::limits::ROLLBACK_MARGIN_S;
use consign_types::merkle::InclusionProof;
use consign_types::note::{KeyType, Note, NoteSignature, VerifierKey};
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::validator::ValidatorSet;

use super::{Accused, BadEvidence, Believed, Leaf, Notes, Part, Who, Why};

/// Keys that cosign the log, each with who answers for it; ascending by name and id.
pub fn cosigners(
    believed: Believed<'_>,
    set: &ValidatorSet,
) -> Result<Vec<(VerifierKey, Who)>, DecodeError> {
    let mut known = Vec::new();
    for validator in set.validators() {
        let key = cosigner_key(&believed.trust.origin, &validator.party, validator.cosigner_key)?;
        known.push((key, Who::Party(validator.party.clone())));
    }
    let witness = |key: &VerifierKey| (key.clone(), Who::Witness(key.name().to_string()));
    known.extend(believed.witnesses.iter().map(witness));
    known.sort_by(|(a, _), (b, _)| place(a).cmp(&place(b)));
    Ok(known)
}

fn place(key: &VerifierKey) -> (&str, [u8; 4]) {
    (key.name(), key.key_id())
}

/// Cosigned at one size, with two roots.
pub fn two_roots(
    pair: &Notes,
    believed: Believed<'_>,
    set: &ValidatorSet,
) -> Result<Vec<Accused>, BadEvidence> {
    let both = Both::check(pair, believed, set)?;
    let size = of_one_size(&both.first, &both.second)?;
    let did = format!("cosigned two roots of {} at size {size}", believed.trust.origin);
    Ok(both.lines.into_iter().map(|line| line.accused(did.clone())).collect())
}

/// Cosigned at two sizes that differ at a leaf below both.
pub fn growth(
    pair: &Notes,
    index: LeafIndex,
    leaves: [&Leaf; 2],
    believed: Believed<'_>,
    set: &ValidatorSet,
) -> Result<Vec<Accused>, BadEvidence> {
    let both = Both::check(pair, believed, set)?;
    let (first, second) = (&both.first, &both.second);
    if first.size >= second.size {
        return Err(Part::Second.bad(Why::Order));
    }
    let checkpoints = [(first, Part::FirstLeaf), (second, Part::SecondLeaf)];
    for ((checkpoint, part), leaf) in checkpoints.into_iter().zip(leaves) {
        let proof = InclusionProof { index, size: checkpoint.size, path: leaf.path.clone() };
        proof.verify(leaf.hash, checkpoint.root).map_err(|why| part.bad(Why::Inclusion(why)))?;
    }
    let [one, other] = leaves;
    if one.hash == other.hash {
        return Err(Part::SecondLeaf.bad(Why::SameLeaf));
    }
    let did = format!(
        "cosigned {} at sizes {} and {}, which differ at leaf {index}",
        believed.trust.origin, first.size, second.size
    );
    Ok(both.lines.into_iter().map(|line| line.accused(did.clone())).collect())
}

/// Cosigned at a smaller size, later than at a larger one.
pub fn rollback(
    pair: &Notes,
    believed: Believed<'_>,
    set: &ValidatorSet,
) -> Result<Vec<Accused>, BadEvidence> {
    let both = Both::check(pair, believed, set)?;
    let (first, second) = (&both.first, &both.second);
    if first.size >= second.size {
        return Err(Part::Second.bad(Why::Order));
    }
    if both.lines.iter().any(|line| !bound_in_time(&line.who)) {
        return Err(Part::First.bad(Why::WitnessTime));
    }
    if !both.lines.iter().all(|line| goes_back(line.times)) {
        return Err(Part::First.bad(Why::NotLater));
    }
    let accused = |line: Line| {
        let [smaller, larger] = line.times.map(|time_s| Millis(time_s.saturating_mul(1000)));
        let did = format!(
            "cosigned {} at size {} at {smaller}, after size {} at {larger}",
            believed.trust.origin, first.size, second.size
        );
        line.accused(did)
    };
    Ok(both.lines.into_iter().map(accused).collect())
}

/// Whether the time of the smaller size is so late that no honest cosigner gave both.
pub const fn goes_back([smaller, larger]: [u64; 2]) -> bool {
    smaller > larger.saturating_add(ROLLBACK_MARGIN_S)
}

/// Whether the times of this cosigner never go back: that is a rule of validators, and C2SP knows none for
/// witnesses, whose clocks may be set right at any time.
pub const fn bound_in_time(who: &Who) -> bool {
    matches!(who, Who::Party(_))
}

/// Signed by one log key at one size, with two roots.
pub fn log_signature(pair: &Notes, trust: &Trust) -> Result<Vec<Accused>, BadEvidence> {
    let (first, one) = read(&pair.first, trust, Part::First)?;
    let (second, other) = read(&pair.second, trust, Part::Second)?;
    let size = of_one_size(&first, &second)?;
    let notes = [(&first, &one, Part::First), (&second, &other, Part::Second)];
    let mut keys = Vec::new();
    for (checkpoint, note, part) in notes {
        let [line] = note.signatures() else { return Err(part.bad(Why::Lines)) };
        let signed = |(key, verifier): &(_, VerifierKey)| {
            line.name == verifier.name()
                && line.key_id == verifier.key_id()
                && signed_text(key, &checkpoint.text(), line)
        };
        let key = log_keys(trust).into_iter().find(signed);
        let unknown = || part.bad(Why::UnknownKey);
        keys.push(key.map(|(key, _)| key).ok_or_else(unknown)?);
    }
    let [key, other] = keys[..] else { return Err(Part::File.bad(Why::Lines)) };
    if key != other {
        return Err(Part::Second.bad(Why::Others));
    }
    let mut parties: Vec<_> =
        trust.logs.iter().filter(|(_, known)| *known == key).map(|(party, _)| party).collect();
    parties.dedup();
    let [party] = parties[..] else { return Err(Part::First.bad(Why::SharedKey)) };
    let did = format!("signed two roots of {} at size {size} with a log key", trust.origin);
    Ok(Vec::from([Accused { who: Who::Party(party.clone()), did }]))
}

/// The log keys with their names.
pub fn log_keys(trust: &Trust) -> Vec<(consign_types::key::PublicKey, VerifierKey)> {
    let named = |(_, key): &(_, _)| {
        VerifierKey::new(&trust.origin, KeyType::Ed25519, *key).ok().map(|name| (*key, name))
    };
    trust.logs.iter().filter_map(named).collect()
}

/// Whether a log key signed this text.
pub fn signed_text(key: &consign_types::key::PublicKey, text: &str, line: &NoteSignature) -> bool {
    let signature = line.signature.as_slice().try_into().map(Signature);
    signature.is_ok_and(|signature| key.verify(text.as_bytes(), &signature).is_ok())
}

/// The size of both, where only the roots differ, the smaller first.
fn of_one_size(
    first: &Checkpoint,
    second: &Checkpoint,
) -> Result<consign_types::block::TreeSize, BadEvidence> {
    if first.size != second.size {
        return Err(Part::Second.bad(Why::Size));
    }
    if first.root >= second.root {
        return Err(Part::Second.bad(Why::Order));
    }
    Ok(first.size)
}

/// A party that cosigned both notes, and when.
struct Line {
    who: Who,
    times: [u64; 2],
}

impl Line {
    fn accused(self, did: String) -> Accused {
        Accused { who: self.who, did }
    }
}

/// Two checkpoints that the same parties cosigned.
struct Both {
    first: Checkpoint,
    second: Checkpoint,
    lines: Vec<Line>,
}

impl Both {
    fn check(
        pair: &Notes,
        believed: Believed<'_>,
        set: &ValidatorSet,
    ) -> Result<Self, BadEvidence> {
        let known = cosigners(believed, set).map_err(|why| Part::File.bad(Why::Malformed(why)))?;
        let (first, one) = cosigned(&pair.first, &known, believed.trust, Part::First)?;
        let (second, other) = cosigned(&pair.second, &known, believed.trust, Part::Second)?;
        if !one.iter().map(|(at, _)| at).eq(other.iter().map(|(at, _)| at)) {
            return Err(Part::Second.bad(Why::Others));
        }
        let line = |((at, first), (_, second)): ((usize, u64), (usize, u64))| {
            let (_, who) = known.get(at)?;
            Some(Line { who: who.clone(), times: [first, second] })
        };
        let lines = one.into_iter().zip(other).filter_map(line).collect();
        Ok(Self { first, second, lines })
    }
}

/// The checkpoint of a note, and the positions among `known` of those that cosigned it, with the time.
fn cosigned(
    text: &str,
    known: &[(VerifierKey, Who)],
    trust: &Trust,
    part: Part,
) -> Result<(Checkpoint, Vec<(usize, u64)>), BadEvidence> {
    let (checkpoint, note) = read(text, trust, part)?;
    let mut lines: Vec<(usize, u64)> = Vec::new();
    for line in note.signatures() {
        let is = |(key, _): &(VerifierKey, Who)| place(key) == (line.name.as_str(), line.key_id);
        let at = known.iter().position(is).ok_or_else(|| part.bad(Why::UnknownKey))?;
        if lines.last().is_some_and(|(before, _)| *before >= at) {
            return Err(part.bad(Why::Lines));
        }
        let key = known.get(at).map(|(key, _)| key.key());
        let cosignature = Cosignature::from_line(line);
        match (key, cosignature) {
            (Some(key), Some(given)) if checkpoint.check(key, &given).is_ok() => {
                lines.push((at, given.time_s));
            }
            _ => return Err(part.bad(Why::Signature)),
        }
    }
    Ok((checkpoint, lines))
}

/// A note in its one form, and its checkpoint, which is of the trusted log.
fn read(text: &str, trust: &Trust, part: Part) -> Result<(Checkpoint, Note), BadEvidence> {
    let malformed = |why| part.bad(Why::Malformed(why));
    let note: Note = text.parse().map_err(malformed)?;
    if note.to_string() != text {
        return Err(malformed(DecodeError::NotCanonical { what: "signed note" }));
    }
    let checkpoint = Checkpoint::from_text(note.text()).map_err(malformed)?;
    if checkpoint.origin != trust.origin {
        return Err(part.bad(Why::Origin));
    }
    Ok((checkpoint, note))
}
