//! Evidence that this node was handed or found itself.
//!
//! Invariant: whatever is kept names somebody by the unit map of this node, as the rule of a report judges
//! it. Keeping it is not reporting it: a report is an event that somebody signs.

use std::sync::Arc;

use consign_ledger::entry::{EntryKey, FaultState, StateView as _};
use consign_ledger::evidence::{self, Accused, Anchor, Believed, Case, Evidence, Who};
use consign_ledger::signer::SignerState;
use consign_types::block::TreeSize;
use consign_types::codec::Canonical as _;
use consign_types::digest::Digest;
use consign_types::double_vote::DoubleVote;
use consign_types::event::SignedEvent;
use consign_types::note::Note;
use consign_types::trust::Trust;
use consign_types::validator::ValidatorSet;
use tracing::{info, warn};

use crate::state::{Committed, sure};
use crate::store::{By, Fault, Keeping};
use consign_types::causes::on_one_line;

/// A file that holds, and whom it names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judged {
    /// The file.
    pub file: Evidence,
    /// Whom it names, at least one.
    pub accused: Vec<Accused>,
}

/// Why a file is not kept.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// It shows nothing.
    #[error("the evidence does not hold: {0}")]
    Bad(String),
    /// The unit map has nothing to check it by.
    #[error("the ledger cannot judge this evidence: {0}")]
    NotJudged(&'static str),
    /// The key is not the device's any more: whoever has it now did nothing.
    #[error("the evidence is against {0} under a key that is not its key")]
    WrongKey(String),
    /// There is no room.
    #[error("this node has no room for more evidence that nobody has reported")]
    Full,
}

impl Refused {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Bad(_) => "bad_evidence",
            Self::NotJudged(_) => "evidence_not_judged",
            Self::WrongKey(_) => "wrong_key",
            Self::Full => "evidence_full",
        }
    }
}

/// Reads a file and says whom it names, by the validators that were in force where it happened.
///
/// # Errors
/// [`Refused::Bad`] where it names nobody, [`Refused::NotJudged`] where nothing here says whose keys they are.
pub fn read(committed: &Committed, bytes: &[u8]) -> Result<Judged, Refused> {
    let file = Evidence::from_bytes(bytes).map_err(|error| Refused::Bad(on_one_line(&error)))?;
    if let Case::LogSignature(_) = file.case {
        return Err(Refused::NotJudged("log keys are no entries of the unit map"));
    }
    let mut last = Refused::Bad("it names no place in the log".to_owned());
    for validators in sets_of(committed, &file.case) {
        let trust = trust(committed, validators);
        match evidence::verify(&file, Believed { trust: &trust, witnesses: &[] }) {
            Ok(accused) => return Ok(Judged { file, accused }),
            Err(error) => last = Refused::Bad(on_one_line(&error)),
        }
    }
    Err(last)
}

/// Refuses evidence against a device under a key that it has no more, as the rule of a report does.
fn same_key(committed: &Committed, judged: &Judged) -> Result<(), Refused> {
    let Case::SameNumber { first, .. } = &judged.file.case else { return Ok(()) };
    let Ok(signed) = SignedEvent::decode(first) else { return Ok(()) };
    let (number, key) = (signed.event().sequence, signed.key_id());
    for Accused { who, .. } in &judged.accused {
        let Who::Device(device) = who else { continue };
        let entry = committed.get(&EntryKey::Signer(device.clone()));
        let state = entry.and_then(|bytes| SignerState::from_bytes(&bytes).ok());
        if !state.is_some_and(|state| state.signs(number, key)) {
            return Err(Refused::WrongKey(device.to_string()));
        }
    }
    Ok(())
}

/// Checks a file that a caller hands in, and keeps it.
///
/// # Errors
/// [`Refused`].
pub fn hand_in(committed: &Committed, bytes: &[u8]) -> Result<Judged, Refused> {
    let judged = read(committed, bytes)?;
    same_key(committed, &judged)?;
    let id = judged.file.id();
    // What is reported already needs no other file: nobody fills the store with one deed.
    let news: Vec<Digest> = judged
        .accused
        .iter()
        .map(|accused| judged.file.fault(&accused.who).0)
        .filter(|fault| reported(committed, *fault).is_none())
        .collect();
    let keeping = match news[..] {
        [] => Keeping::Known,
        _ => sure(committed.store().put_evidence(id.0, &news, bytes, By::Caller)),
    };
    match keeping {
        Keeping::Kept => {
            info!(code = "audit.evidence.kept", id = %id, kind = %judged.file.case.kind());
        }
        Keeping::Known => {}
        Keeping::Full => return Err(Refused::Full),
    }
    Ok(judged)
}

/// Keeps what consensus found, and then says it. The votes and the validators' keys are all that a file
/// needs; `None` where the set in force has no such key.
///
/// # Errors
/// When the store cannot be written.
pub fn found(committed: &Committed, votes: DoubleVote) -> Result<Option<Evidence>, Fault> {
    let trust = trust(committed, committed.validators_at(votes.height));
    let (height, round) = (votes.height.0, votes.round.0);
    let Some(file) = evidence::double_vote(Believed::from(&trust), &[], votes) else {
        warn!(code = "consensus.evidence.unusable", height, round);
        return Ok(None);
    };
    let keeping = committed.store().put_evidence(file.id().0, &[], &file.to_bytes(), By::Own)?;
    warn!(code = "consensus.evidence.found", id = %file.id(), height, round, keeping = ?keeping,
        help = "report it with `consign evidence submit`");
    Ok(Some(file))
}

