//! Who held the unit from when, read off its steps.
//!
//! The custodian of a contained unit is that of the outermost container. A unit enters only what is in
//! the same hands, and leaves with its container's custodian, so one chain runs through all stays.
//!
//! What a handover did depends on the basis of the unit it names. That of the passport's own unit is
//! always known; that of a container is known from its first change during the stay on. Before that, a
//! handover of the container is decided by what follows: by whoever acts as its custodian, or by its entry.
//! Whether a handover on a spent basis began a dispute hangs on the network's contest window, and is decided by
//! what follows too; where a later handover could have begun it as well, the holder between is undecided.
//! One thing can stay open: that a container was contested, where the unit left it by a dispute of its own.
//! Then the chain shows the dispute from that one on. The holder is the same either way.

use alloc::vec::Vec;

use consign_types::digest::EventId;
use consign_types::event::{Action, SignedEvent};
use consign_types::limits::HOLDS_MAX;
use consign_types::party::PartyId;
use consign_types::time::Millis;

use super::verify::{Stay, Step, custodian};
use crate::unit::UnitState;

/// Handovers of a container whose effect is open at once. Sorting out `n` of them takes up to `n` cubed steps,
/// and everybody can sign more; what comes to more is said to be undecided.
const PENDING_HANDOVERS_MAX: usize = 128;

/// Whose hands a unit is in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Custodian {
    /// Held.
    Held(PartyId),
    /// Two parties claim it.
    Contested {
        /// Who held it on the ledger.
        holder: PartyId,
        /// Who accepted on a spent basis, or on one that was stopped.
        claimant: PartyId,
    },
    /// Its history ended in these hands.
    Closed(PartyId),
    /// The file does not decide between handovers of a container around it.
    Undecided,
}

/// A part of the custody chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holding {
    /// Since when, by block time; until the next begins.
    pub from: Millis,
    /// Whose.
    pub custodian: Custodian,
}

impl Custodian {
    /// The party that holds the unit on the ledger; `None` where that is undecided.
    pub const fn party(&self) -> Option<&PartyId> {
        match self {
            Self::Held(party) | Self::Closed(party) | Self::Contested { holder: party, .. } => {
                Some(party)
            }
            Self::Undecided => None,
        }
    }
}

/// The custody chain of a unit with this entry; `outermost` is the entry of the outermost container.
pub fn chain(steps: &[Step], state: &UnitState, outermost: Option<&UnitState>) -> Vec<Holding> {
    let mut chain = Chain { line: Vec::from([Title::default()]), ..Chain::default() };
    for (at, step) in steps.iter().enumerate() {
        let following = steps.get(at + 1..).unwrap_or_default();
        chain.step(step, following, outermost.unwrap_or(state));
    }
    let last = steps.last().map(|step| step.time).unwrap_or_default();
    chain.end(outermost.unwrap_or(state), last);
    chain.holdings
}

/// How one unit of the line is held.
#[derive(Default)]
struct Title {
    /// `None` while unknown.
    basis: Option<EventId>,
    /// Who holds by it, as the unit's own entry says, which a container's handovers do not change.
    holder: Option<PartyId>,
    /// The basis before, and who held by it.
    spent: Option<(EventId, PartyId)>,
    offer: Option<(EventId, Millis)>,
    holds: Vec<EventId>,
}

/// A handover whose effect what follows will show.
struct Pending {
    time: Millis,
    giver: PartyId,
    taker: PartyId,
    basis: Option<EventId>,
    acceptance: EventId,
    /// Whether it can have moved custody; if not, it can only have begun a dispute.
    moves: bool,
}

/// What a handover comes upon.
#[derive(Clone, Copy)]
enum Doubt {
    /// No dispute, as far as that is known.
    None,
    /// A dispute that an earlier handover began.
    Disputed,
    /// A dispute, or one that began later.
    Either,
}

#[derive(Default)]
struct Chain {
    line: Vec<Title>,
    holdings: Vec<Holding>,
    pending: Vec<Pending>,
    /// Whether the unit left the container that `pending` is about, by a dispute.
    left: bool,
    /// Of the passport's own unit.
    owner: Option<PartyId>,
    /// What may wait for consents.
    proposals: Vec<Step>,
    /// The consents so far: to which proposal, and whose.
    consents: Vec<(EventId, PartyId)>,
}

/// When custody moved, and to whom.
type Moves<'p> = Vec<(Millis, &'p PartyId)>;

