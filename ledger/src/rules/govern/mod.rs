//! Rows about the network itself: members propose and vote, and what is decided takes force between two blocks.
//!
//! A change is checked when it is proposed, and again when it takes force: others may have come in between.
//! What is not possible then is void, and says so; so is what would undo a change that nobody who voted had seen.
//!
//! Invariant: outside of [`settle`], no open proposal has as many votes as end it, whoever became a member or ceased
//! to be one.

mod outcome;

use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use consign_types::block::Height;
use consign_types::digest::EventId;
use consign_types::event::{Event, Kind, Subject};
use consign_types::governance::{Change, Motion};
use consign_types::limits::{
    MOTION_HEIGHTS_MAX, MOTION_WINDOW_MAX_MS, MOTIONS_IN_ALL_MAX, MOTIONS_MAX,
    MOTIONS_OF_MEMBER_MAX,
};
use consign_types::party::PartyId;
use consign_types::time::Millis;

use self::outcome::Outcome;
use super::Tx;
use crate::apply::{BlockContext, Layer};
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::governance::{Governance, Proposal, Stage};

/// propose | M | a change that is possible now, and a time to vote on it | an open proposal that M approves
pub fn propose<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    motion: &Motion,
    until: Millis,
) -> Result<(), Rejection> {
    about_itself(event)?;
    let window_ms = until.since(tx.time());
    if window_ms == 0 || window_ms > MOTION_WINDOW_MAX_MS {
        return Err(Rejection::MotionWindow { until });
    }
    if !motion.change.possession_holds(event.network) {
        let why = "a key in it is not shown to be whose it says".to_string();
        return Err(Rejection::ChangeNotPossible { why });
    }
    let mut governance = tx.governance();
    expire(tx, &mut governance);
    if motion.from.0 > tx.context().height.0.saturating_add(MOTION_HEIGHTS_MAX) {
        let why = format!("it would be put off by more than {MOTION_HEIGHTS_MAX} heights");
        return Err(Rejection::ChangeNotPossible { why });
    }
    Outcome::of(tx, &governance, motion)?;
    need_room(tx, &governance, event.signer.party())?;
    governance.proposals += 1;
    let Some(proposal) = Proposal::of(event, governance.proposals) else {
        return Err(Rejection::WrongSubject { kind: Kind::Propose });
    };
    let id = tx.id();
    governance.open.push(id);
    decide(tx, governance, id, proposal);
    Ok(())
}

/// Of the places that members share each has eight, and everybody one, taken or not: no number of members keeps
/// another from proposing.
fn need_room<V: StateView>(
    tx: &Tx<'_, V>,
    governance: &Governance,
    party: &PartyId,
) -> Result<(), Rejection> {
    let waiting = governance.waiting();
    let is_own = |id: &&EventId| tx.motion(id).is_some_and(|of| of.by == *party);
    let (own, all) = (waiting.iter().filter(is_own).count(), waiting.len());
    let shared = own < MOTIONS_OF_MEMBER_MAX && all < MOTIONS_MAX;
    // So many wait only where as many parties became members and were expelled within the time of a vote.
    if shared || (own == 0 && all < MOTIONS_IN_ALL_MAX) {
        return Ok(());
    }
    Err(Rejection::TooManyMotions { party: party.clone() })
}

/// ballot | M | a proposal that is open, or decided and not yet in force | M's last word on it; with enough of them it is decided, or ended
pub fn ballot<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    id: EventId,
    approve: bool,
) -> Result<(), Rejection> {
    about_itself(event)?;
    let unknown = || Rejection::UnknownMotion { proposal: id };
    let mut proposal = tx.motion(&id).ok_or_else(unknown)?;
    let is_voted_on = match proposal.stage {
        Stage::Open => tx.time() <= proposal.until,
        Stage::Decided(_) => true,
        Stage::InForce(_) | Stage::Rejected | Stage::Expired | Stage::Void => false,
    };
    if !is_voted_on {
        return Err(Rejection::MotionClosed { proposal: id });
    }
    let party = event.signer.party();
    let known = if approve { &proposal.approvals } else { &proposal.rejections };
    if known.contains(party) {
        return Err(Rejection::BallotKnown { party: party.clone(), proposal: id });
    }
    proposal.vote(party, approve);
    let governance = tx.governance();
    decide(tx, governance, id, proposal);
    Ok(())
}

/// The member speaks for itself.
fn about_itself(event: &Event) -> Result<(), Rejection> {
    match &event.subject {
        Subject::Signer(subject) if *subject == event.signer => Ok(()),
        _ => Err(Rejection::WrongSubject { kind: event.action.kind() }),
    }
}