/// Keeps that somebody cosigned two checkpoints of one size, and then says it; `None` where the notes do not
/// show that, or it is known.
///
/// # Errors
/// When the store cannot be written.
pub fn found_two_roots(
    committed: &Committed,
    size: TreeSize,
    one: &Note,
    other: &Note,
) -> Result<Option<Evidence>, Fault> {
    let trust = trust(committed, committed.validators_of(size));
    let believed = Believed { trust: &trust, witnesses: &[] };
    let Some(file) = evidence::two_checkpoints(believed, &[], one, other) else {
        warn!(code = "checkpoint.evidence.unusable", size = size.0);
        return Ok(None);
    };
    let accused = evidence::verify(&file, believed).unwrap_or_default();
    if keep_own(committed, &file, &accused)? != Keeping::Kept {
        return Ok(None);
    }
    warn!(code = "checkpoint.evidence.found", id = %file.id(), size = size.0,
        accused = %names(&accused), help = "report it with `consign evidence submit`");
    Ok(Some(file))
}

/// Keeps that a device signed two events under one number, as `anchor` has its key under a checkpoint of this
/// size, and then says it; `None` where they do not show that, or it is known.
///
/// # Errors
/// When the store cannot be written.
pub fn found_same_number(
    committed: &Committed,
    size: TreeSize,
    anchor: &Anchor,
    one: &SignedEvent,
    other: &SignedEvent,
) -> Result<Option<Evidence>, Fault> {
    let trust = trust(committed, committed.validators_of(size));
    let believed = Believed { trust: &trust, witnesses: &[] };
    let file = evidence::same_number(believed, &[], anchor, one, other);
    let judged = file.and_then(|file| {
        let accused = evidence::verify(&file, believed).ok()?;
        Some(Judged { file, accused })
    });
    let Some(judged) = judged.filter(|judged| same_key(committed, judged).is_ok()) else {
        return Ok(None);
    };
    if keep_own(committed, &judged.file, &judged.accused)? != Keeping::Kept {
        return Ok(None);
    }
    warn!(code = "audit.evidence.found", id = %judged.file.id(), kind = %judged.file.case.kind(),
        accused = %names(&judged.accused), help = "report it with `consign evidence submit`");
    Ok(Some(judged.file))
}

/// Keeps a file of this node's own, unless what it shows is kept or reported already.
fn keep_own(committed: &Committed, file: &Evidence, accused: &[Accused]) -> Result<Keeping, Fault> {
    let faults = accused.iter().map(|accused| file.fault(&accused.who).0);
    let news: Vec<Digest> = faults.filter(|fault| reported(committed, *fault).is_none()).collect();
    match news[..] {
        [] => Ok(Keeping::Known),
        _ => committed.store().put_evidence(file.id().0, &news, &file.to_bytes(), By::Own),
    }
}

fn names(accused: &[Accused]) -> String {
    accused.iter().map(|accused| accused.who.to_string()).collect::<Vec<_>>().join(", ")
}

/// How the ledger knows a fault; `None` until a report of it is committed.
pub fn reported(committed: &Committed, fault: Digest) -> Option<FaultState> {
    let bytes = committed.get(&EntryKey::Fault(fault))?;
    let state = FaultState::from_bytes(&bytes);
    Some(sure(state.map_err(|error| committed.store().damaged("fault entry", error))))
}

/// Whose keys a case may be judged by: of the validators that decided the block that it is about.
fn sets_of(committed: &Committed, case: &Case) -> Vec<Arc<ValidatorSet>> {
    match case {
        Case::DoubleVote(votes) => vec![committed.validators_at(votes.height)],
        Case::TwoRoots(notes) | Case::Rollback(notes) | Case::Growth { notes, .. } => {
            let sizes = [&notes.second, &notes.first].into_iter().filter_map(|note| {
                // The second line of a checkpoint; the verifier reads all of it.
                note.lines().nth(1)?.parse().ok().map(TreeSize)
            });
            sizes.map(|size| committed.validators_of(size)).collect()
        }
        // The entry that proves the key lies under a checkpoint of that time.
        Case::SameNumber { anchor, .. } => {
            let size = anchor.checkpoint.lines().nth(1).and_then(|line| line.parse().ok());
            let then = size.map(|size| committed.validators_of(TreeSize(size)));
            then.into_iter().chain([committed.validators()]).collect()
        }
        Case::DoubleOffer(_) | Case::LogSignature(_) => vec![committed.validators()],
    }
}

/// What the unit map believes, with these validators, and no key besides.
fn trust(committed: &Committed, validators: Arc<ValidatorSet>) -> Trust {
    let validators = Arc::unwrap_or_clone(validators);
    Trust { validators, ..Trust::of_genesis(committed.genesis(), Vec::new()) }
}