impl Chain {
    fn push(&mut self, from: Millis, custodian: Custodian) {
        if self.holdings.last().is_none_or(|last| last.custodian != custodian) {
            self.holdings.push(Holding { from, custodian });
        }
    }

    fn holder(&self) -> Option<&PartyId> {
        self.holdings.last().and_then(|holding| holding.custodian.party())
    }

    fn step(&mut self, step: &Step, following: &[Step], end: &UnitState) {
        let event = step.event.event();
        let (signer, id, time) = (event.signer.party(), step.event.id(), step.time);
        let closed = self.is_closed();
        if custodian_acts(&event.action) && !closed {
            self.resolve(signer, None);
        }
        // Titles of what the event puts around the line; nothing that is offered or on hold is entered.
        while self.line.len() < step.depth + 1 + step.around.len() {
            self.line.push(Title::default());
        }
        // The unit named; of a disaggregation the innermost one, which leaves on a new basis.
        let at = step.depth;
        match &event.action {
            Action::Register => {
                self.owner = Some(signer.clone());
                self.rebase(at, id, Some(signer.clone()));
                self.push(time, Custodian::Held(signer.clone()));
            }
            Action::Offer { until, .. } => self.with(at, |title| title.offer = Some((id, *until))),
            Action::Refuse { .. } | Action::Cancel { .. } => self.with(at, |t| t.offer = None),
            Action::Accept { .. } => {
                self.rebase(at, id, Some(signer.clone()));
                self.push(time, Custodian::Held(signer.clone()));
            }
            // Of what was delivered: with the owner's consent, unless it is the owner's own doing.
            Action::Return { .. } if closed => {
                let alone = match &self.owner {
                    Some(owner) if at == 0 => owner == signer,
                    _ => !consented(following, id) && !closed_after(following, end),
                };
                if alone {
                    self.take_back(at, step);
                }
                self.proposals.push(step.clone());
            }
            Action::Return { .. } => self.rebase(at, id, Some(signer.clone())),
            Action::Deliver { .. } => self.push(time, Custodian::Closed(signer.clone())),
            // Names the holder, which decides what was open about a container.
            Action::Lost { holder, .. } | Action::Destroyed { holder, .. } => {
                self.resolve(holder, None);
                // Whoever is neither owner nor authority proposes it only.
                if !consented(following, id) && closed_after(following, end) {
                    self.push(time, Custodian::Closed(holder.clone()));
                }
                self.proposals.push(step.clone());
            }
            Action::Resolve { .. } => self.proposals.push(step.clone()),
            Action::Consent { proposal } => self.consent(step, proposal, following, end),
            Action::Found => {
                self.rebase(at, id, Some(signer.clone()));
                self.push(time, Custodian::Held(signer.clone()));
            }
            Action::Hold { .. } => self.with(at, |title| title.holds.push(id)),
            Action::Release { hold } => self.with(at, |t| t.holds.retain(|held| held != hold)),
            Action::Handover { offer, acceptance } => {
                let doubtful = self.doubtful(following, end);
                self.handover(step, [offer, acceptance], doubtful);
            }
            Action::Disaggregate { .. } if step.stay == Stay::Ends => {
                let holder = self.holder().cloned();
                self.rebase(at, id, holder);
            }
            _ => {}
        }
        if step.stay == Stay::Ends {
            self.take_holds_along(at);
            self.line.truncate(at + 1);
        }
    }

    /// Mirrors `rules::contain::leave`: the holds around a unit that leaves become its own.
    fn take_holds_along(&mut self, at: usize) {
        let Some((leaves, around)) = self.line.get_mut(at..).and_then(|l| l.split_first_mut())
        else {
            return;
        };
        for hold in around.iter().flat_map(|title| &title.holds) {
            if leaves.holds.len() < HOLDS_MAX && !leaves.holds.contains(hold) {
                leaves.holds.push(*hold);
            }
        }
    }

    fn with(&mut self, at: usize, change: impl FnOnce(&mut Title)) {
        if let Some(title) = self.line.get_mut(at) {
            change(title);
        }
    }

    fn is_closed(&self) -> bool {
        matches!(self.holdings.last(), Some(Holding { custodian: Custodian::Closed(_), .. }))
    }

    /// What was delivered is held again, by the event that proposed it.
    fn take_back(&mut self, at: usize, proposal: &Step) {
        let by = proposal.event.event().signer.party();
        self.rebase(at, proposal.event.id(), Some(by.clone()));
        self.push(proposal.time, Custodian::Held(by.clone()));
    }