/// Ends what nobody can vote on any more.
fn expire<V: StateView>(tx: &mut Tx<'_, V>, governance: &mut Governance) {
    let now = tx.time();
    let mut expired = Vec::new();
    governance.open.retain(|id| match tx.motion(id) {
        Some(proposal) if now > proposal.until => {
            expired.push((*id, proposal));
            false
        }
        _ => true,
    });
    for (id, proposal) in expired {
        tx.put_motion(id, Proposal { stage: Stage::Expired, ..proposal });
    }
}

fn decide<V: StateView>(
    tx: &mut Tx<'_, V>,
    mut governance: Governance,
    id: EventId,
    proposal: Proposal,
) {
    count(tx, &mut governance, id, proposal);
    tx.put_governance(governance);
}

/// Counts the votes on a proposal, and notes what comes of it.
fn count<V: StateView>(
    tx: &mut Tx<'_, V>,
    governance: &mut Governance,
    id: EventId,
    mut proposal: Proposal,
) {
    if let Some(approved) = proposal.count(&governance.members) {
        governance.open.retain(|open| *open != id);
        governance.due.retain(|due| *due != id);
        proposal.stage = if approved {
            governance.due.push(id);
            Stage::Decided(tx.context().height)
        } else {
            Stage::Rejected
        };
    }
    tx.put_motion(id, proposal);
}

/// Puts in force what is due at the height after this block.
pub fn settle<V: StateView>(view: &V, layer: &mut Layer, context: &BlockContext) {
    let mut tx = Tx::after(view, layer, context);
    let mut governance = tx.governance();
    if governance.due.is_empty() {
        return;
    }
    let next = context.height.next();
    // One after the other: with a change of members, another proposal may be decided, and be due itself.
    while let Some((id, mut proposal)) = first_due(&tx, &governance, next) {
        governance.due.retain(|due| *due != id);
        let motion = Motion { from: next, ..Motion::clone(&proposal.motion) };
        let Ok(outcome) = Outcome::of(&tx, &governance, &motion) else {
            tx.put_motion(id, Proposal { stage: Stage::Void, ..proposal });
            continue;
        };
        outcome.write(&mut tx, &mut governance);
        proposal.stage = Stage::InForce(next);
        tx.put_motion(id, proposal);
        overtake(&mut tx, &mut governance, &motion.change);
        count_again(&mut tx, &mut governance, &motion.change);
    }
    tx.put_governance(governance);
    let change = tx.finish();
    layer.merge(change.layer);
}

/// What was decided first of what is due at this height.
fn first_due<V: StateView>(
    tx: &Tx<'_, V>,
    governance: &Governance,
    height: Height,
) -> Option<(EventId, Proposal)> {
    let due = |id: &EventId| Some((*id, tx.motion(id).filter(|of| of.motion.from <= height)?));
    governance.due.iter().find_map(due)
}

/// After a change of who votes: forgets what the party said under a key that is not its own any more, or as the
/// member that it is not any more, and counts what waits by those who are members now. What was decided stays so,
/// until as many as it takes to decide are against it.
fn count_again<V: StateView>(tx: &mut Tx<'_, V>, governance: &mut Governance, change: &Change) {
    let gone = match change {
        Change::Key { party, .. } | Change::Expel { party } => Some(party),
        Change::Admit { .. } => None,
        Change::Node { .. }
        | Change::Validator { .. }
        | Change::Retire { .. }
        | Change::Params(_)
        | Change::Witnesses(_) => return,
    };
    expire(tx, governance);
    for id in governance.waiting() {
        let Some(mut proposal) = tx.motion(&id) else { continue };
        let forgotten = gone.is_some_and(|party| proposal.forget_vote(party));
        if forgotten || proposal.count(&governance.members).is_some() {
            count(tx, governance, id, proposal);
        }
    }
}

/// After a change that states the whole of something: what waits and states the whole of the same would undo it,
/// and nobody who voted for that has seen what it would undo.
fn overtake<V: StateView>(tx: &mut Tx<'_, V>, governance: &mut Governance, change: &Change) {
    let states_the_same = |other: &Change| {
        matches!(
            (change, other),
            (Change::Params(_), Change::Params(_)) | (Change::Witnesses(_), Change::Witnesses(_))
        )
    };
    for id in governance.waiting() {
        let Some(proposal) = tx.motion(&id) else { continue };
        if states_the_same(&proposal.motion.change) {
            governance.open.retain(|open| *open != id);
            governance.due.retain(|due| *due != id);
            tx.put_motion(id, Proposal { stage: Stage::Void, ..proposal });
        }
    }
}