    /// Mirrors `rules::consent`: what the steps leave open about its effect, what follows tells.
    fn consent(&mut self, step: &Step, proposal: &EventId, following: &[Step], end: &UnitState) {
        let known = self.proposals.iter().position(|known| known.event.id() == *proposal);
        let Some(known) = known.and_then(|at| self.proposals.get(at)).cloned() else { return };
        let (at, by, time) = (step.depth, known.event.event().signer.party().clone(), step.time);
        match &known.event.event().action {
            Action::Return { .. } if self.is_closed() && !closed_after(following, end) => {
                self.take_back(at, &Step { time, ..known });
            }
            Action::Lost { .. } | Action::Destroyed { .. }
                if !self.is_closed() && closed_after(following, end) =>
            {
                self.push(time, Custodian::Closed(by));
            }
            // Open until the last one.
            Action::Resolve { holder, .. } if !consented(following, *proposal) => {
                let mut parties: Vec<PartyId> = self
                    .consents
                    .iter()
                    .filter_map(|(of, party)| (of == proposal).then_some(party.clone()))
                    .collect();
                parties.push(step.event.event().signer.party().clone());
                // One is enough where the other party is the authority that proposed it.
                let own = match self.holdings.last().map(|holding| &holding.custodian) {
                    Some(Custodian::Contested { holder: one, claimant }) => {
                        by == *claimant || (by == *one && self.pending.is_empty())
                    }
                    _ => false,
                };
                if own || parties.len() == 2 || !self.contested_after(following, end) {
                    if parties.len() == 1 {
                        parties.push(by);
                    }
                    self.settle(&parties, known.time);
                    let holder = holder.clone();
                    self.rebase(at, *proposal, Some(holder.clone()));
                    self.push(time, Custodian::Held(holder));
                }
            }
            _ => {}
        }
        self.consents.push((*proposal, step.event.event().signer.party().clone()));
    }

    /// Whether custody is disputed at this point, told by what can only follow while it is, or only else.
    fn contested_after(&self, following: &[Step], end: &UnitState) -> bool {
        let ends_one = |id: &EventId| {
            self.proposals.iter().any(|step| {
                step.event.id() == *id
                    && matches!(step.event.event().action, Action::Resolve { .. })
            })
        };
        for step in following {
            match &step.event.event().action {
                Action::Resolve { .. } => return true,
                Action::Consent { proposal } if ends_one(proposal) => return true,
                Action::Accept { .. }
                | Action::Refuse { .. }
                | Action::Cancel { .. }
                | Action::Lost { .. }
                | Action::Destroyed { .. }
                | Action::Found => return false,
                action if custodian_acts(action) => return false,
                _ => {}
            }
        }
        matches!(custodian(&end.custody), Custodian::Contested { .. })
    }

    /// A new basis of the unit at this place in the line, by which `holder` holds it.
    fn rebase(&mut self, at: usize, basis: EventId, holder: Option<PartyId>) {
        self.with(at, |title| {
            title.spent = title.basis.zip(title.holder.take());
            (title.basis, title.holder, title.offer) = (Some(basis), holder, None);
        });
    }

    /// Mirrors `rules::handover`, as far as the steps tell.
    fn handover(&mut self, step: &Step, [offer, acceptance]: [&SignedEvent; 2], doubt: Doubt) {
        let (time, at) = (step.time, step.depth);
        let (giver, taker) = (offer.event().signer.party(), acceptance.event().signer.party());
        let Some(holder) = self.holder().cloned() else { return };
        let contested = Custodian::Contested { holder: holder.clone(), claimant: taker.clone() };
        if step.stay == Stay::Ends {
            self.left = true;
            return self.push(time, contested);
        }
        // Inside, and not taken out: on record alone. So is what comes after an end or a dispute.
        let held =
            matches!(self.holdings.last(), Some(Holding { custodian: Custodian::Held(_), .. }));
        let Some(title) = self.line.get(at).filter(|_| step.around.is_empty() && held) else {
            return;
        };
        let basis = offer.event().basis;
        let open = title.offer.is_some_and(|(open, until)| open == offer.id() && time <= until);
        let current = title.basis.is_some() && title.basis == basis;
        // By one who does not hold it, that comes on record only while custody is disputed, and does nothing.
        if current && *giver != holder {
            return;
        }
        // In a dispute that an earlier one began it does nothing, on the current basis too.
        match doubt {
            Doubt::Disputed if current && !open => return,
            Doubt::Either if current && !open => return self.push(time, Custodian::Undecided),
            _ => {}
        }
        if open || (current && title.holds.is_empty()) {
            self.rebase(at, acceptance.id(), Some(taker.clone()));
            return self.push(time, Custodian::Held(taker.clone()));
        }
        if current {
            return self.push(time, contested);
        }
        // What a container's basis was before its stay in the file is not known either.
        let recent = match &title.spent {
            Some((spent, by)) => Some(*spent) == basis && by == giver,
            None => at > 0,
        };
        if recent || title.basis.is_none() {
            let (giver, taker, acceptance) = (giver.clone(), taker.clone(), acceptance.id());
            let moves = title.basis.is_none() && title.holds.is_empty();
            self.pending.push(Pending { time, giver, taker, basis, acceptance, moves });
        }
    }

    /// Whether a handover on a spent basis, before this one, began a dispute: that depends on the network's
    /// contest window, which the file does not tell, and shows in what follows.
    fn doubtful(&self, following: &[Step], end: &UnitState) -> Doubt {
        if self.pending.iter().all(|handover| handover.moves)
            || !self.contested_after(following, end)
        {
            return Doubt::None;
        }
        let again = |step: &Step| matches!(step.event.event().action, Action::Handover { .. });
        if following.iter().any(again) { Doubt::Either } else { Doubt::Disputed }
    }

    /// `party` is custodian, undisputed, by `basis` where that is known: so the pending handovers did what
    /// leads there.
    fn resolve(&mut self, party: &PartyId, basis: Option<EventId>) {
        if let Some((from, to)) = self.too_many() {
            self.pending.clear();
            self.push(from, Custodian::Undecided);
            return self.push(to, Custodian::Held(party.clone()));
        }
        let pending = core::mem::take(&mut self.pending);
        let Some(holder) = self.holder().filter(|_| !pending.is_empty()).cloned() else { return };
        let ways = ways(&pending, &holder, party, basis);
        let Some(way) = ways.first() else { return };
        let shared = (0..way.len())
            .take_while(|at| ways.iter().all(|other| other.get(*at) == way.get(*at)))
            .count();
        for (time, taker) in way.iter().take(shared) {
            self.push(*time, Custodian::Held((*taker).clone()));
        }
        let apart = ways.iter().flat_map(|way| way.iter().skip(shared)).map(|(time, _)| *time);
        if let (Some(from), Some(to)) = (apart.clone().min(), apart.max()) {
            self.push(from, Custodian::Undecided);
            self.push(to, Custodian::Held(party.clone()));
        }
        if let (Some(title), Some(basis)) = (self.line.last_mut(), basis) {
            title.basis = Some(basis);
        }
    }

    /// What the outermost entry says at the end decides what is open, and is the last word.
    fn end(&mut self, state: &UnitState, last: Millis) {
        let custodian = custodian(&state.custody);
        let basis = (!self.left).then_some(state.basis);
        let Custodian::Contested { holder, claimant } = &custodian else {
            if let Some(party) = custodian.party() {
                self.resolve(party, basis);
            }
            return self.push(last, custodian);
        };
        self.dispute(holder, claimant, basis, last);
    }

    /// From when to when custody is open, where so much is pending that nobody sorts it out.
    fn too_many(&self) -> Option<(Millis, Millis)> {
        let times = self.pending.first().zip(self.pending.last());
        let times = times.filter(|_| self.pending.len() > PENDING_HANDOVERS_MAX);
        times.map(|(first, last)| (first.time, last.time))
    }

    /// These two were in dispute at `last`.
    fn dispute(
        &mut self,
        holder: &PartyId,
        claimant: &PartyId,
        basis: Option<EventId>,
        last: Millis,
    ) {
        // Nothing moves in a dispute: who holds in it held when it began.
        let disputed = |holding: &Holding| matches!(holding.custodian, Custodian::Contested { .. });
        let certain = self.holdings.iter().rposition(|holding| !disputed(holding));
        let disputes = self.holdings.split_off(certain.map_or(0, |at| at + 1));
        let mut from = None;
        if self.too_many().is_some() {
            self.resolve(holder, basis);
        } else if disputes.is_empty() {
            let begins = (0..self.pending.len()).find(|at| {
                let (before, since) = self.pending.split_at(*at);
                since.first().is_some_and(|handover| handover.taker == *claimant)
                    && self.holder().is_some_and(|by| !ways(before, by, holder, basis).is_empty())
            });
            from = begins.and_then(|at| self.pending.get(at)).map(|handover| handover.time);
            self.pending.truncate(begins.unwrap_or_default());
        }
        self.resolve(holder, basis);
        for Holding { from, custodian } in disputes {
            if let Custodian::Contested { claimant, .. } = custodian {
                self.push(from, Custodian::Contested { holder: holder.clone(), claimant });
            }
        }
        let custodian = Custodian::Contested { holder: holder.clone(), claimant: claimant.clone() };
        self.push(from.unwrap_or(last), custodian);
    }

    /// A dispute between these two, which was open at `time`, is over: so it is known which of them held.
    fn settle(&mut self, parties: &[PartyId], time: Millis) {
        let [one, other] = parties else { return };
        let claims = |party: &PartyId| match self.holdings.last().map(|last| &last.custodian) {
            Some(Custodian::Contested { claimant, .. }) => claimant == party,
            _ => self.pending.iter().any(|handover| handover.taker == *party),
        };
        match (claims(one), claims(other)) {
            (true, false) => self.dispute(other, one, None, time),
            (false, true) => self.dispute(one, other, None, time),
            _ => {
                let from = self.pending.first().map_or(time, |first| first.time);
                self.push(from, Custodian::Undecided);
            }
        }
        self.pending.clear();
        self.left = false;
    }
}

/// Every way in which `pending` can have led from one custodian to another, each once: for any basis that
/// the container can have had before, and for one that none of them names.
fn ways<'p>(
    pending: &'p [Pending],
    from: &'p PartyId,
    to: &PartyId,
    basis: Option<EventId>,
) -> Vec<Moves<'p>> {
    let mut starts: Vec<Option<EventId>> = Vec::from([None]);
    for handover in pending.iter().filter(|handover| handover.moves) {
        if !starts.contains(&handover.basis) {
            starts.push(handover.basis);
        }
    }
    let mut ways = Vec::new();
    for start in starts {
        let (mut current, mut holder, mut moves) = (start, from, Vec::new());
        let mut possible = true;
        for handover in pending {
            if current.is_some() && handover.basis == current {
                // On a current basis it is refused where the giver does not hold, and so never on the log.
                possible &= handover.moves && handover.giver == *holder;
                (current, holder) = (Some(handover.acceptance), &handover.taker);
                moves.push((handover.time, holder));
            }
        }
        let by_basis = match (basis, current) {
            (Some(basis), Some(current)) => basis == current,
            (Some(basis), None) => pending.iter().all(|handover| handover.acceptance != basis),
            (None, _) => true,
        };
        if possible && holder == to && by_basis && !ways.contains(&moves) {
            ways.push(moves);
        }
    }
    ways
}

/// Whether somebody consents to this proposal later on.
fn consented(following: &[Step], proposal: EventId) -> bool {
    following.iter().any(|step| {
        matches!(&step.event.event().action, Action::Consent { proposal: of } if *of == proposal)
    })
}

/// Whether the history is closed at this point, told by what can only follow an end or only something else.
fn closed_after(following: &[Step], end: &UnitState) -> bool {
    for step in following {
        match &step.event.event().action {
            Action::Found => return true,
            // Nothing leaves what is closed.
            Action::Handover { .. } if step.stay == Stay::Ends => return false,
            // Of what is closed, and of what is not.
            Action::Return { .. } => {}
            Action::Accept { .. }
            | Action::Refuse { .. }
            | Action::Cancel { .. }
            | Action::Lost { .. }
            | Action::Destroyed { .. }
            | Action::Resolve { .. } => return false,
            action if custodian_acts(action) => return false,
            _ => {}
        }
    }
    matches!(custodian(&end.custody), Custodian::Closed(_))
}

/// Whether only the undisputed custodian signs such an event.
const fn custodian_acts(action: &Action) -> bool {
    matches!(
        action,
        Action::Offer { .. }
            | Action::Aggregate { .. }
            | Action::Disaggregate { .. }
            | Action::Load { .. }
            | Action::Unload { .. }
            | Action::Depart { .. }
            | Action::Arrive
            | Action::Attempt { .. }
            | Action::Deliver { .. }
            | Action::Return { .. }
    )
}
